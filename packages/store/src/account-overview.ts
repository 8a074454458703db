/** An account at one glance: which mailboxes it has and what they count; and whether any of that has changed. */
import { type Kysely, sql } from 'kysely';
import { readAnnotationChanges } from './annotations.ts';
import { noSuchAccount } from './existence.ts';
import { inGroups } from './id-groups.ts';
import type { AccountId, AccountOverview, MailboxId, ModSeq } from './mail-store.ts';
import { listOverviews, listSubscriptions } from './mailboxes.ts';
import type { Schema } from './schema.ts';

/** Throws StoreError (no-such-account). */
export async function readOverview(
  db: Kysely<Schema>,
  accountId: AccountId,
  since: ModSeq | undefined,
): Promise<AccountOverview> {
  const account = await db
    .selectFrom('accounts')
    .select('modseq')
    .where('id', '=', accountId)
    .where('address_key', 'is not', null)
    .executeTakeFirst();
  if (account === undefined) throw noSuchAccount();
  return {
    modSeq: account.modseq,
    mailboxes: await listOverviews(db, accountId),
    subscriptions: await listSubscriptions(db, accountId),
    annotations:
      since === undefined || since >= account.modseq
        ? []
        : await readAnnotationChanges(db, accountId, since),
  };
}

/**
 * A text for each account, never the same after a change of its mailboxes, their messages, subscriptions
 * or annotations. Those that were removed are left out.
 */
export async function readAccountVersions(
  db: Kysely<Schema>,
  ids: readonly AccountId[],
): Promise<Map<AccountId, string>> {
  const versions = new Map<AccountId, string>();
  for (const group of inGroups(ids)) {
    const rows = await db
      .selectFrom('accounts')
      .innerJoin('mailboxes', 'mailboxes.account_id', 'accounts.id')
      // while the account's own number stays, so do its mailboxes, and then each change makes the sum grow
      .select(['accounts.id', 'accounts.modseq', sql`sum(mailboxes.highest_modseq)`.as('sum')])
      .where('accounts.id', 'in', group)
      .where('accounts.address_key', 'is not', null)
      .where('mailboxes.name', 'is not', null)
      .groupBy(['accounts.id', 'accounts.modseq'])
      .execute();
    for (const { id, modseq, sum } of rows) versions.set(id, `${modseq} ${sum}`);
  }
  return versions;
}

/** Whose these are. */
export async function readOwners(
  db: Kysely<Schema>,
  ids: readonly MailboxId[],
): Promise<AccountId[]> {
  const owners = new Set<AccountId>();
  for (const group of inGroups(ids)) {
    const rows = await db
      .selectFrom('mailboxes')
      .select('account_id')
      .where('id', 'in', group)
      .execute();
    for (const row of rows) owners.add(row.account_id);
  }
  return [...owners];
}
