/** What messages hold: whether all octets are there, and the stored structure is of use. */
import { parseMessage } from '@mail/message';
import type { Kysely } from 'kysely';
import type { CheckCourse } from './check-course.ts';
import { inPages } from './check-course.ts';
import { CHUNK_BYTES, prepareContent } from './content.ts';
import type { Schema } from './schema.ts';

const PAGE = 200;
/** Ids kept of lost contents, to name their messages; a store that has lost more needs its backup. */
const MAX_LOST = 100_000;

const STRUCTURE_VERSION = parseMessage(new Uint8Array()).version;

interface LookedAt {
  readonly id: number;
  readonly size: number;
  /** Undefined where all is there. */
  readonly missing: string | undefined;
  readonly structure: string;
}

export interface CheckedContents {
  readonly contents: number;
  readonly lost: ReadonlySet<number>;
}

/** What nothing refers to waits to be swept and is left alone. */
export async function checkContents(course: CheckCourse): Promise<CheckedContents> {
  const lost = new Set<number>();
  let contents = 0;
  const last = await course.look('contents', highestContentId);
  await inPages(async (after) => {
    const page = await course.look(`contents after ${after}`, (db) => lookAtContents(db, after));
    if (page === undefined) {
      // past what cannot be read
      return last !== undefined && after + PAGE < last ? after + PAGE : undefined;
    }
    for (const content of page) {
      const where = `content ${content.id}`;
      if (content.missing !== undefined) {
        if (lost.size < MAX_LOST) lost.add(content.id);
        course.tell({ code: 'content-lost', where, what: content.missing }, 'lost');
      } else {
        const what = faultOfStructure(content);
        if (what !== undefined) await settleStructure(course, content.id, what);
      }
    }
    contents += page.length;
    const id = page.at(-1)?.id;
    course.progress('contents', id ?? last ?? 0, last ?? 0);
    return id;
  });
  return { contents, lost };
}

export async function highestContentId(db: Kysely<Schema>): Promise<number> {
  const { id } = await db
    .selectFrom('contents')
    .select((eb) => eb.fn.coalesce(eb.fn.max('id'), eb.lit(0)).as('id'))
    .executeTakeFirstOrThrow();
  return id;
}

async function lookAtContents(db: Kysely<Schema>, after: number): Promise<LookedAt[]> {
  const contents = await db
    .selectFrom('contents')
    .leftJoin('structures', 'structures.content_id', 'contents.id')
    .select((eb) => [
      'contents.id',
      'contents.size',
      eb.fn.coalesce('structures.structure', eb.val('')).as('structure'),
    ])
    .where('id', '>', after)
    .where('refs', '>', 0)
    .orderBy('id')
    .limit(PAGE)
    .execute();
  const first = contents.at(0);
  const last = contents.at(-1);
  if (first === undefined || last === undefined) return [];
  // their lengths can be told without reading them
  const chunks = await db
    .selectFrom('content_chunks')
    .select((eb) => ['content_id', 'position', eb.fn<number>('length', ['data']).as('octets')])
    .where('content_id', '>=', first.id)
    .where('content_id', '<=', last.id)
    .orderBy('content_id')
    .orderBy('position')
    .execute();
  const byContent = Map.groupBy(chunks, ({ content_id }) => content_id);
  return contents.map((content) => ({
    ...content,
    missing: faultOfChunks(content.size, byContent.get(content.id) ?? []),
  }));
}

function faultOfChunks(
  size: number,
  chunks: readonly { position: number; octets: number }[],
): string | undefined {
  const count = Math.ceil(size / CHUNK_BYTES);
  const octets = chunks.reduce((sum, chunk) => sum + chunk.octets, 0);
  const whole = chunks.every(
    (chunk, index) =>
      chunk.position === index &&
      chunk.octets === Math.min(CHUNK_BYTES, size - index * CHUNK_BYTES),
  );
  if (whole && chunks.length === count) return undefined;
  return `${octets} of its ${size} octets are there, in ${chunks.length} of ${count} pieces`;
}

function faultOfStructure({ structure, size }: LookedAt): string | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(structure);
  } catch {
    return 'its structure does not parse';
  }
  if (typeof parsed !== 'object' || parsed === null || !('version' in parsed)) {
    return 'its structure is none';
  }
  if (parsed.version !== STRUCTURE_VERSION) {
    return `its structure is of format ${String(parsed.version)}, now it is ${STRUCTURE_VERSION}`;
  }
  return 'size' in parsed && parsed.size === size
    ? undefined
    : 'its structure is of another message';
}

async function settleStructure(course: CheckCourse, id: number, what: string): Promise<void> {
  const where = `content ${id}`;
  await course.settle(where, async () => ({
    faults: [{ code: 'structure-unusable', where, what }],
    // parsed outside of any transaction
    repair: async () => {
      const raw = await course.look(where, (db) => readOctets(db, id));
      if (raw === undefined) return undefined;
      const { structure, envelope, bodyStructure } = prepareContent(raw);
      return { kind: 'structure', contentId: id, structure, envelope, bodyStructure };
    },
  }));
}

async function readOctets(db: Kysely<Schema>, id: number): Promise<Buffer> {
  const rows = await db
    .selectFrom('content_chunks')
    .select('data')
    .where('content_id', '=', id)
    .orderBy('position')
    .execute();
  return Buffer.concat(rows.map(({ data }) => data));
}
