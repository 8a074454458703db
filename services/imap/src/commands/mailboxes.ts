/** CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, STATUS (RFC 3501 §6.3.3 to §6.3.7, §6.3.10). */
import { isInferior, type MailboxStatus, parseMailboxName } from '@mail/store';
import { refuse } from '../errors.ts';
import type { RenameArguments, StatusArguments, StatusItem } from '../parser/mailbox.ts';
import { encodeAstring } from '../response.ts';
import type { Completion, Session } from '../session.ts';
import { encodeMailboxName } from '../utf7.ts';

export async function create(session: Session, name: string): Promise<Completion> {
  await session.store.mailboxes.create(session.account.id, name);
  return { text: 'CREATE completed' };
}

async function isSuperior(session: Session, text: string): Promise<boolean> {
  const name = parseMailboxName(text);
  if (name === undefined) return false;
  const mailboxes = await session.store.mailboxes.list(session.account.id);
  return mailboxes.some((mailbox) => isInferior(mailbox.name, name));
}

/** Inferiors stay; a name that is only their superior can't be deleted (RFC 3501 §6.3.4). */
export async function remove(session: Session, name: string): Promise<Completion> {
  const mailbox = await session.store.mailboxes.find(session.account.id, name);
  if (mailbox === undefined) {
    throw (await isSuperior(session, name))
      ? refuse('CANNOT', 'There are mailboxes below that name')
      : refuse('NONEXISTENT', 'No such mailbox');
  }
  const { state } = session;
  await session.store.mailboxes.delete(mailbox.id);
  if (state.name === 'selected' && state.selected.mailbox.id === mailbox.id) session.deselect();
  return { text: 'DELETE completed' };
}

export async function rename(session: Session, { from, to }: RenameArguments): Promise<Completion> {
  await session.store.mailboxes.rename(session.account.id, from, to);
  // of INBOX it moves messages, and INBOX may be what is selected here
  if (session.state.name === 'selected') session.selected.stale = true;
  return { text: 'RENAME completed' };
}

export async function subscribe(session: Session, name: string): Promise<Completion> {
  await session.store.mailboxes.subscribe(session.account.id, name, true);
  return { text: 'SUBSCRIBE completed' };
}

export async function unsubscribe(session: Session, name: string): Promise<Completion> {
  await session.store.mailboxes.subscribe(session.account.id, name, false);
  return { text: 'UNSUBSCRIBE completed' };
}

const STATUS_VALUES: Record<StatusItem, (status: MailboxStatus) => number> = {
  MESSAGES: ({ messages }) => messages,
  // no message is \Recent here: see match.ts
  RECENT: () => 0,
  UIDNEXT: ({ uidNext }) => uidNext,
  UIDVALIDITY: ({ uidValidity }) => uidValidity,
  UNSEEN: ({ unseen }) => unseen,
};

export async function status(
  session: Session,
  { mailbox: name, items }: StatusArguments,
): Promise<Completion> {
  const mailbox = await session.findMailbox(name, 'NONEXISTENT');
  const found = await session.store.mailboxes.status(mailbox.id);
  const values = items.map((item) => `${item} ${STATUS_VALUES[item](found)}`);
  const wireName = encodeAstring(encodeMailboxName(mailbox.name));
  session.response.untagged(`STATUS ${wireName} (${values.join(' ')})`);
  return { text: 'STATUS completed' };
}
