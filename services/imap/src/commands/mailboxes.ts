/** CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE (RFC 3501 §6.3.3 to §6.3.7). */
import { INBOX, isInferior, parseMailboxName, SPECIAL_USES } from '@mail/store';
import { refuse } from '../errors.ts';
import { type CreateArguments, DELIMITER, type RenameArguments } from '../parser/mailbox.ts';
import type { Completion, Session } from '../session.ts';
import { tellName } from './list.ts';

/** The one use that a mailbox can have, in its usual spelling. Throws ReplyError (USEATTR: RFC 6154 §5.3). */
function useOf(uses: readonly string[]): string | undefined {
  const [asked, another] = uses;
  if (asked === undefined) return undefined;
  const known = SPECIAL_USES.find((use) => use.toLowerCase() === asked.toLowerCase());
  if (known === undefined) throw refuse('USEATTR', 'No mailbox can have that use here');
  if (another !== undefined) throw refuse('USEATTR', 'A mailbox has one use here');
  return known;
}

/** With its id, as RFC 8474 §4.2 has it. */
export async function create(
  session: Session,
  { mailbox: name, uses }: CreateArguments,
): Promise<Completion> {
  const { mailboxes } = session.store;
  const created = await mailboxes.create(session.account.id, name, useOf(uses));
  session.notifications.watch?.view.expectName(created.name, true);
  const { objectId } = created;
  await tellSpelling(session, created.name, name);
  return { code: `MAILBOXID (${objectId})`, text: 'CREATE completed' };
}

/** To clients of IMAP4rev2, how the store spells a name that they write otherwise (RFC 9051 §6.3.4, §6.3.5). */
async function tellSpelling(session: Session, name: string, called: string): Promise<void> {
  // one "/" at the end declares a superior; the name is without it (RFC 9051 §6.3.4)
  if (called !== name && called !== name + DELIMITER) await tellName(session, name, called);
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
      ? refuse('HASCHILDREN', 'There are mailboxes below that name')
      : refuse('NONEXISTENT', 'No such mailbox');
  }
  const { state } = session;
  await session.store.mailboxes.delete(mailbox.id);
  session.notifications.watch?.view.expectName(mailbox.name, false);
  if (state.name === 'selected' && state.selected.mailbox.id === mailbox.id) session.deselect();
  await tellSpelling(session, mailbox.name, name);
  return { text: 'DELETE completed' };
}

export async function rename(session: Session, { from, to }: RenameArguments): Promise<Completion> {
  await session.store.mailboxes.rename(session.account.id, from, to);
  // of INBOX it moves messages, and INBOX may be what is selected here
  if (session.state.name === 'selected') session.selected.stale = true;
  // of INBOX it leaves the name (RFC 9051 §6.3.6)
  const name = parseMailboxName(to);
  const before = parseMailboxName(from);
  if (name !== undefined && before !== undefined) {
    const view = session.notifications.watch?.view;
    if (before === INBOX) view?.expectName(name, true);
    else view?.expectRename(before, name);
    if (before !== INBOX) await tellName(session, name, from);
  }
  return { text: 'RENAME completed' };
}

async function setSubscription(session: Session, text: string, subscribed: boolean): Promise<void> {
  await session.store.mailboxes.subscribe(session.account.id, text, subscribed);
  const name = parseMailboxName(text);
  if (name !== undefined) {
    session.notifications.watch?.view.expectSubscription(name, subscribed);
  }
}

export async function subscribe(session: Session, name: string): Promise<Completion> {
  await setSubscription(session, name, true);
  return { text: 'SUBSCRIBE completed' };
}

export async function unsubscribe(session: Session, name: string): Promise<Completion> {
  await setSubscription(session, name, false);
  return { text: 'UNSUBSCRIBE completed' };
}
