/** The octets of messages: cut into rows, counted by reference, read back in part or whole. */
import { parseMessage, renderPlain, type SearchTexts, searchTexts } from '@mail/message';
import type { Kysely } from 'kysely';
import { StoreError } from './errors.ts';
import { requireMailbox } from './existence.ts';
import { inGroups } from './id-groups.ts';
import type { MailboxId, NewMessage, Uid } from './mail-store.ts';
import { countOctets } from './octets.ts';
import type { Schema } from './schema.ts';
import { insertTexts, removeTexts } from './search-texts.ts';
import type { WriteContext } from './write-context.ts';

/** One row's worth: a partial FETCH reads little more than it returns, and 50 MiB are 200 rows. */
export const CHUNK_BYTES = 256 * 1024;
/** Chunks read at one go, so that a large message does not hold up the thread. */
const CHUNKS_PER_READ = 16;
/** Beyond what any protocol's own limit lets through; keeps a mistake there from filling memory. */
export const MAX_MESSAGE_BYTES = 256 * 1024 * 1024;
/** An expunged message can be read for so long: the largest one is then had at 30 kB a second. */
const EXPUNGED_KEPT_MS = 30 * 60_000;
/** What one sweep frees at most, so that it holds the database briefly. */
const SWEEP = { contents: 200, bytes: 64 * 1024 * 1024 };

/** A message made ready outside the transaction. */
export interface Content {
  readonly raw: Uint8Array;
  /** MessageStructure as JSON. */
  readonly structure: string;
  readonly envelope: string | undefined;
  readonly bodyStructure: string | undefined;
  readonly texts: SearchTexts;
}

/** Throws StoreError (too-large). */
export function requireStorable(raw: NewMessage['raw']): void {
  if (countOctets(raw) <= MAX_MESSAGE_BYTES) return;
  throw new StoreError('too-large', `a message has at most ${MAX_MESSAGE_BYTES} octets`);
}

export function prepareContent(raw: Uint8Array): Content {
  const structure = parseMessage(raw);
  return {
    raw,
    structure: JSON.stringify(structure),
    ...renderPlain(structure),
    texts: searchTexts(structure, ({ start, end }) => raw.subarray(start, end)),
  };
}

function endsInCrlf(raw: Uint8Array): boolean {
  return raw.byteLength === 0 || (raw.at(-2) === 0x0d && raw.at(-1) === 0x0a);
}

/**
 * Stores a content that `refs` messages are about to hold; returns its id. `emailId` is for one that must
 * not come twice, and new.
 */
export async function insertContent(
  { db, randomId }: WriteContext,
  { raw, structure, envelope, bodyStructure, texts }: Content,
  refs: number,
  emailId = `M${randomId()}`,
): Promise<number> {
  const { id } = await db
    .insertInto('contents')
    .values({
      email_id: emailId,
      size: raw.byteLength,
      ends_in_crlf: endsInCrlf(raw) ? 1 : 0,
      refs,
      keep_until: 0,
    })
    .returning('id')
    .executeTakeFirstOrThrow();
  await insertStructure(db, id, { structure, envelope, bodyStructure });
  for (let start = 0; start < raw.byteLength; start += CHUNK_BYTES) {
    const data = raw.subarray(start, start + CHUNK_BYTES);
    await db
      .insertInto('content_chunks')
      .values({ content_id: id, position: start / CHUNK_BYTES, data })
      .execute();
  }
  await insertTexts(db, id, texts);
  return id;
}

/** And what is told of it. */
export async function insertStructure(
  db: Kysely<Schema>,
  contentId: number,
  { structure, envelope, bodyStructure }: Pick<Content, 'structure' | 'envelope' | 'bodyStructure'>,
): Promise<void> {
  await db.insertInto('structures').values({ content_id: contentId, structure }).execute();
  await db
    .insertInto('renderings')
    .values({
      content_id: contentId,
      envelope: envelope ?? null,
      body_structure: bodyStructure ?? null,
    })
    .execute();
}

/** Counts one reference more for each time that a content is named, all of them locked. */
export async function addReferences(
  context: WriteContext,
  contentIds: readonly number[],
): Promise<void> {
  await countReferences(context, contentIds, 1, {});
}

/**
 * Counts one fewer. With `keepForReaders`, what may be let go of now is not swept soon: who reads an expunged
 * message comes to its end.
 */
export async function dropReferences(
  context: WriteContext,
  contentIds: readonly number[],
  { keepForReaders } = { keepForReaders: false },
): Promise<void> {
  const keep_until = context.now.getTime() + EXPUNGED_KEPT_MS;
  await countReferences(context, contentIds, -1, keepForReaders ? { keep_until } : {});
}

async function countReferences(
  { db }: WriteContext,
  contentIds: readonly number[],
  step: 1 | -1,
  also: { readonly keep_until?: number },
): Promise<void> {
  const times = new Map<number, number>();
  for (const id of contentIds) times.set(id, (times.get(id) ?? 0) + 1);
  const byTimes = Map.groupBy(times, ([, count]) => count);
  for (const [count, entries] of byTimes) {
    const ids = entries.map(([id]) => id);
    for (const group of inGroups(ids)) {
      await db
        .updateTable('contents')
        .set((eb) => ({ refs: eb('refs', '+', count * step), ...also }))
        .where('id', 'in', group)
        .execute();
    }
  }
}

interface FoundContent {
  readonly content_id: number;
  readonly size: number;
}

/** Also of a message that was expunged and not swept yet. */
async function findContent(
  db: Kysely<Schema>,
  mailboxId: MailboxId,
  uid: Uid,
): Promise<FoundContent | undefined> {
  const message = await db
    .selectFrom('messages')
    .innerJoin('mailboxes', 'mailboxes.id', 'messages.mailbox_id')
    .select(['messages.content_id', 'messages.size'])
    .where('messages.mailbox_id', '=', mailboxId)
    .where('messages.uid', '=', uid)
    .where('mailboxes.name', 'is not', null)
    .executeTakeFirst();
  if (message !== undefined) return message;
  await requireMailbox(db, mailboxId);
  return db
    .selectFrom('tombstones')
    .innerJoin('contents', 'contents.id', 'tombstones.content_id')
    .select(['tombstones.content_id', 'contents.size'])
    .where('tombstones.mailbox_id', '=', mailboxId)
    .where('tombstones.uid', '=', uid)
    .executeTakeFirst();
}

/**
 * Octets from `start` up to `end` of the message. Throws StoreError (no-such-mailbox,
 * no-such-message).
 */
export async function readContent(
  db: Kysely<Schema>,
  mailboxId: MailboxId,
  uid: Uid,
  start: number,
  end: number,
): Promise<Buffer> {
  const message = await findContent(db, mailboxId, uid);
  if (message === undefined) throw noSuchMessage(uid);
  const from = Math.max(0, start);
  const to = Math.min(message.size, end);
  const octets = await readOctets(db, message.content_id, from, to);
  // expunged long since, and swept
  if (octets === undefined) throw noSuchMessage(uid);
  return octets;
}

/** From `from` up to `to`, which lie in the content; undefined where they are not there any more. */
export async function readOctets(
  db: Kysely<Schema>,
  contentId: number,
  from: number,
  to: number,
): Promise<Buffer | undefined> {
  if (from >= to) return Buffer.alloc(0);
  const first = Math.floor(from / CHUNK_BYTES);
  const last = Math.ceil(to / CHUNK_BYTES);
  const pieces: Uint8Array[] = [];
  for (let position = first; position < last; position += CHUNKS_PER_READ) {
    if (position > first) await new Promise((resolve) => setImmediate(resolve));
    const upTo = Math.min(last, position + CHUNKS_PER_READ);
    const rows = await db
      .selectFrom('content_chunks')
      .select('data')
      .where('content_id', '=', contentId)
      .where('position', '>=', position)
      .where('position', '<', upTo)
      .orderBy('position')
      .execute();
    if (rows.length !== upTo - position) return undefined;
    for (const { data } of rows) pieces.push(data);
  }
  const [only] = pieces;
  const whole =
    only !== undefined && pieces.length === 1
      ? Buffer.from(only.buffer, only.byteOffset, only.byteLength)
      : Buffer.concat(pieces);
  return whole.subarray(from - first * CHUNK_BYTES, to - first * CHUNK_BYTES);
}

export function noSuchMessage(uid: Uid): StoreError {
  return new StoreError('no-such-message', `there is no message with UID ${uid} in this mailbox`);
}

/** Frees some contents that nothing holds and nobody reads any more. False when there were none. */
export async function sweepContents(context: WriteContext): Promise<boolean> {
  const { db, now } = context;
  const unreferenced = await db
    .selectFrom('contents')
    .select(['id', 'size'])
    .where((eb) => eb('refs', '=', eb.lit(0)))
    .where('keep_until', '<=', now.getTime())
    .orderBy('keep_until')
    .limit(SWEEP.contents)
    .execute();
  const ids: number[] = [];
  let bytes = 0;
  for (const { id, size } of unreferenced) {
    if (ids.length > 0 && bytes + size > SWEEP.bytes) break;
    ids.push(id);
    bytes += size;
  }
  for (const group of inGroups(ids)) {
    await removeTexts(context, group);
    await db.deleteFrom('content_chunks').where('content_id', 'in', group).execute();
    await db.deleteFrom('structures').where('content_id', 'in', group).execute();
    await db.deleteFrom('renderings').where('content_id', 'in', group).execute();
    await db.deleteFrom('contents').where('id', 'in', group).execute();
  }
  return ids.length > 0;
}
