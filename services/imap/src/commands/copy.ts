/** COPY (RFC 3501 §6.4.7) and MOVE (RFC 6851), by sequence number or UID, with COPYUID (RFC 4315 §3). */
import { changeableFlags, has } from '../access/rights.ts';
import type { CopyArguments } from '../parser/command.ts';
import { formatSet } from '../parser/sequence-set.ts';
import { type Completion, completeOver, type Numbering, type Session } from '../session.ts';

type Copied = Awaited<ReturnType<Session['store']['messages']['copy']>>;

/** UIDs come in order, so the two sets name the same messages pairwise. */
function copyUid({ from, to, uidValidity }: Copied): `COPYUID ${string}` | undefined {
  return from.length === 0
    ? undefined
    : `COPYUID ${uidValidity} ${formatSet(from)} ${formatSet(to)}`;
}

export async function copy(
  session: Session,
  { set, mailbox }: CopyArguments,
  numbering: Numbering,
): Promise<Completion> {
  const target = await session.findMailbox(mailbox, has('i'), 'TRYCREATE');
  if (session.selected.stale) await session.refresh();
  const selection = session.resolve(set, numbering);
  // RFC 2180 §4.4: all of them or none
  completeOver(selection.missing, numbering, { text: '' });
  const uids = selection.all().map(({ uid }) => uid);
  const keep = changeableFlags(target.rights);
  const { mailbox: source } = session.selected;
  const copied = await session.store.messages.copy(source.id, uids, target.id, keep);
  session.selected.stale = true;
  session.notifications.noteArrivals(target.id, copied.to);
  const code = copyUid(copied);
  return { ...(code && { code }), text: 'COPY completed' };
}

export async function move(
  session: Session,
  { set, mailbox }: CopyArguments,
  numbering: Numbering,
): Promise<Completion> {
  // as STORE and EXPUNGE need them
  session.requireRights('t', 'e');
  const selection = session.resolve(set, numbering);
  const target = await session.findMailbox(mailbox, has('i'), 'TRYCREATE');
  const uids = selection.all().map(({ uid }) => uid);
  const keep = changeableFlags(target.rights);
  const { mailbox: source } = session.selected;
  const moved = await session.store.messages.move(source.id, uids, target.id, keep);
  session.selected.stale = true;
  session.notifications.expunging = true;
  session.notifications.noteArrivals(target.id, moved.to);
  // ahead of the EXPUNGEs, so that a client knows where they went (RFC 6851 §4.3)
  const code = copyUid(moved);
  if (code !== undefined) session.response.notice(code, 'Moved');
  const missing = selection.missing || moved.from.length < uids.length;
  return completeOver(missing, numbering, { text: 'MOVE completed' });
}
