/** STORE and UID STORE (RFC 3501 §6.4.6), with UNCHANGEDSINCE (RFC 7162 §3.1.3). */
import type { ChangedFlags } from '@mail/store';
import { amongKinds, changeableFlags } from '../access/rights.ts';
import type { Numbered } from '../mailbox-view.ts';
import type { StoreArguments } from '../parser/flags.ts';
import { formatSet } from '../parser/sequence-set.ts';
import { encodeFlags } from '../response.ts';
import { type Completion, completeOver, type Numbering, type Session } from '../session.ts';

/** Those that were asked for and left alone, as the command numbers them. */
function modifiedOf(
  asked: readonly Numbered[],
  changed: readonly ChangedFlags[],
  numbering: Numbering,
): number[] {
  const done = new Set(changed.map(({ uid }) => uid));
  return asked
    .filter(({ uid }) => !done.has(uid))
    .map(({ sequence, uid }) => (numbering === 'uid' ? uid : sequence));
}

export async function store(
  session: Session,
  { set, unchangedSince, change, silent: asksSilence, flags }: StoreArguments,
  numbering: Numbering,
): Promise<Completion> {
  const only = changeableFlags(session.rights);
  // one of several is enough (RFC 4314 §4)
  const refused = flags.length === 0 ? only?.length === 0 : amongKinds(flags, only).length === 0;
  if (refused) throw session.refusal();
  // a client that is not told computes what they are, as if all could be changed
  const silent = asksSilence && only === undefined;
  const selection = session.resolve(set, numbering);
  const { mailbox, view } = session.selected;
  if (unchangedSince !== undefined) session.enableCondStore();
  const asked = selection.all();
  const uids = asked.map(({ uid }) => uid);
  const { messages } = session.store;
  const options = { unchangedSince, only };
  const changed = await messages.changeFlags(mailbox.id, uids, change, flags, options);
  view.note(changed, !silent);
  // MODSEQ is told to those who asked for silence as well (RFC 7162 §3.1.3)
  for (const message of silent && !session.condStore ? [] : changed) {
    const sequence = view.sequenceOf(message.uid);
    if (sequence === undefined) continue;
    const items = [
      ...(numbering === 'uid' && !session.uidOnly ? [`UID ${message.uid}`] : []),
      ...(silent ? [] : [`FLAGS ${encodeFlags(message.flags)}`]),
      ...(session.condStore ? [`MODSEQ (${message.modSeq})`] : []),
    ];
    session.tellFetched({ sequence, uid: message.uid }, items);
    await session.response.room;
  }
  const modified = modifiedOf(asked, changed, numbering);
  if (unchangedSince !== undefined && modified.length > 0) {
    // what they are now is told with the completion
    session.selected.stale = true;
    return { code: `MODIFIED ${formatSet(modified)}`, text: 'Some have changed since' };
  }
  // what has gone at this very moment is not among what was changed
  const missing = selection.missing || modified.length > 0;
  return completeOver(missing, numbering, { text: 'STORE completed' });
}
