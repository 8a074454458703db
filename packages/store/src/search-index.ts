/**
 * The index of search texts: which contents may have a text, without going through all of them. It is built
 * behind deliveries, which must not wait for it; what it does not have yet is gone through.
 */
import type { Kysely } from 'kysely';
import type { Schema } from './schema.ts';
import type { WriteContext } from './write-context.ts';

/** What one write puts into the index at most: some 20 ms of work. */
const BATCH = { contents: 64, characters: 128 * 1024 };

/** How a database has it. */
export interface TextIndex {
  /**
   * Contents from `first` to `last` that may have `value` (folded), all among them that do and are indexed;
   * undefined where the index knows no better than to go through them, or finds more than `most`.
   */
  candidates(
    db: Kysely<Schema>,
    value: string,
    first: number,
    last: number,
    most: number,
  ): Promise<number[] | undefined>;
  /** Contents whose rows say from now on that they are indexed. */
  add(db: Kysely<Schema>, contentIds: readonly number[]): Promise<void>;
  /** Whether they are indexed or not. */
  remove(db: Kysely<Schema>, contentIds: readonly number[]): Promise<void>;
}

/** Puts some texts into the index. False when none were left. */
export async function indexTexts({ db, textIndex, locksRows }: WriteContext): Promise<boolean> {
  if (textIndex === undefined) return false;
  const rows = await db
    .selectFrom('content_texts')
    .select((eb) => ['content_id', eb.fn<number>('length', ['body']).as('characters')])
    .where((eb) => eb('indexed', '=', eb.lit(0)))
    .orderBy('content_id')
    .limit(BATCH.contents)
    // other processes index others, and a sweep that removes some is not waited for
    .$if(locksRows, (query) => query.forUpdate().skipLocked())
    .execute();
  const ids: number[] = [];
  let sum = 0;
  for (const { content_id, characters } of rows) {
    if (ids.length > 0 && sum + characters > BATCH.characters) break;
    ids.push(content_id);
    sum += characters;
  }
  if (ids.length === 0) return false;
  await db
    .updateTable('content_texts')
    .set({ indexed: 1 })
    .where('content_id', 'in', ids)
    .execute();
  await textIndex.add(db, ids);
  return true;
}

/** How many texts wait to be indexed, counted up to `most`. */
export async function countUnindexed(db: Kysely<Schema>, most: number): Promise<number> {
  const rows = await db
    .selectFrom('content_texts')
    .select('content_id')
    .where((eb) => eb('indexed', '=', eb.lit(0)))
    .limit(most)
    .execute();
  return rows.length;
}
