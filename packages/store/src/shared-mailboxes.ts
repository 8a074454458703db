/** Mailboxes as others than their owners have them, and whom a mailbox is shared with. */
import type { Kysely } from 'kysely';
import { ACCOUNT_COLUMNS, toAccount } from './account-rows.ts';
import { parseAddress } from './addresses.ts';
import { requireMailbox } from './existence.ts';
import type { AccountId, Grant, MailboxId, SharedMailbox } from './mail-store.ts';
import { compareNames, parseMailboxName } from './mailbox-names.ts';
import { STATUS_COLUMNS, selectMailboxes, toOverview } from './mailboxes.ts';
import type { Schema } from './schema.ts';

/** Of one account, listed: others may give it as many as they have. */
const MAX_SHARED = 10_000;

/** With the rights of one who is not the owner, null for none. */
function selectShared(db: Kysely<Schema>, accountId: AccountId) {
  return selectMailboxes(db)
    .innerJoin('accounts as owner', 'owner.id', 'mailboxes.account_id')
    .leftJoin('mailbox_rights', (join) =>
      join
        .onRef('mailbox_rights.mailbox_id', '=', 'mailboxes.id')
        .on('mailbox_rights.account_id', '=', accountId),
    )
    .select([
      'owner.id as owner_id',
      'owner.address as owner_address',
      'owner.created_at as owner_created_at',
      'mailbox_rights.rights',
    ])
    .select(STATUS_COLUMNS)
    .where('owner.id', '<>', accountId)
    .where('owner.address_key', 'is not', null);
}

type SharedRow = Awaited<ReturnType<ReturnType<typeof selectShared>['execute']>>[number];

function toShared(row: SharedRow): SharedMailbox {
  const { owner_id, owner_address, owner_created_at } = row;
  return {
    mailbox: toOverview(owner_id, row),
    owner: toAccount({ id: owner_id, address: owner_address, created_at: owner_created_at }),
    rights: row.rights ?? '',
  };
}

export async function listShared(
  db: Kysely<Schema>,
  accountId: AccountId,
): Promise<SharedMailbox[]> {
  // from the few that there are
  const rows = await selectShared(db, accountId)
    .where('mailboxes.id', 'in', (eb) =>
      eb.selectFrom('mailbox_rights').select('mailbox_id').where('account_id', '=', accountId),
    )
    .orderBy('mailboxes.id')
    .limit(MAX_SHARED)
    .execute();
  return rows
    .map(toShared)
    .sort(
      (a, b) =>
        compareNames(a.owner.address, b.owner.address) ||
        compareNames(a.mailbox.name, b.mailbox.name),
    );
}

export async function findShared(
  db: Kysely<Schema>,
  accountId: AccountId,
  owner: string,
  text: string,
): Promise<SharedMailbox | undefined> {
  const key = parseAddress(owner)?.key;
  const name = parseMailboxName(text);
  if (key === undefined || name === undefined) return undefined;
  const row = await selectShared(db, accountId)
    .where('owner.address_key', '=', key)
    .where('mailboxes.name', '=', name)
    .executeTakeFirst();
  return row && toShared(row);
}

export async function readShared(
  db: Kysely<Schema>,
  accountId: AccountId,
  mailboxId: MailboxId,
): Promise<SharedMailbox | undefined> {
  const row = await selectShared(db, accountId)
    .where('mailboxes.id', '=', mailboxId)
    .executeTakeFirst();
  return row && toShared(row);
}

export async function listGrants(db: Kysely<Schema>, mailboxId: MailboxId): Promise<Grant[]> {
  await requireMailbox(db, mailboxId);
  const rows = await db
    .selectFrom('mailbox_rights')
    .innerJoin('accounts', 'accounts.id', 'mailbox_rights.account_id')
    .select(ACCOUNT_COLUMNS.map((column) => `accounts.${column}` as const))
    .select('mailbox_rights.rights')
    .where('mailbox_rights.mailbox_id', '=', mailboxId)
    .where('accounts.address_key', 'is not', null)
    .orderBy('accounts.address_key')
    .execute();
  return rows.map((row) => ({ account: toAccount(row), rights: row.rights }));
}
