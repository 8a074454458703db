/**
 * GETACL, SETACL, DELETEACL, LISTRIGHTS, MYRIGHTS (RFC 4314 §3). Identifiers are addresses of accounts; rights
 * are given to one at a time, and nobody's are taken away by "-identifier". A mailbox's owner always has all.
 */
import { type Account, RIGHTS, StoreError } from '@mail/store';
import type { AccessibleMailbox } from '../access/mailboxes.ts';
import { canAskForRights, has, tellRights } from '../access/rights.ts';
import { type ReplyError, refuse } from '../errors.ts';
import type { IdentifierArguments, SetAclArguments } from '../parser/acl.ts';
import type { Completion, Session } from '../session.ts';

const noSuchUser = (cause?: unknown): ReplyError => refuse('CANNOT', 'No such user here', cause);

/** Throws ReplyError. */
async function findUser({ store }: Session, identifier: string): Promise<Account> {
  // RFC 4314 §2: that would be rights that are taken away
  if (identifier.startsWith('-')) throw noSuchUser();
  const account = await store.accounts.find(identifier);
  if (account === undefined) throw noSuchUser();
  return account;
}

async function change(
  session: Session,
  { mailbox: name, identifier, change: how, rights }: SetAclArguments,
): Promise<void> {
  const mailbox = await session.findMailbox(name, has('a'));
  const user = await findUser(session, identifier);
  try {
    await session.store.sharing.change(mailbox.id, user.id, how, rights);
  } catch (error) {
    // removed since it was found
    throw error instanceof StoreError && error.code === 'no-such-account'
      ? noSuchUser(error)
      : error;
  }
}

export async function setAcl(session: Session, parsed: SetAclArguments): Promise<Completion> {
  await change(session, parsed);
  return { text: 'SETACL completed' };
}

export async function deleteAcl(
  session: Session,
  parsed: IdentifierArguments,
): Promise<Completion> {
  await change(session, { ...parsed, change: 'replace', rights: '' });
  return { text: 'DELETEACL completed' };
}

export async function getAcl(session: Session, name: string): Promise<Completion> {
  const { response, strings, store } = session;
  const mailbox = await session.findMailbox(name, has('a'));
  const all = { account: mailbox.owner, rights: RIGHTS };
  const grants = [all, ...(await store.sharing.grants(mailbox.id))];
  const told = grants.map(
    ({ account, rights }) => ` ${strings.astring(account.address)} ${tellRights(rights)}`,
  );
  response.untagged(`ACL ${strings.mailbox(mailbox.name)}${told.join('')}`);
  return { text: 'GETACL completed' };
}

/** Any by itself, but to the owner, who has them. */
export async function listRights(
  session: Session,
  { mailbox: name, identifier }: IdentifierArguments,
): Promise<Completion> {
  const { response, strings } = session;
  const mailbox = await session.findMailbox(name, has('a'));
  const user = await findUser(session, identifier);
  const all = tellRights(RIGHTS);
  const rights = user.id === mailbox.owner.id ? all : `"" ${[...all].join(' ')}`;
  response.untagged(
    `LISTRIGHTS ${strings.mailbox(mailbox.name)} ${strings.astring(identifier)} ${rights}`,
  );
  return { text: 'LISTRIGHTS completed' };
}

/** Of one that LIST tells too (RFC 8440). */
export function tellMyRights({ response, strings }: Session, mailbox: AccessibleMailbox): void {
  response.untagged(`MYRIGHTS ${strings.mailbox(mailbox.name)} ${tellRights(mailbox.rights)}`);
}

export async function myRights(session: Session, name: string): Promise<Completion> {
  tellMyRights(session, await session.findMailbox(name, canAskForRights));
  return { text: 'MYRIGHTS completed' };
}
