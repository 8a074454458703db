/** Addresses that stand for accounts or for other aliases; where they lead is resolve.ts's. */
import type { Kysely } from 'kysely';
import { parseAddress, requireAddress } from './addresses.ts';
import { StoreError } from './errors.ts';
import { lockDomain } from './locks.ts';
import type { Alias, AliasTarget } from './mail-store.ts';
import { expandAddress, requireTarget } from './resolve.ts';
import type { Schema } from './schema.ts';
import type { WriteContext } from './write-context.ts';

/** Of one alias: what has more is a mailing list, and wants a program for those. */
const MAX_TARGETS = 1_000;

function selectAliases(db: Kysely<Schema>) {
  return db
    .selectFrom('aliases')
    .innerJoin('alias_targets', 'alias_targets.alias_key', 'aliases.address_key')
    .select([
      'aliases.address_key',
      'aliases.address',
      'aliases.created_at',
      'alias_targets.target',
      'alias_targets.target_key',
    ])
    .orderBy('aliases.address_key')
    .orderBy('alias_targets.target_key');
}

type TargetRow = Awaited<ReturnType<ReturnType<typeof selectAliases>['execute']>>[number];

async function toAliases(db: Kysely<Schema>, rows: readonly TargetRow[]): Promise<Alias[]> {
  const aliases: Alias[] = [];
  for (const [first, ...others] of Map.groupBy(rows, (row) => row.address_key).values()) {
    if (first === undefined) continue;
    const targets: AliasTarget[] = [];
    for (const { target, target_key } of [first, ...others]) {
      const reachable = (await expandAddress(db, target_key)).length > 0;
      targets.push({ address: target, reachable });
    }
    aliases.push({ address: first.address, targets, createdAt: new Date(first.created_at) });
  }
  return aliases;
}

export async function listAliases(db: Kysely<Schema>): Promise<Alias[]> {
  return toAliases(db, await selectAliases(db).execute());
}

export async function addAlias(
  context: WriteContext,
  args: { address: string; targets: readonly string[] },
): Promise<Alias> {
  const { db, now } = context;
  const { address, domain, key } = requireAddress(args.address);
  // no account takes the address meanwhile
  await lockDomain(context, domain);
  const account = await db
    .selectFrom('accounts')
    .select('address')
    .where('address_key', '=', key)
    .executeTakeFirst();
  if (account !== undefined) {
    throw new StoreError('account-exists', `${account.address} is an account, and no alias`);
  }
  await db
    .insertInto('aliases')
    .values({ address_key: key, address, domain, created_at: now.getTime() })
    .onConflict((conflict) => conflict.column('address_key').doNothing())
    .execute();
  for (const text of args.targets) {
    const target = requireAddress(text);
    await db
      .insertInto('alias_targets')
      .values({ alias_key: key, target: target.address, target_key: target.key })
      .onConflict((conflict) => conflict.columns(['alias_key', 'target_key']).doNothing())
      .execute();
  }
  // with the new ones in place, so that a loop is seen
  for (const text of args.targets) await requireTarget(db, text);
  const [alias] = await toAliases(
    db,
    await selectAliases(db).where('aliases.address_key', '=', key).execute(),
  );
  if (alias === undefined) throw new StoreError('no-such-target', 'an alias wants a target');
  if (alias.targets.length > MAX_TARGETS) {
    throw new StoreError('alias-too-large', `an alias has at most ${MAX_TARGETS} targets`);
  }
  // from its own end as well: the chain is one longer there
  await expandAddress(db, key);
  return alias;
}

export async function removeAlias(
  context: WriteContext,
  args: { address: string; targets: readonly string[] | undefined },
): Promise<void> {
  const { db } = context;
  const { address, domain, key } = requireAddress(args.address);
  const alias = await db
    .selectFrom('aliases')
    .select('address')
    .where('address_key', '=', key)
    .executeTakeFirst();
  if (alias === undefined) throw new StoreError('no-such-alias', `there is no alias ${address}`);
  await lockDomain(context, domain);
  for (const text of args.targets ?? []) {
    const { numDeletedRows } = await db
      .deleteFrom('alias_targets')
      .where('alias_key', '=', key)
      .where('target_key', '=', parseAddress(text)?.key ?? '')
      .executeTakeFirstOrThrow();
    if (numDeletedRows > 0n) continue;
    throw new StoreError('no-such-target', `${alias.address} does not lead to ${text}`);
  }
  if (args.targets === undefined) {
    await db.deleteFrom('alias_targets').where('alias_key', '=', key).execute();
  }
  const left = await db
    .selectFrom('alias_targets')
    .select('target')
    .where('alias_key', '=', key)
    .limit(1)
    .executeTakeFirst();
  if (left === undefined) {
    await db.deleteFrom('aliases').where('address_key', '=', key).execute();
  }
}
