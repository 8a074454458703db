/** Makes the search texts of contents that were stored before there were any, a piece at a time. */
import {
  type MessageStructure,
  type SearchTexts,
  searchedPieces,
  searchTexts,
} from '@mail/message';
import type { Kysely } from 'kysely';
import { readOctets } from './content.ts';
import type { Schema } from './schema.ts';
import { insertTexts } from './search-texts.ts';
import type { WriteContext } from './write-context.ts';

/** What one write makes at most: some milliseconds' work. */
const FILL = { contents: 50, bytes: 1024 * 1024 };

/** Contents behind `after`, up to `upTo` and with it, have no texts yet. */
export interface Unfilled {
  readonly after: number;
  readonly upTo: number;
}

export async function readUnfilled(db: Kysely<Schema>): Promise<Unfilled> {
  const rows = await db
    .selectFrom('counters')
    .select(['name', 'value'])
    .where('name', 'in', ['texts_filled', 'texts_to_fill'])
    .execute();
  const counter = (wanted: string): number => rows.find(({ name }) => name === wanted)?.value ?? 0;
  return { after: counter('texts_filled'), upTo: counter('texts_to_fill') };
}

/** Does one piece. False when nothing is left to do. */
export async function fillTexts({ db, locksRows }: WriteContext): Promise<boolean> {
  const { value: after } = await db
    .selectFrom('counters')
    .select('value')
    .where('name', '=', 'texts_filled')
    .$if(locksRows, (query) => query.forUpdate())
    .executeTakeFirstOrThrow();
  const { upTo } = await readUnfilled(db);
  if (after >= upTo) return false;
  const contents = await db
    .selectFrom('contents')
    .innerJoin('structures', 'structures.content_id', 'contents.id')
    .select(['contents.id', 'contents.size', 'structures.structure'])
    .where('id', '>', after)
    .where('id', '<=', upTo)
    .orderBy('id')
    .limit(FILL.contents)
    .execute();
  let filled = contents.length === 0 ? upTo : after;
  let bytes = 0;
  for (const { id, size, structure } of contents) {
    if (bytes > 0 && bytes + size > FILL.bytes) break;
    bytes += size;
    await insertTexts(db, id, await readTexts(db, id, structure));
    filled = id;
  }
  await db
    .updateTable('counters')
    .set({ value: filled })
    .where('name', '=', 'texts_filled')
    .execute();
  return true;
}

/** A content that is damaged has no texts: a check tells of it (check.ts). */
async function readTexts(
  db: Kysely<Schema>,
  contentId: number,
  structureJson: string,
): Promise<SearchTexts> {
  const none: SearchTexts = { header: '', body: '', headerIsCut: false, bodyIsCut: false };
  const structure = parseStructure(structureJson);
  if (structure === undefined) return none;
  const octets = new Map<number, Uint8Array>();
  for (const { start, end } of searchedPieces(structure)) {
    const piece = await readOctets(db, contentId, start, end);
    if (piece === undefined) return none;
    octets.set(start, piece);
  }
  return searchTexts(structure, ({ start }) => octets.get(start) ?? new Uint8Array());
}

export function parseStructure(json: string): MessageStructure | undefined {
  try {
    return JSON.parse(json) as MessageStructure;
  } catch {
    return undefined;
  }
}
