/** EXPUNGE (RFC 3501 §6.4.3) and UID EXPUNGE (RFC 4315 §2.1). */
import type { MessageSet } from '../parser/sequence-set.ts';
import type { Completion, Session } from '../session.ts';

/**
 * Removes what is \Deleted, of `among` where it is given; the view hears of it by the store, which has
 * the last word on the flags: somebody may be taking one back at this moment.
 */
export async function expungeDeleted(session: Session, among?: MessageSet): Promise<void> {
  await session.refresh();
  const { mailbox, view } = session.selected;
  const { messages } = session.store;
  const deleted = await messages.marked(mailbox.id, 'deleted');
  // what the client has not heard of stays, and what it does not name
  const selection = among === undefined ? view.everything() : view.byUid(among);
  const uids = selection.among(deleted).map(({ uid }) => uid);
  if (uids.length === 0) return;
  await messages.expunge(mailbox.id, uids, { onlyDeleted: true });
  session.selected.stale = true;
}

export async function expunge(session: Session, among?: MessageSet): Promise<Completion> {
  session.requireRights('e');
  session.notifications.expunging = true;
  await expungeDeleted(session, among);
  const text = 'EXPUNGE completed';
  if (!session.condStore) return { text };
  // RFC 7162 §3.2.7: so that a client knows up to where it has heard
  await session.refresh();
  return { code: `HIGHESTMODSEQ ${session.selected.view.highestModSeq}`, text };
}
