/** The first schema: accounts, mailboxes, messages, contents. */
import { type Kysely, sql } from 'kysely';
import type { EngineTypes } from '../migrate.ts';

export const name = 'init';

export async function up(db: Kysely<never>, types: EngineTypes): Promise<void> {
  const { id, whole, text, bytes, clustered } = types;
  const statements = [
    `create table accounts (
      id ${id},
      address ${text} not null,
      domain ${text} not null,
      address_key ${text} unique,
      password_hash ${text} not null,
      created_at ${whole} not null
    )`,
    `create table mailboxes (
      id ${id},
      account_id ${whole} not null references accounts (id),
      object_id ${text} not null unique,
      name ${text},
      special_use ${text},
      uid_validity ${whole} not null unique,
      uid_next ${whole} not null,
      highest_modseq ${whole} not null,
      messages ${whole} not null,
      unseen ${whole} not null,
      deleted ${whole} not null,
      size ${whole} not null,
      unique (account_id, name)
    )`,
    'create index mailboxes_deleted on mailboxes (id) where name is null',
    'create index accounts_by_domain on accounts (domain, id) where address_key is not null',
    'create index accounts_removed on accounts (id) where address_key is null',
    `create table subscriptions (
      account_id ${whole} not null references accounts (id),
      name ${text} not null,
      primary key (account_id, name)
    ) ${clustered}`,
    `create table contents (
      id ${id},
      email_id ${text} not null unique,
      size ${whole} not null,
      structure ${text} not null,
      ends_in_crlf ${whole} not null,
      refs ${whole} not null,
      keep_until ${whole} not null
    )`,
    'create index contents_unreferenced on contents (keep_until) where refs = 0',
    `create table content_chunks (
      content_id ${whole} not null references contents (id),
      position ${whole} not null,
      data ${bytes} not null,
      primary key (content_id, position)
    )`,
    // content_id is no foreign key: checking one on deletion would want an index on it, which every
    // delivery would pay for; contents.refs says the same
    `create table messages (
      mailbox_id ${whole} not null references mailboxes (id),
      uid ${whole} not null,
      content_id ${whole} not null,
      modseq ${whole} not null,
      flags ${whole} not null,
      keywords ${text} not null,
      internal_date ${whole} not null,
      saved_at ${whole} not null,
      size ${whole} not null,
      primary key (mailbox_id, uid)
    ) ${clustered}`,
    'create index messages_changed on messages (mailbox_id, modseq)',
    `create table tombstones (
      mailbox_id ${whole} not null references mailboxes (id),
      modseq ${whole} not null,
      uid ${whole} not null,
      content_id ${whole} not null,
      primary key (mailbox_id, modseq, uid)
    ) ${clustered}`,
    'create index tombstones_by_uid on tombstones (mailbox_id, uid)',
    `create table counters (
      name ${text} primary key,
      value ${whole} not null
    ) ${clustered}`,
    `insert into counters (name, value) values ('uid_validity', 0)`,
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}
