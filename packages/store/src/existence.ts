/** Whether what an id means is there: not removed, not waiting to be swept. */
import type { Kysely } from 'kysely';
import { StoreError } from './errors.ts';
import type { AccountId, MailboxId } from './mail-store.ts';
import type { MailboxRow, Schema } from './schema.ts';

export function noSuchAccount(): StoreError {
  return new StoreError('no-such-account', 'there is no such account');
}

export function noSuchDomain(name: string): StoreError {
  return new StoreError('no-such-domain', `there is no domain ${name} here`);
}

export function noSuchMailbox(): StoreError {
  return new StoreError('no-such-mailbox', 'there is no such mailbox');
}

/** Throws StoreError (no-such-account). */
export async function requireAccount(db: Kysely<Schema>, id: AccountId): Promise<void> {
  const row = await db
    .selectFrom('accounts')
    .select('id')
    .where('id', '=', id)
    .where('address_key', 'is not', null)
    .executeTakeFirst();
  if (row === undefined) throw noSuchAccount();
}

/** Throws StoreError (no-such-mailbox). */
export async function requireMailbox(db: Kysely<Schema>, id: MailboxId): Promise<MailboxRow> {
  const row = await db
    .selectFrom('mailboxes')
    .selectAll()
    .where('id', '=', id)
    .where('name', 'is not', null)
    .executeTakeFirst();
  if (row === undefined) throw noSuchMailbox();
  return row;
}
