/** STORE and UID STORE (RFC 3501 §6.4.6). */
import type { FlagChange } from '@mail/store';
import type { StoreArguments } from '../parser/flags.ts';
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

export async function store(
  session: Session,
  { set, change, silent, flags }: StoreArguments,
  numbering: Numbering,
): Promise<Completion> {
  session.requireWritable();
  const selection = session.resolve(set, numbering);
  const { mailbox, view } = session.selected;
  const uids = selection.found.map(({ message }) => message.uid);
  const changed = await session.store.messages.changeFlags(mailbox.id, uids, change, flags);
  view.note(changed, (before, now) => (silent ? expectedFlags(before, change, flags) : now.flags));
  for (const { uid, flags: now } of silent ? [] : changed) {
    const sequence = view.sequenceOf(uid);
    if (sequence === undefined) continue;
    const uidItem = numbering === 'uid' ? `UID ${uid} ` : '';
    session.response.untagged(`${sequence} FETCH (${uidItem}FLAGS ${encodeFlags(now)})`);
    view.told(uid);
    await session.response.room;
  }
  return completeOver(selection, numbering, { text: 'STORE completed' });
}
