/** Annotations of accounts and mailboxes, and what says that anything of an account has changed. */
import { type Kysely, sql } from 'kysely';
import type { EngineTypes } from '../migrate.ts';

export const name = 'annotations';

export async function up(db: Kysely<never>, types: EngineTypes): Promise<void> {
  const { whole, text, bytes, clustered } = types;
  const statements = [
    `alter table accounts add column modseq ${whole} not null default 1`,
    // mailbox_id is no foreign key: 0 stands for the account itself
    `create table annotations (
      account_id ${whole} not null references accounts (id),
      mailbox_id ${whole} not null,
      name ${text} not null,
      value ${bytes},
      modseq ${whole} not null,
      primary key (account_id, mailbox_id, name)
    ) ${clustered}`,
    'create index annotations_changed on annotations (account_id, modseq)',
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}
