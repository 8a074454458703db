/**
 * PostgreSQL's index of search texts: GIN over the three-letter pieces of words, from the extension pg_trgm.
 * It is trusted since version 13, so that who may create in the database may make it; where it is not to be
 * had, texts are gone through. Rows come into it when they are marked as indexed.
 */
import { type Kysely, sql, type Transaction } from 'kysely';
import type { Schema } from '../../schema.ts';
import { valuePattern } from '../../search.ts';
import type { TextIndex } from '../../search-index.ts';

/** What it takes for a pattern to have pieces in the index, whatever the database's locale. */
const HAS_PIECES = /[a-z0-9]{3}/;

/** The index knows no ranges: a pattern that more contents have, of whomever, is of no help. */
const MOST_IN_STORE = 1_000;

export const POSTGRES_TEXT_INDEX: TextIndex = {
  async candidates(db, value, first, last, most) {
    const pattern = valuePattern(value);
    if (!HAS_PIECES.test(pattern)) return undefined;
    // PostgreSQL thinks nothing of unpacking texts, and would rather go through them
    await sql`set local enable_indexscan = off`.execute(db);
    await sql`set local enable_seqscan = off`.execute(db);
    const { rows } = await sql<{ id: number }>`
      select content_id as id from content_texts
      where indexed = 1 and (header like ${pattern} or body like ${pattern})
      limit ${MOST_IN_STORE + 1}`.execute(db);
    await sql`set local enable_indexscan to default`.execute(db);
    await sql`set local enable_seqscan to default`.execute(db);
    if (rows.length > MOST_IN_STORE) return undefined;
    const ids = rows.map(({ id }) => id).filter((id) => first <= id && id <= last);
    return ids.length > most ? undefined : ids;
  },
  // with the rows
  async add() {},
  async remove() {},
};

/** Makes the index where it is missing. Undefined where it cannot be made. */
export async function prepareTextIndex(db: Transaction<Schema>): Promise<TextIndex | undefined> {
  if (await hasIndex(db)) return POSTGRES_TEXT_INDEX;
  const { rows } = await sql`select 1 from pg_available_extensions where name = 'pg_trgm'`.execute(
    db,
  );
  if (rows.length === 0) return undefined;
  await sql`savepoint text_index`.execute(db);
  try {
    await sql`create extension if not exists pg_trgm`.execute(db);
    // few rows if any are marked by now, so that it is made at once
    await sql`
      create index content_texts_trigrams on content_texts
      using gin (header gin_trgm_ops, body gin_trgm_ops) where indexed = 1`.execute(db);
    return POSTGRES_TEXT_INDEX;
  } catch {
    // the database's owner may do it
    await sql`rollback to savepoint text_index`.execute(db);
    return undefined;
  }
}

async function hasIndex(db: Kysely<Schema>): Promise<boolean> {
  const { rows } =
    await sql`select 1 where to_regclass('content_texts_trigrams') is not null`.execute(db);
  return rows.length > 0;
}
