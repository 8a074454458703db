/** SELECT, EXAMINE, CLOSE, UNSELECT (RFC 3501 §6.3.1, §6.3.2, §6.4.2; RFC 3691). */
import type { Completion, Session } from '../session.ts';
import { expungeDeleted } from './expunge.ts';

async function open(session: Session, name: string, readOnly: boolean): Promise<Completion> {
  // even a SELECT that fails leaves no mailbox selected (RFC 3501 §6.3.1)
  session.deselect();
  const mailbox = await session.findMailbox(name, 'NONEXISTENT');
  const { view } = await session.select(mailbox, readOnly);
  const { response } = session;
  const { uidNext } = await session.store.mailboxes.status(mailbox.id);
  session.tellFlagsInUse(view.flagsInUse);
  response.untagged(`${view.count} EXISTS`);
  response.untagged('0 RECENT');
  const unseen = view.firstUnseen;
  if (unseen !== undefined) response.notice(`UNSEEN ${unseen}`, 'First unseen message');
  response.notice(`UIDVALIDITY ${mailbox.uidValidity}`, 'UIDs are valid');
  response.notice(`UIDNEXT ${uidNext}`, 'Predicted next UID');
  response.notice(`MAILBOXID (${mailbox.objectId})`, 'Its id');
  return readOnly
    ? { code: 'READ-ONLY', text: 'EXAMINE completed' }
    : { code: 'READ-WRITE', text: 'SELECT completed' };
}

export function select(session: Session, name: string): Promise<Completion> {
  return open(session, name, false);
}

export function examine(session: Session, name: string): Promise<Completion> {
  return open(session, name, true);
}

/** Removes what is \Deleted without a word, unless the mailbox was opened by EXAMINE. */
export async function close(session: Session): Promise<Completion> {
  if (!session.selected.readOnly) await expungeDeleted(session);
  session.deselect();
  return { text: 'CLOSE completed' };
}

export function unselect(session: Session): Completion {
  session.deselect();
  return { text: 'UNSELECT completed' };
}
