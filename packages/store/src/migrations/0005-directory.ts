/** Domains as rows of their own, aliases, and limits on what accounts may hold. */
import { type Kysely, sql } from 'kysely';
import type { EngineTypes } from '../migrate.ts';

export const name = 'directory';

export async function up(db: Kysely<never>, types: EngineTypes): Promise<void> {
  const { whole, text, clustered } = types;
  const statements = [
    `create table domains (
      name ${text} primary key,
      catch_all ${text},
      quota_octets ${whole},
      quota_messages ${whole},
      created_at ${whole} not null
    ) ${clustered}`,
    // until now a domain was local because of its accounts
    `insert into domains (name, created_at)
      select domain, min(created_at) from accounts where address_key is not null group by domain`,
    `create table aliases (
      address_key ${text} primary key,
      address ${text} not null,
      domain ${text} not null references domains (name),
      created_at ${whole} not null
    ) ${clustered}`,
    'create index aliases_by_domain on aliases (domain)',
    `create table alias_targets (
      alias_key ${text} not null references aliases (address_key),
      target_key ${text} not null,
      target ${text} not null,
      primary key (alias_key, target_key)
    ) ${clustered}`,
    `alter table accounts add column quota_octets ${whole}`,
    `alter table accounts add column quota_messages ${whole}`,
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}
