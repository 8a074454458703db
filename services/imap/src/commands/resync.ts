/** How a client that comes back catches up: what QRESYNC tells (RFC 7162 §3.2). */
import type { ResyncArguments } from '../parser/select.ts';
import {
  commonRanges,
  formatRanges,
  type NumberRange,
  resolveSet,
} from '../parser/sequence-set.ts';
import type { Session } from '../session.ts';
import { eachSummary } from '../summaries.ts';

/** Which of `among` have been expunged since. Tombstones are kept, so the answer is exact. */
export async function tellVanishedEarlier(
  session: Session,
  modSeq: number,
  among: readonly NumberRange[] | undefined,
): Promise<void> {
  const { mailbox, view } = session.selected;
  const { messages } = session.store;
  // what has gone since the view was read is counted by the client still
  const expunged = await messages.expungedBetween(mailbox.id, modSeq, view.highestModSeq);
  const vanished = among === undefined ? expunged : commonRanges(expunged, among);
  if (vanished.length === 0) return;
  session.response.untagged(`VANISHED (EARLIER) ${formatRanges(vanished)}`);
}

/** What SELECT with QRESYNC adds, where UIDs are still what the client knows (RFC 7162 §3.2.5). */
export async function tellChangesSince(
  session: Session,
  { uidValidity, modSeq, known }: ResyncArguments,
): Promise<void> {
  const { mailbox, view } = session.selected;
  if (uidValidity !== mailbox.uidValidity) return;
  const ranges = known === undefined ? undefined : resolveSet(known, view.lastUid);
  await tellVanishedEarlier(session, modSeq, ranges);
  const selection = ranges === undefined ? view.everything() : view.byUidRanges(ranges);
  const changed = selection.among(await session.store.messages.changedUids(mailbox.id, modSeq));
  for await (const { sequence, message } of eachSummary(session, changed)) {
    session.tellFlags(sequence, message);
    await session.response.room;
  }
}
