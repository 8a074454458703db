/** Accounts: who they are, how they log in, how they come and go. */
import type { Kysely } from 'kysely';
import { ACCOUNT_COLUMNS, toAccount } from './account-rows.ts';
import { parseAddress, requireAddress } from './addresses.ts';
import { ensureDomain } from './domains.ts';
import { StoreError } from './errors.ts';
import { noSuchAccount } from './existence.ts';
import { lockMailboxes } from './locks.ts';
import type { Account, AccountId, NewPassword, StoredCredentials } from './mail-store.ts';
import { INBOX } from './mailbox-names.ts';
import { insertMailbox, setSubscription } from './mailboxes.ts';
import { removeRightsTo } from './rights.ts';
import type { Schema } from './schema.ts';
import type { WriteContext } from './write-context.ts';

/** Name and use (RFC 6154 §2) of what each account has from the start. */
const DEFAULT_MAILBOXES: readonly (readonly [string, string | undefined])[] = [
  [INBOX, undefined],
  ['Drafts', '\\Drafts'],
  ['Sent', '\\Sent'],
  ['Junk', '\\Junk'],
  ['Trash', '\\Trash'],
  ['Archive', '\\Archive'],
];

export async function listAccounts(db: Kysely<Schema>): Promise<Account[]> {
  const rows = await db
    .selectFrom('accounts')
    .select(ACCOUNT_COLUMNS)
    .where('address_key', 'is not', null)
    .orderBy('address_key')
    .execute();
  return rows.map(toAccount);
}

export async function findAccount(
  db: Kysely<Schema>,
  address: string,
): Promise<Account | undefined> {
  const key = parseAddress(address)?.key;
  if (key === undefined) return undefined;
  const row = await db
    .selectFrom('accounts')
    .select(ACCOUNT_COLUMNS)
    .where('address_key', '=', key)
    .executeTakeFirst();
  return row && toAccount(row);
}

export async function findOldestAccount(
  db: Kysely<Schema>,
  domain: string | undefined,
): Promise<Account | undefined> {
  const row = await db
    .selectFrom('accounts')
    .select(ACCOUNT_COLUMNS)
    .where('address_key', 'is not', null)
    .$if(domain !== undefined, (query) => query.where('domain', '=', domain ?? ''))
    .orderBy('id')
    .limit(1)
    .executeTakeFirst();
  return row && toAccount(row);
}

export async function readCredentials(
  db: Kysely<Schema>,
  address: string,
): Promise<StoredCredentials | undefined> {
  const key = parseAddress(address)?.key;
  if (key === undefined) return undefined;
  const row = await db
    .selectFrom('accounts')
    .select([...ACCOUNT_COLUMNS, 'password_hash', 'scram_keys'])
    .where('address_key', '=', key)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  const { password_hash: passwordHash, scram_keys: scramKeys } = row;
  return { account: toAccount(row), passwordHash, scramKeys: scramKeys ?? undefined };
}

export async function addAccount(
  context: WriteContext,
  args: NewPassword & { address: string },
): Promise<Account> {
  const { db, now } = context;
  const { address, domain, key } = requireAddress(args.address);
  // no alias takes the address meanwhile, and the domain stays
  await ensureDomain(context, domain);
  const alias = await db
    .selectFrom('aliases')
    .select('address')
    .where('address_key', '=', key)
    .executeTakeFirst();
  if (alias !== undefined) {
    throw new StoreError('alias-exists', `${alias.address} is an alias, and no account`);
  }
  const row = await db
    .insertInto('accounts')
    .values({
      address,
      domain,
      address_key: key,
      password_hash: args.passwordHash,
      scram_keys: args.scramKeys ?? null,
      created_at: now.getTime(),
    })
    .onConflict((conflict) => conflict.column('address_key').doNothing())
    .returning(ACCOUNT_COLUMNS)
    .executeTakeFirst();
  if (row === undefined) {
    throw new StoreError('account-exists', `there is an account ${address} already`);
  }
  for (const [name, specialUse] of DEFAULT_MAILBOXES) {
    await insertMailbox(context, row.id, name, specialUse);
    await setSubscription(context, { accountId: row.id, name, subscribed: true });
  }
  return toAccount(row);
}

export async function setPassword(
  { db }: WriteContext,
  args: NewPassword & { id: AccountId },
): Promise<void> {
  const { numUpdatedRows } = await db
    .updateTable('accounts')
    .set({ password_hash: args.passwordHash, scram_keys: args.scramKeys ?? null })
    .where('id', '=', args.id)
    .where('address_key', 'is not', null)
    .executeTakeFirstOrThrow();
  if (numUpdatedRows === 0n) throw noSuchAccount();
}

export async function renewPassword(
  { db }: WriteContext,
  args: { id: AccountId; from: string; to: NewPassword },
): Promise<void> {
  await db
    .updateTable('accounts')
    .set({ password_hash: args.to.passwordHash, scram_keys: args.to.scramKeys ?? null })
    .where('id', '=', args.id)
    .where('password_hash', '=', args.from)
    .where('address_key', 'is not', null)
    .execute();
}

/** Takes the account out of sight at once; its mail is left to sweeps (sweep.ts). */
export async function removeAccount(context: WriteContext, args: { id: AccountId }): Promise<void> {
  const { db, touch, touchAccount } = context;
  const { numUpdatedRows } = await db
    .updateTable('accounts')
    .set({ address_key: null, password_hash: '', scram_keys: null })
    .where('id', '=', args.id)
    .where('address_key', 'is not', null)
    .executeTakeFirstOrThrow();
  if (numUpdatedRows === 0n) throw noSuchAccount();
  const rows = await db
    .selectFrom('mailboxes')
    .select('id')
    .where('account_id', '=', args.id)
    .execute();
  const ids = rows.map((mailbox) => mailbox.id);
  await lockMailboxes(context, ids);
  const mailboxes = await db
    .updateTable('mailboxes')
    .set((eb) => ({ name: null, highest_modseq: eb('highest_modseq', '+', 1) }))
    .where('account_id', '=', args.id)
    .where('name', 'is not', null)
    .returning(['id', 'highest_modseq'])
    .execute();
  for (const mailbox of mailboxes) touch(mailbox.id, mailbox.highest_modseq);
  touchAccount(args.id);
  await db.deleteFrom('subscriptions').where('account_id', '=', args.id).execute();
  await db.deleteFrom('app_passwords').where('account_id', '=', args.id).execute();
  await db.deleteFrom('mailbox_rights').where('account_id', '=', args.id).execute();
  await removeRightsTo(context, ids);
}
