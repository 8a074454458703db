/**
 * What accounts hold, and may hold. Usage is the sum over an account's mailboxes, whose counters each write
 * keeps right; a write that makes it grow asks in its own transaction whether there is room.
 */
import { type Kysely, sql } from 'kysely';
import { toAccount } from './account-rows.ts';
import { StoreError } from './errors.ts';
import { noSuchAccount } from './existence.ts';
import { inGroups } from './id-groups.ts';
import { lockGrowth } from './locks.ts';
import type {
  AccountId,
  AccountLimitsChange,
  AccountQuota,
  Limits,
  LimitsChange,
  Quota,
} from './mail-store.ts';
import type { DomainsTable, Schema } from './schema.ts';
import type { WriteContext } from './write-context.ts';

type Usage = Quota['used'];

/** In an account's column: null leaves the limit to the domain. */
const NO_LIMIT = -1;
const NOTHING: Usage = { octets: 0, messages: 0 };

interface LimitsRow {
  readonly quota_octets: number | null;
  readonly quota_messages: number | null;
  readonly domain_octets: number | null;
  readonly domain_messages: number | null;
}

function selectAccounts(db: Kysely<Schema>) {
  return db
    .selectFrom('accounts')
    .leftJoin('domains', 'domains.name', 'accounts.domain')
    .select([
      'accounts.id',
      'accounts.address',
      'accounts.created_at',
      'accounts.quota_octets',
      'accounts.quota_messages',
      'domains.quota_octets as domain_octets',
      'domains.quota_messages as domain_messages',
    ])
    .where('accounts.address_key', 'is not', null);
}

function limitInForce(own: number | null, domains: number | null): number | undefined {
  if (own === NO_LIMIT) return undefined;
  return own ?? domains ?? undefined;
}

function limitsInForce(row: LimitsRow): Limits {
  return {
    octets: limitInForce(row.quota_octets, row.domain_octets),
    messages: limitInForce(row.quota_messages, row.domain_messages),
  };
}

/** Of deleted mailboxes, which wait to be swept, nothing counts. */
function selectUsage(db: Kysely<Schema>) {
  return db
    .selectFrom('mailboxes')
    .select([
      'account_id as id',
      // PostgreSQL's sum of whole numbers is of a wider type
      sql<number>`cast(sum(size) as bigint)`.as('octets'),
      sql<number>`cast(sum(messages) as bigint)`.as('messages'),
    ])
    .where('name', 'is not', null)
    .groupBy('account_id');
}

function toUsage(rows: readonly ({ id: AccountId } & Usage)[]): Map<AccountId, Usage> {
  return new Map(rows.map(({ id, octets, messages }) => [id, { octets, messages }]));
}

export async function readQuota(db: Kysely<Schema>, id: AccountId): Promise<Quota> {
  const row = await selectAccounts(db).where('accounts.id', '=', id).executeTakeFirst();
  if (row === undefined) throw noSuchAccount();
  const usage = toUsage(await selectUsage(db).where('account_id', '=', id).execute());
  return { used: usage.get(id) ?? NOTHING, limits: limitsInForce(row) };
}

export async function listQuotas(db: Kysely<Schema>): Promise<AccountQuota[]> {
  const rows = await selectAccounts(db).orderBy('accounts.address_key').execute();
  const usage = toUsage(await selectUsage(db).execute());
  return rows.map((row) => ({
    account: toAccount(row),
    used: usage.get(row.id) ?? NOTHING,
    limits: limitsInForce(row),
  }));
}

function requireLimit(limit: number): number {
  if (Number.isSafeInteger(limit) && limit >= 0) return limit;
  throw new RangeError('a limit is a whole number');
}

function toAccountColumn(limit: number | 'none' | 'default'): number | null {
  if (limit === 'default') return null;
  return limit === 'none' ? NO_LIMIT : requireLimit(limit);
}

export async function changeQuota(
  { db }: WriteContext,
  { id, change }: { id: AccountId; change: AccountLimitsChange },
): Promise<void> {
  const { octets, messages } = change;
  const changed = await db
    .updateTable('accounts')
    .set((eb) => ({
      quota_octets: octets === undefined ? eb.ref('quota_octets') : toAccountColumn(octets),
      quota_messages: messages === undefined ? eb.ref('quota_messages') : toAccountColumn(messages),
    }))
    .where('id', '=', id)
    .where('address_key', 'is not', null)
    .returning('id')
    .executeTakeFirst();
  if (changed === undefined) throw noSuchAccount();
}

/** What of a domain's row a change of its limits sets. */
export function toDomainColumns({
  octets,
  messages,
}: LimitsChange): Partial<Pick<DomainsTable, 'quota_octets' | 'quota_messages'>> {
  const toColumn = (limit: number | 'none') => (limit === 'none' ? null : requireLimit(limit));
  return {
    ...(octets === undefined ? {} : { quota_octets: toColumn(octets) }),
    ...(messages === undefined ? {} : { quota_messages: toColumn(messages) }),
  };
}

/** What may still come into accounts that have limits: less than nothing where they hold too much already. */
export type Room = ReadonlyMap<AccountId, Usage & { readonly address: string }>;

/**
 * Room that no other write takes before this one is committed. Locks accounts that have limits, so it comes
 * before any lock on a mailbox.
 */
export async function lockRoom(context: WriteContext, ids: readonly AccountId[]): Promise<Room> {
  const limited = new Map<AccountId, { address: string; limits: Limits }>();
  for (const group of inGroups(ids)) {
    const rows = await selectAccounts(context.db).where('accounts.id', 'in', group).execute();
    for (const row of rows) {
      const limits = limitsInForce(row);
      if (limits.octets !== undefined || limits.messages !== undefined) {
        limited.set(row.id, { address: row.address, limits });
      }
    }
  }
  const lockedIds = [...limited.keys()];
  await lockGrowth(context, lockedIds);
  const room = new Map<AccountId, Usage & { address: string }>();
  for (const group of inGroups(lockedIds)) {
    const usage = toUsage(await selectUsage(context.db).where('account_id', 'in', group).execute());
    for (const id of group) {
      const { octets, messages } = usage.get(id) ?? NOTHING;
      const { address = '', limits } = limited.get(id) ?? {};
      room.set(id, {
        address,
        octets: (limits?.octets ?? Number.POSITIVE_INFINITY) - octets,
        messages: (limits?.messages ?? Number.POSITIVE_INFINITY) - messages,
      });
    }
  }
  return room;
}

/** What messages add to what an account holds. */
export function growthOf(rows: readonly { readonly size: number }[]): Usage {
  return { octets: rows.reduce((sum, { size }) => sum + size, 0), messages: rows.length };
}

/** Throws StoreError (over-quota) where the account would grow beyond a limit. */
export function requireRoom(room: Room, id: AccountId, growth: Usage): void {
  const left = room.get(id);
  if (left === undefined) return;
  const exceeds = (resource: keyof Usage) =>
    growth[resource] > 0 && growth[resource] > left[resource];
  if (exceeds('octets') || exceeds('messages')) {
    throw new StoreError('over-quota', `${left.address} may not hold so much`);
  }
}
