/**
 * What a session reads without a row for each message: which UIDs there are and their flags, which keywords are
 * in use, which messages are unseen or deleted; and what FETCH tells of contents again and again, ready-made.
 */
import { type Kysely, sql } from 'kysely';
import { FlagOctets } from '../flag-octets.ts';
import type { EngineTypes } from '../migrate.ts';
import { UIDS_PER_BLOCK, UidSet } from '../uid-set.ts';

export const name = 'read-path';

export async function up(db: Kysely<never>, types: EngineTypes): Promise<void> {
  const { whole, text, bytes, clustered } = types;
  const statements = [
    `create table uid_blocks (
      mailbox_id ${whole} not null references mailboxes (id),
      number ${whole} not null,
      bits ${bytes} not null,
      flags ${bytes} not null,
      primary key (mailbox_id, number)
    ) ${clustered}`,
    `create table mailbox_keywords (
      mailbox_id ${whole} not null references mailboxes (id),
      keyword_key ${text} not null,
      keyword ${text} not null,
      primary key (mailbox_id, keyword_key)
    ) ${clustered}`,
    'create index messages_unseen on messages (mailbox_id, uid) where flags & 1 = 0',
    'create index messages_deleted on messages (mailbox_id, uid) where flags & 8 <> 0',
    // contents are counted again and again: what is long goes out of their rows
    `create table structures (
      content_id ${whole} primary key,
      structure ${text} not null
    )`,
    'insert into structures (content_id, structure) select id, structure from contents',
    'alter table contents drop column structure',
    `create table renderings (
      content_id ${whole} primary key,
      envelope ${text},
      body_structure ${text}
    )`,
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
  await fill(db as unknown as Kysely<Tables>);
}

/** The tables as they are at this migration, as far as it needs them. */
interface Tables {
  mailboxes: { id: number };
  messages: { mailbox_id: number; uid: number; flags: number; keywords: string };
  uid_blocks: { mailbox_id: number; number: number; bits: Uint8Array; flags: Uint8Array };
  mailbox_keywords: { mailbox_id: number; keyword_key: string; keyword: string };
}

async function fill(db: Kysely<Tables>): Promise<void> {
  for (const { id } of await db.selectFrom('mailboxes').select('id').execute()) {
    await fillBlocks(db, id);
    const rows = await db
      .selectFrom('messages')
      .select('keywords')
      .distinct()
      .where('mailbox_id', '=', id)
      .where('keywords', '<>', '')
      .execute();
    const keywords = new Map(
      rows
        .flatMap(({ keywords }) => keywords.split(' '))
        .map((keyword) => [keyword.toLowerCase(), keyword]),
    );
    for (const [keyword_key, keyword] of keywords) {
      await db
        .insertInto('mailbox_keywords')
        .values({ mailbox_id: id, keyword_key, keyword })
        .execute();
    }
  }
}

/** A block at a time, so that a large mailbox takes no memory. */
async function fillBlocks(db: Kysely<Tables>, id: number): Promise<void> {
  for (let from = 0; ; ) {
    const next = await db
      .selectFrom('messages')
      .select('uid')
      .where('mailbox_id', '=', id)
      .where('uid', '>=', from)
      .orderBy('uid')
      .limit(1)
      .executeTakeFirst();
    if (next === undefined) return;
    const number = Math.floor(next.uid / UIDS_PER_BLOCK);
    from = (number + 1) * UIDS_PER_BLOCK;
    const rows = await db
      .selectFrom('messages')
      .select(['uid', 'flags', 'keywords'])
      .where('mailbox_id', '=', id)
      .where('uid', '>=', next.uid)
      .where('uid', '<', from)
      .execute();
    const uids = new UidSet();
    const flags = new FlagOctets();
    for (const row of rows) {
      uids.add(row.uid);
      flags.set(row.uid, row);
    }
    for (const { bits } of uids.blocks()) {
      await db
        .insertInto('uid_blocks')
        .values({ mailbox_id: id, number, bits, flags: flags.octets })
        .execute();
    }
  }
}
