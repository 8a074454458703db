/** Domains whose mail is taken here, and what holds for all that is in one. */
import type { Kysely, Selectable } from 'kysely';
import { requireDomain } from './addresses.ts';
import { StoreError } from './errors.ts';
import { noSuchDomain } from './existence.ts';
import { lockDomain } from './locks.ts';
import type { Domain, DomainChange, ListedDomain } from './mail-store.ts';
import { toDomainColumns } from './quotas.ts';
import { requireTarget } from './resolve.ts';
import type { DomainsTable, Schema } from './schema.ts';
import type { WriteContext } from './write-context.ts';

/** Named in the refusal to remove a domain. */
const MOST_NAMED = 5;

function toDomain(row: Selectable<DomainsTable>): Domain {
  return {
    name: row.name,
    catchAll: row.catch_all ?? undefined,
    limits: {
      octets: row.quota_octets ?? undefined,
      messages: row.quota_messages ?? undefined,
    },
    createdAt: new Date(row.created_at),
  };
}

async function insertDomain({ db, now }: WriteContext, name: string): Promise<Domain | undefined> {
  const row = await db
    .insertInto('domains')
    .values({
      name,
      catch_all: null,
      quota_octets: null,
      quota_messages: null,
      created_at: now.getTime(),
    })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .returningAll()
    .executeTakeFirst();
  return row && toDomain(row);
}

export async function addDomain(
  context: WriteContext,
  args: { name: string; change: DomainChange },
): Promise<Domain> {
  const name = requireDomain(args.name);
  if ((await insertDomain(context, name)) !== undefined) return changeDomain(context, args);
  throw new StoreError('domain-exists', `the domain ${name} is here already`);
}

/** Locks the domain, made where it is not here. */
export async function ensureDomain(context: WriteContext, name: string): Promise<void> {
  await insertDomain(context, name);
  await lockDomain(context, name);
}

export async function listDomains(db: Kysely<Schema>): Promise<ListedDomain[]> {
  const rows = await db
    .selectFrom('domains')
    .selectAll()
    .select(({ selectFrom }) => [
      selectFrom('accounts')
        .select((eb) => eb.fn.countAll<number>().as('count'))
        .whereRef('accounts.domain', '=', 'domains.name')
        .where('accounts.address_key', 'is not', null)
        .as('accounts'),
      selectFrom('aliases')
        .select((eb) => eb.fn.countAll<number>().as('count'))
        .whereRef('aliases.domain', '=', 'domains.name')
        .as('aliases'),
    ])
    .orderBy('name')
    .execute();
  return rows.map((row) => ({
    ...toDomain(row),
    accounts: row.accounts ?? 0,
    aliases: row.aliases ?? 0,
  }));
}

export async function changeDomain(
  context: WriteContext,
  args: { name: string; change: DomainChange },
): Promise<Domain> {
  const { db } = context;
  const { catchAll, ...limits } = args.change;
  const name = requireDomain(args.name);
  await lockDomain(context, name);
  const target = catchAll ? (await requireTarget(db, catchAll)).address : catchAll;
  const row = await db
    .updateTable('domains')
    .set((eb) => ({
      catch_all: target === undefined ? eb.ref('catch_all') : target,
      ...toDomainColumns(limits),
    }))
    .where('name', '=', name)
    .returningAll()
    .executeTakeFirst();
  if (row === undefined) throw noSuchDomain(name);
  return toDomain(row);
}

export async function removeDomain(context: WriteContext, args: { name: string }): Promise<void> {
  const { db } = context;
  const name = requireDomain(args.name);
  await lockDomain(context, name);
  const accounts = await db
    .selectFrom('accounts')
    .select('address')
    .where('domain', '=', name)
    .where('address_key', 'is not', null)
    .orderBy('address_key')
    .execute();
  const aliases = await db
    .selectFrom('aliases')
    .select('address')
    .where('domain', '=', name)
    .orderBy('address_key')
    .execute();
  const inTheWay = [...namesOf('account', accounts), ...namesOf('alias', aliases)];
  if (inTheWay.length > 0) {
    throw new StoreError('domain-in-use', `${name} still has ${inTheWay.join(', and ')}`);
  }
  await db.deleteFrom('domains').where('name', '=', name).execute();
}

/** "the account a@x.test", "the accounts a@x.test, b@x.test and 3 more". */
function namesOf(kind: 'account' | 'alias', rows: readonly { address: string }[]): string[] {
  const [only] = rows;
  if (only === undefined) return [];
  if (rows.length === 1) return [`the ${kind} ${only.address}`];
  const named = rows.slice(0, MOST_NAMED).map(({ address }) => address);
  const more = rows.length > named.length ? ` and ${rows.length - named.length} more` : '';
  return [`the ${kind === 'alias' ? 'aliases' : 'accounts'} ${named.join(', ')}${more}`];
}
