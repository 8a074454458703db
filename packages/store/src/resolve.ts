/**
 * Whose mail an address is for. An account's own row answers most questions; aliases are followed level by
 * level, each address once, so that loops end.
 */
import type { Kysely } from 'kysely';
import { ACCOUNT_COLUMNS, toAccount } from './account-rows.ts';
import { parseAddress, parseDomain, untaggedKey } from './addresses.ts';
import { StoreError } from './errors.ts';
import { inGroups } from './id-groups.ts';
import type { Account, AccountId, Resolution } from './mail-store.ts';
import type { Schema } from './schema.ts';

/** Aliases of aliases; more are a mistake. */
const MAX_DEPTH = 10;
/** Addresses that one stands for, those on the way included. */
const MAX_ADDRESSES = 5_000;

/** An address is one account's, or stands for others, or is nobody's and missing here. */
type Found = Map<string, Account | readonly string[]>;

async function lookUp(db: Kysely<Schema>, keys: readonly string[]): Promise<Found> {
  const found: Found = new Map();
  for (const group of inGroups(keys)) {
    const rows = await db
      .selectFrom('accounts')
      .select([...ACCOUNT_COLUMNS, 'address_key'])
      .where('address_key', 'in', group)
      .$narrowType<{ address_key: string }>()
      .execute();
    for (const row of rows) found.set(row.address_key, toAccount(row));
  }
  const others = keys.filter((key) => !found.has(key));
  for (const group of inGroups(others)) {
    const rows = await db
      .selectFrom('alias_targets')
      .select(['alias_key', 'target_key'])
      .where('alias_key', 'in', group)
      .execute();
    for (const [alias, targets] of Map.groupBy(rows, ({ alias_key }) => alias_key)) {
      found.set(
        alias,
        targets.map(({ target_key }) => target_key),
      );
    }
  }
  return found;
}

/** As lookUp, and those that are nobody's are looked up once more without their tag. */
async function lookUpTagged(db: Kysely<Schema>, keys: readonly string[]): Promise<Found> {
  const found = await lookUp(db, keys);
  const untagged = keys.flatMap((key) => (found.has(key) ? [] : (untaggedKey(key) ?? [])));
  if (untagged.length === 0) return found;
  return new Map([...found, ...(await lookUp(db, untagged))]);
}

/** The accounts that a key leads to, perhaps none. Throws StoreError (alias-too-large). */
export async function expandAddress(db: Kysely<Schema>, key: string): Promise<Account[]> {
  const accounts = new Map<AccountId, Account>();
  const seen = new Set([key]);
  let level: readonly string[] = [key];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > MAX_DEPTH || seen.size > MAX_ADDRESSES) throw tooLarge(key);
    const next = new Set<string>();
    for (const found of (await lookUpTagged(db, level)).values()) {
      if ('id' in found) accounts.set(found.id, found);
      else for (const target of found) if (!seen.has(target)) next.add(target);
    }
    for (const target of next) seen.add(target);
    level = [...next];
  }
  return [...accounts.values()];
}

function tooLarge(key: string): StoreError {
  return new StoreError(
    'alias-too-large',
    `${key} leads to more than ${MAX_ADDRESSES} addresses, or through more than ${MAX_DEPTH} aliases`,
  );
}

export async function resolveAddress(db: Kysely<Schema>, text: string): Promise<Resolution> {
  const address = parseAddress(text);
  const accounts = address === undefined ? [] : await expandAddress(db, address.key);
  if (accounts.length > 0) return accounts;
  // also of what can be no account's address here, such as a quoted local part
  const name = parseDomain(text.slice(text.lastIndexOf('@') + 1));
  if (name === undefined) return 'not-local';
  const domain = await db
    .selectFrom('domains')
    .select('catch_all')
    .where('name', '=', name)
    .executeTakeFirst();
  if (domain === undefined) return 'not-local';
  const catchAll = domain.catch_all === null ? undefined : parseAddress(domain.catch_all);
  const caught = catchAll === undefined ? [] : await expandAddress(db, catchAll.key);
  return caught.length > 0 ? caught : 'no-such-address';
}

/**
 * An address that mail can be passed on to. Throws StoreError (bad-address, target-not-local,
 * no-such-target).
 */
export async function requireTarget(
  db: Kysely<Schema>,
  text: string,
): Promise<{ address: string; key: string }> {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw noSuchTarget(text);
  const { address, domain, key } = parsed;
  if ((await expandAddress(db, key)).length > 0) return { address, key };
  const local = await db
    .selectFrom('domains')
    .select('name')
    .where('name', '=', domain)
    .executeTakeFirst();
  if (local !== undefined) throw noSuchTarget(address);
  throw new StoreError(
    'target-not-local',
    `${address} is not here, and mail is not passed on to other servers`,
  );
}

function noSuchTarget(address: string): StoreError {
  const shown = JSON.stringify(address.slice(0, 100));
  return new StoreError('no-such-target', `${shown} leads to no account`);
}
