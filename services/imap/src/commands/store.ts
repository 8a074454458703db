/** STORE and UID STORE (RFC 3501 §6.4.6), with UNCHANGEDSINCE (RFC 7162 §3.1.3). */
import type { FlagChange, MessageSummary } from '@mail/store';
import type { Numbered } from '../mailbox-view.ts';
import type { StoreArguments } from '../parser/flags.ts';
import { formatSet } from '../parser/sequence-set.ts';
import { encodeFlags } from '../response.ts';
import { type Completion, completeOver, type Numbering, type Session } from '../session.ts';

/** What a client that asked for silence takes the flags to be now. Keywords know no case. */
export function expectedFlags(
  before: readonly string[],
  change: FlagChange,
  flags: readonly string[],
): string[] {
  if (change === 'replace') return [...flags];
  const lower = (list: readonly string[]) => new Set(list.map((flag) => flag.toLowerCase()));
  if (change === 'add') {
    const present = lower(before);
    return [...before, ...flags.filter((flag) => !present.has(flag.toLowerCase()))];
  }
  const gone = lower(flags);
  return before.filter((flag) => !gone.has(flag.toLowerCase()));
}

/** Those that were asked for and left alone, as the command numbers them. */
function modifiedOf(
  asked: readonly Numbered[],
  changed: readonly MessageSummary[],
  numbering: Numbering,
): number[] {
  const done = new Set(changed.map(({ uid }) => uid));
  return asked
    .filter(({ message }) => !done.has(message.uid))
    .map(({ sequence, message }) => (numbering === 'uid' ? message.uid : sequence));
}

export async function store(
  session: Session,
  { set, unchangedSince, change, silent, flags }: StoreArguments,
  numbering: Numbering,
): Promise<Completion> {
  session.requireWritable();
  const selection = session.resolve(set, numbering);
  const { mailbox, view } = session.selected;
  if (unchangedSince !== undefined) session.enableCondStore();
  const uids = selection.found.map(({ message }) => message.uid);
  const { messages } = session.store;
  const condition = unchangedSince === undefined ? undefined : { unchangedSince };
  const changed = await messages.changeFlags(mailbox.id, uids, change, flags, condition);
  view.note(changed, (before, now) => (silent ? expectedFlags(before, change, flags) : now.flags));
  // MODSEQ is told to those who asked for silence as well (RFC 7162 §3.1.3)
  for (const message of silent && !session.condStore ? [] : changed) {
    const sequence = view.sequenceOf(message.uid);
    if (sequence === undefined) continue;
    const items = [
      ...(numbering === 'uid' ? [`UID ${message.uid}`] : []),
      ...(silent ? [] : [`FLAGS ${encodeFlags(message.flags)}`]),
      ...(session.condStore ? [`MODSEQ (${message.modSeq})`] : []),
    ];
    session.response.untagged(`${sequence} FETCH (${items.join(' ')})`);
    if (!silent) view.told(message.uid);
    await session.response.room;
  }
  const modified = modifiedOf(selection.found, changed, numbering);
  if (unchangedSince !== undefined && modified.length > 0) {
    // what they are now is told with the completion
    session.selected.stale = true;
    return { code: `MODIFIED ${formatSet(modified)}`, text: 'Some have changed since' };
  }
  return completeOver(selection, numbering, { text: 'STORE completed' });
}
