/** Who may do what with mailboxes of others. */
import { type Kysely, sql } from 'kysely';
import type { EngineTypes } from '../migrate.ts';

export const name = 'sharing';

export async function up(db: Kysely<never>, types: EngineTypes): Promise<void> {
  const { whole, text, clustered } = types;
  const statements = [
    `create table mailbox_rights (
      mailbox_id ${whole} not null references mailboxes (id),
      account_id ${whole} not null references accounts (id),
      rights ${text} not null,
      primary key (mailbox_id, account_id)
    ) ${clustered}`,
    'create index mailbox_rights_by_account on mailbox_rights (account_id)',
    // those of everybody who has the mailbox go with it
    'create index annotations_by_mailbox on annotations (mailbox_id)',
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}
