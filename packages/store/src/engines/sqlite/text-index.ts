/**
 * SQLite's index of search texts: FTS5, which knows of each three characters in a row which contents have
 * them, and nothing else (no text, no places). So it names candidates, whose texts tell.
 */
import { sql } from 'kysely';
import type { TextIndex } from '../../search-index.ts';

/** In each word of the index. */
const CHARACTERS = 3;
/** The first of a long text say enough. */
const MAX_WORDS = 32;

export const SQLITE_TEXT_TABLES: readonly string[] = [
  `create virtual table text_index using fts5 (
    text, content = '', contentless_delete = 1, detail = none, tokenize = 'trigram case_sensitive 1'
  )`,
];

export const SQLITE_TEXT_INDEX: TextIndex = {
  async candidates(db, value, first, last, most) {
    const words = wordsOf(value);
    if (words.length === 0) return undefined;
    const wanted = words.map((word) => `"${word.replaceAll('"', '""')}"`).join(' AND ');
    const { rows } = await sql<{ id: number }>`
      select rowid as id from text_index
      where text_index match ${wanted} and rowid between ${first} and ${last}
      limit ${most + 1}`.execute(db);
    return rows.length > most ? undefined : rows.map(({ id }) => id);
  },
  async add(db, contentIds) {
    await sql`
      insert into text_index (rowid, text)
      select content_id, header || body from content_texts where content_id in (${sql.join(contentIds)})
    `.execute(db);
  },
  async remove(db, contentIds) {
    await sql`delete from text_index where rowid in (${sql.join(contentIds)})`.execute(db);
  },
};

function wordsOf(value: string): string[] {
  const characters = Array.from(value).slice(0, MAX_WORDS + CHARACTERS - 1);
  const words = new Set<string>();
  for (let at = 0; at + CHARACTERS <= characters.length; at += 1) {
    words.add(characters.slice(at, at + CHARACTERS).join(''));
  }
  return [...words];
}
