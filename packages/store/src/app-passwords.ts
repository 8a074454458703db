/** Application passwords: several to an account, each with a name, none of them kept in the clear. */
import type { Kysely, Selectable } from 'kysely';
import { parseAddress } from './addresses.ts';
import { StoreError } from './errors.ts';
import { lockAccount } from './locks.ts';
import type { Account, AccountId, AppPassword, NewAppPassword } from './mail-store.ts';
import type { AppPasswordsTable, Schema } from './schema.ts';
import type { WriteContext } from './write-context.ts';

/** Each costs a SCRAM login a computation, and nobody has more programs. */
export const MAX_APP_PASSWORDS = 32;
const MAX_NAME_CHARACTERS = 64;
/** One line that can be printed. */
const NAME = /^[^\p{C}\p{Zl}\p{Zp}]+$/u;

const COLUMNS = ['id', 'name', 'created_at', 'expires_at', 'last_used_at'] as const;

function toDate(ms: number | null): Date | undefined {
  return ms === null ? undefined : new Date(ms);
}

function toAppPassword(
  row: Pick<Selectable<AppPasswordsTable>, (typeof COLUMNS)[number]>,
): AppPassword {
  return {
    id: row.id,
    name: row.name,
    createdAt: new Date(row.created_at),
    expiresAt: toDate(row.expires_at),
    lastUsedAt: toDate(row.last_used_at),
  };
}

export async function listAppPasswords(
  db: Kysely<Schema>,
  accountId: AccountId,
): Promise<AppPassword[]> {
  const rows = await db
    .selectFrom('app_passwords')
    .select(COLUMNS)
    .where('account_id', '=', accountId)
    .orderBy('name')
    .execute();
  return rows.map(toAppPassword);
}

/** Found by its hash, whose pre-image nobody can steer: how long the index takes tells nothing. */
export async function findAppPassword(
  db: Kysely<Schema>,
  address: string,
  hash: string,
): Promise<{ account: Account; appPassword: AppPassword } | undefined> {
  const row = await db
    .selectFrom('app_passwords')
    .innerJoin('accounts', 'accounts.id', 'app_passwords.account_id')
    .select([
      'app_passwords.id',
      'name',
      'app_passwords.created_at',
      'expires_at',
      'last_used_at',
      'accounts.id as account_id',
      'accounts.address',
      'accounts.created_at as account_created_at',
    ])
    .where('accounts.address_key', '=', parseAddress(address)?.key ?? '')
    .where('hash', '=', hash)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  const { account_id: id, address: whole, account_created_at: createdAt } = row;
  const account = { id, address: whole, createdAt: new Date(createdAt) };
  return { account, appPassword: toAppPassword(row) };
}

export async function readAppPasswordKeys(
  db: Kysely<Schema>,
  accountId: AccountId,
): Promise<{ appPassword: AppPassword; scramKeys: string }[]> {
  const rows = await db
    .selectFrom('app_passwords')
    .select([...COLUMNS, 'scram_keys'])
    .where('account_id', '=', accountId)
    .orderBy('id')
    .execute();
  return rows.flatMap(({ scram_keys: scramKeys, ...row }) =>
    scramKeys === null ? [] : [{ appPassword: toAppPassword(row), scramKeys }],
  );
}

export async function addAppPassword(
  context: WriteContext,
  { accountId, name, hash, scramKeys, expiresAt }: NewAppPassword & { accountId: AccountId },
): Promise<AppPassword> {
  const { db, now } = context;
  if (name.length > MAX_NAME_CHARACTERS || name.trim() === '' || !NAME.test(name)) {
    throw new StoreError(
      'bad-app-password-name',
      `the name of an application password has 1 to ${MAX_NAME_CHARACTERS} printable characters`,
    );
  }
  // others that add one wait, so the count stays true
  await lockAccount(context, accountId);
  if ((await listAppPasswords(db, accountId)).length >= MAX_APP_PASSWORDS) {
    throw new StoreError(
      'too-many-app-passwords',
      `an account has ${MAX_APP_PASSWORDS} application passwords at most`,
    );
  }
  const row = await db
    .insertInto('app_passwords')
    .values({
      account_id: accountId,
      name,
      hash,
      scram_keys: scramKeys ?? null,
      created_at: now.getTime(),
      expires_at: expiresAt?.getTime() ?? null,
      last_used_at: null,
    })
    .onConflict((conflict) => conflict.columns(['account_id', 'name']).doNothing())
    .returning(COLUMNS)
    .executeTakeFirst();
  if (row === undefined) {
    throw new StoreError('app-password-exists', `there is an application password ${name} already`);
  }
  return toAppPassword(row);
}

export async function removeAppPassword(
  { db }: WriteContext,
  { accountId, name }: { accountId: AccountId; name: string },
): Promise<void> {
  const { numDeletedRows } = await db
    .deleteFrom('app_passwords')
    .where('account_id', '=', accountId)
    .where('name', '=', name)
    .executeTakeFirstOrThrow();
  if (numDeletedRows === 0n) {
    throw new StoreError('no-such-app-password', `there is no application password ${name}`);
  }
}

export async function noteAppPasswordUse(
  { db, now }: WriteContext,
  { id }: { id: number },
): Promise<void> {
  await db
    .updateTable('app_passwords')
    .set({ last_used_at: now.getTime() })
    .where('id', '=', id)
    .execute();
}
