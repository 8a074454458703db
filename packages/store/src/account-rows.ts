/** Rows of accounts as accounts. */
import type { Selectable } from 'kysely';
import type { Account } from './mail-store.ts';
import type { AccountsTable } from './schema.ts';

export const ACCOUNT_COLUMNS = ['id', 'address', 'created_at'] as const;

export function toAccount(
  row: Pick<Selectable<AccountsTable>, (typeof ACCOUNT_COLUMNS)[number]>,
): Account {
  return { id: row.id, address: row.address, createdAt: new Date(row.created_at) };
}
