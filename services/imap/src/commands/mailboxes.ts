/** CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE (RFC 3501 §6.3.3 to §6.3.7). */
import { INBOX, isInferior, parseMailboxName, SPECIAL_USES } from '@mail/store';
import {
  findPlace,
  listMailboxes,
  lookUpMailbox,
  nameFor,
  type Place,
  requireAccess,
  withOwner,
} from '../access/mailboxes.ts';
import { has } from '../access/rights.ts';
import { parseSharedName } from '../access/shared-names.ts';
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
  const use = useOf(uses);
  const place = await findPlace(session, name);
  const { owner } = place;
  if (use !== undefined && owner.id !== session.account.id) {
    throw refuse('USEATTR', 'Only its owner says what a mailbox is for');
  }
  const making = session.store.mailboxes.create(owner.id, place.name, use);
  const { objectId, ...created } = await withOwner(session, owner, making);
  const made = nameFor(session, owner, created.name);
  session.notifications.watch?.view.expectName(made, true);
  await tellSpelling(session, made, name);
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
  const mailboxes = await listMailboxes(session);
  return mailboxes.some((mailbox) => isInferior(mailbox.name, name));
}

/** Inferiors stay; a name that is only their superior can't be deleted (RFC 3501 §6.3.4). */
export async function remove(session: Session, name: string): Promise<Completion> {
  const found = await lookUpMailbox(session, name);
  if (found === undefined && (await isSuperior(session, name))) {
    throw refuse('HASCHILDREN', 'There are mailboxes below that name');
  }
  const mailbox = requireAccess(found, has('x'), 'NONEXISTENT');
  const { state } = session;
  await session.store.mailboxes.delete(mailbox.id);
  session.notifications.watch?.view.expectName(mailbox.name, false);
  if (state.name === 'selected' && state.selected.mailbox.id === mailbox.id) session.deselect();
  await tellSpelling(session, mailbox.name, name);
  return { text: 'DELETE completed' };
}

/** Whose mailbox is renamed, and what they call it. Of one's own there may be only superiors of that name. */
async function findRenamed(session: Session, from: string): Promise<Place> {
  const mailbox = await lookUpMailbox(session, from);
  const named = parseSharedName(from);
  if (named === undefined || mailbox?.owner.id === session.account.id) {
    return { owner: session.account, name: from };
  }
  const { owner } = requireAccess(mailbox, has('x'), 'NONEXISTENT');
  return { owner, name: named.name };
}

export async function rename(session: Session, { from, to }: RenameArguments): Promise<Completion> {
  const renamed = await findRenamed(session, from);
  const place = await findPlace(session, to);
  const { owner } = renamed;
  if (owner.id !== place.owner.id) throw refuse('CANNOT', 'A mailbox stays with its owner');
  const renaming = session.store.mailboxes.rename(owner.id, renamed.name, place.name);
  await withOwner(session, owner, renaming);
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
  const mailbox = await lookUpMailbox(session, text);
  // as LIST has it, of one that LIST has
  const called = mailbox !== undefined && has('l')(mailbox.rights) ? mailbox.name : text;
  await session.store.mailboxes.subscribe(session.account.id, called, subscribed);
  const name = parseMailboxName(called);
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
