/**
 * Rows that a write reads and then changes, kept from other writes until it is committed. All writes take
 * them in one order, so that no two wait for each other: a domain, accounts by id, mailboxes by id, the
 * counter of UIDVALIDITY, contents by id. An engine that runs one write at a time needs no locks and takes none.
 */
import { noSuchAccount, noSuchDomain, noSuchMailbox } from './existence.ts';
import { inGroups } from './id-groups.ts';
import type { AccountId, MailboxId } from './mail-store.ts';
import type { MailboxRow } from './schema.ts';
import type { WriteContext } from './write-context.ts';

function ascending(ids: readonly number[]): number[] {
  return [...new Set(ids)].sort((a, b) => a - b);
}

/** The domain stays, and no account or alias in it comes meanwhile. Throws no-such-domain. */
export async function lockDomain({ db, locksRows }: WriteContext, name: string): Promise<void> {
  const row = await db
    .selectFrom('domains')
    .select('name')
    .where('name', '=', name)
    .$if(locksRows, (query) => query.forUpdate())
    .executeTakeFirst();
  if (row === undefined) throw noSuchDomain(name);
}

/** What the accounts hold does not grow meanwhile, where every write that makes it grow locks them. */
export async function lockGrowth(
  { db, locksRows }: WriteContext,
  ids: readonly AccountId[],
): Promise<void> {
  if (!locksRows) return;
  for (const group of inGroups(ascending(ids))) {
    await db
      .selectFrom('accounts')
      .select('id')
      .where('id', 'in', group)
      .orderBy('id')
      .forNoKeyUpdate()
      .execute();
  }
}

/** The account stays, and with it what mailboxes and subscriptions it has. Throws no-such-account. */
export async function lockAccount({ db, locksRows }: WriteContext, id: AccountId): Promise<void> {
  const row = await db
    .selectFrom('accounts')
    .select('id')
    .where('id', '=', id)
    .where('address_key', 'is not', null)
    .$if(locksRows, (query) => query.forUpdate())
    .executeTakeFirst();
  if (row === undefined) throw noSuchAccount();
}

/** The mailboxes stay, and so do their messages. Those that do not exist are left out. */
export async function lockMailboxes(
  { db, locksRows }: WriteContext,
  ids: readonly MailboxId[],
): Promise<Map<MailboxId, MailboxRow>> {
  const locked = new Map<MailboxId, MailboxRow>();
  for (const group of inGroups(ascending(ids))) {
    const rows = await db
      .selectFrom('mailboxes')
      .selectAll()
      .where('id', 'in', group)
      .where('name', 'is not', null)
      .orderBy('id')
      .$if(locksRows, (query) => query.forNoKeyUpdate())
      .execute();
    for (const row of rows) locked.set(row.id, row);
  }
  return locked;
}

/** Throws StoreError (no-such-mailbox). */
export async function lockMailbox(context: WriteContext, id: MailboxId): Promise<MailboxRow> {
  const row = (await lockMailboxes(context, [id])).get(id);
  if (row === undefined) throw noSuchMailbox();
  return row;
}

/** What counts the references to these contents. */
export async function lockContents(
  { db, locksRows }: WriteContext,
  ids: readonly number[],
): Promise<void> {
  if (!locksRows) return;
  for (const group of inGroups(ascending(ids))) {
    await db
      .selectFrom('contents')
      .select('id')
      .where('id', 'in', group)
      .orderBy('id')
      .forNoKeyUpdate()
      .execute();
  }
}
