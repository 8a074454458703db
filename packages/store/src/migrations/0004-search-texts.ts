/**
 * What SEARCH looks through, beside the octets that it comes from, and an index of it. Contents that were
 * there before get theirs in the background (search-fill.ts).
 */
import { type Kysely, sql } from 'kysely';
import type { EngineTypes } from '../migrate.ts';

export const name = 'search-texts';

export async function up(db: Kysely<never>, types: EngineTypes): Promise<void> {
  const { whole, text, textIndex } = types;
  const statements = [
    // content_id is no foreign key: each delivery would pay for it
    `create table content_texts (
      content_id ${whole} primary key,
      indexed ${whole} not null,
      cut ${whole} not null,
      header ${text} not null,
      body ${text} not null
    )`,
    'create index content_texts_unindexed on content_texts (content_id) where indexed = 0',
    'create index content_texts_cut on content_texts (content_id) where cut > 0',
    ...textIndex,
    `insert into counters (name, value) values ('texts_filled', 0)`,
    `insert into counters (name, value)
      select 'texts_to_fill', coalesce(max(id), 0) from contents`,
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}
