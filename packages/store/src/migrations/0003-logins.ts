/** What logins want beyond a password's hash: keys for SCRAM, application passwords, memory of failures. */
import { randomBytes } from 'node:crypto';
import { type Kysely, sql } from 'kysely';
import type { EngineTypes } from '../migrate.ts';

export const name = 'logins';

const SECRET_BYTES = 32;

export async function up(db: Kysely<never>, types: EngineTypes): Promise<void> {
  const { id, whole, text, clustered } = types;
  const statements = [
    `alter table accounts add column scram_keys ${text}`,
    `create table app_passwords (
      id ${id},
      account_id ${whole} not null references accounts (id),
      name ${text} not null,
      hash ${text} not null,
      scram_keys ${text},
      created_at ${whole} not null,
      expires_at ${whole},
      last_used_at ${whole},
      unique (account_id, name),
      unique (account_id, hash)
    )`,
    `create table login_records (
      kind ${text} not null,
      key ${text} not null,
      failures ${whole} not null,
      last_at ${whole} not null,
      primary key (kind, key)
    ) ${clustered}`,
    'create index login_records_by_age on login_records (kind, last_at)',
    `create table secrets (
      name ${text} primary key,
      value ${text} not null
    ) ${clustered}`,
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
  const secret = randomBytes(SECRET_BYTES).toString('base64');
  await sql`insert into secrets (name, value) values ('scram_salts', ${secret})`.execute(db);
}
