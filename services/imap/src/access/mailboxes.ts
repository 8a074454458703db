/**
 * Mailboxes as a user has them: the account's own, and those of others by what may be done with them. The
 * one place where a name becomes a mailbox and its owner.
 */
import {
  type Account,
  type AccountOverview,
  compareNames,
  type Mailbox,
  type MailboxId,
  type MailStore,
  type ModSeq,
  RIGHTS,
  type SharedMailbox,
  StoreError,
  superiorsOf,
} from '@mail/store';
import { type RefusalCode, refuse } from '../errors.ts';
import { has, type Needs } from './rights.ts';
import { formatSharedName, parseSharedName } from './shared-names.ts';

/** Who asks; a session is one. */
export interface User {
  readonly store: Pick<MailStore, 'mailboxes' | 'sharing'>;
  readonly account: Account;
}

export interface AccessibleMailbox extends Mailbox {
  /** As this user calls it. */
  readonly name: string;
  readonly owner: Account;
  /** Letters of RIGHTS; may be none. */
  readonly rights: string;
}

function toOwn(owner: Account, mailbox: Mailbox): AccessibleMailbox {
  return { ...mailbox, owner, rights: RIGHTS };
}

/** Its use is its owner's: nobody keeps drafts in those of others. */
function toShared({ mailbox, owner, rights }: SharedMailbox): AccessibleMailbox {
  const name = formatSharedName({ owner: owner.address, name: mailbox.name });
  return { ...mailbox, name, specialUse: undefined, owner, rights };
}

/** The mailbox of that name, though the user may have no right to it. */
export async function lookUpMailbox(
  { store, account }: User,
  text: string,
): Promise<AccessibleMailbox | undefined> {
  const own = await store.mailboxes.find(account.id, text);
  if (own !== undefined) return toOwn(account, own);
  const named = parseSharedName(text);
  if (named === undefined) return undefined;
  const shared = await store.sharing.find(account.id, named.owner, named.name);
  return shared && toShared(shared);
}

/** The same mailbox as it is now, of somebody else; undefined where it is gone. */
export async function lookUpAgain(
  { store, account }: User,
  id: MailboxId,
): Promise<AccessibleMailbox | undefined> {
  const shared = await store.sharing.read(account.id, id);
  return shared && toShared(shared);
}

/** All that LIST shows, in order of name. */
export async function listMailboxes({ store, account }: User): Promise<AccessibleMailbox[]> {
  const own = await store.mailboxes.list(account.id);
  const shared = (await store.sharing.list(account.id)).filter(({ rights }) => has('l')(rights));
  if (shared.length === 0) return own.map((mailbox) => toOwn(account, mailbox));
  return [...own.map((mailbox) => toOwn(account, mailbox)), ...shared.map(toShared)].sort((a, b) =>
    compareNames(a.name, b.name),
  );
}

/** All of an account at one moment, with those mailboxes of others that can be listed and read. */
export async function readOverview(
  { store, account }: User & { readonly store: Pick<MailStore, 'overview'> },
  since?: ModSeq,
): Promise<AccountOverview> {
  const overview = await store.overview(account.id, since);
  const shared = (await store.sharing.list(account.id))
    .filter(({ rights }) => has('l')(rights) && has('r')(rights))
    .map((one) => ({ ...toShared(one), status: one.mailbox.status }));
  if (shared.length === 0) return overview;
  const mailboxes = [...overview.mailboxes, ...shared].sort((a, b) => compareNames(a.name, b.name));
  return { ...overview, mailboxes };
}

/**
 * `mailbox`, where the user has what it needs. Throws ReplyError: with `missing` where there is none, and in
 * the same words where the user may not know of it (RFC 4314 §6).
 */
export function requireAccess(
  mailbox: AccessibleMailbox | undefined,
  needs: Needs,
  missing: RefusalCode,
): AccessibleMailbox {
  if (mailbox !== undefined && needs(mailbox.rights)) return mailbox;
  throw mailbox !== undefined && has('l')(mailbox.rights)
    ? refuse('NOPERM', 'You may not do that with this mailbox')
    : refuse(missing, 'No such mailbox');
}

/** Where a mailbox can be made: whose it will be, and what they will call it. */
export interface Place {
  readonly owner: Account;
  readonly name: string;
}

/** Throws ReplyError (NOPERM), whatever there is. */
export async function findPlace(user: User, text: string): Promise<Place> {
  const named = parseSharedName(text);
  if (named === undefined) return { owner: user.account, name: text };
  const above = await findNearestAbove(user, named.owner, named.name);
  if (above === undefined || !has('k')(above.rights)) {
    throw refuse('NOPERM', 'You may not make a mailbox there');
  }
  return { owner: above.owner, name: named.name };
}

async function findNearestAbove(
  { store, account }: User,
  owner: string,
  name: string,
): Promise<SharedMailbox | undefined> {
  for (const superior of superiorsOf(name).reverse()) {
    const found = await store.sharing.find(account.id, owner, superior);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** What the user calls a mailbox that its owner calls `name`. */
export function nameFor({ account }: User, owner: Account, name: string): string {
  return owner.id === account.id ? name : formatSharedName({ owner: owner.address, name });
}

/** Does something in the account of somebody who may be removed meanwhile. Throws ReplyError then. */
export async function withOwner<T>(
  { account }: User,
  owner: Account,
  doing: Promise<T>,
): Promise<T> {
  try {
    return await doing;
  } catch (error) {
    const isGone = error instanceof StoreError && error.code === 'no-such-account';
    if (!isGone || owner.id === account.id) throw error;
    throw refuse('NONEXISTENT', 'No such mailbox', error);
  }
}
