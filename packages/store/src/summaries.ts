/**
 * What is read of messages: their summaries, page by page, and what FETCH tells of their contents. Pages look
 * whether there is a mailbox only where they have not found all that they were asked for.
 */
import type { MessageStructure } from '@mail/message';
import { type Kysely, sql } from 'kysely';
import { CHUNK_BYTES } from './content.ts';
import { requireMailbox } from './existence.ts';
import { decodeFlags } from './flags.ts';
import { readKeywords } from './keywords-in-use.ts';
import type {
  ListedMessage,
  MailboxChanges,
  MailboxId,
  MessageSummary,
  ModSeq,
  OpenedMailbox,
  RenderedItem,
  Uid,
  UidRange,
} from './mail-store.ts';
import type { MessageRow, Schema } from './schema.ts';
import { readBlockFlags, readUids } from './uid-blocks.ts';
import { amongUids, inUidGroups } from './uid-conditions.ts';

const TOMBSTONES_PER_PAGE = 10_000;

const SUMMARY_COLUMNS = [
  'messages.uid',
  'messages.flags',
  'messages.keywords',
  'messages.modseq',
  'messages.size',
  'messages.internal_date',
  'messages.saved_at',
] as const;

type SummaryRow = Pick<
  MessageRow,
  'uid' | 'flags' | 'keywords' | 'modseq' | 'size' | 'internal_date' | 'saved_at'
>;

function toSummary(row: SummaryRow): MessageSummary {
  return {
    uid: row.uid,
    flags: decodeFlags(row),
    modSeq: row.modseq,
    size: row.size,
    internalDate: new Date(row.internal_date),
    savedAt: row.saved_at,
  };
}

function selectSummaries(db: Kysely<Schema>, mailboxId: MailboxId) {
  return db
    .selectFrom('messages')
    .select(SUMMARY_COLUMNS)
    .where('messages.mailbox_id', '=', mailboxId);
}

/** Messages with their contents. */
function selectContents(db: Kysely<Schema>, mailboxId: MailboxId) {
  return db
    .selectFrom('messages')
    .innerJoin('contents', 'contents.id', 'messages.content_id')
    .where('messages.mailbox_id', '=', mailboxId);
}

export async function openMailbox(
  db: Kysely<Schema>,
  mailboxId: MailboxId,
): Promise<OpenedMailbox> {
  const mailbox = await requireMailbox(db, mailboxId);
  return {
    uids: await readUids(db, mailboxId),
    uidNext: mailbox.uid_next,
    highestModSeq: mailbox.highest_modseq,
    firstUnseen: mailbox.unseen === 0 ? undefined : await findFirstUnseen(db, mailboxId),
    keywords: await readKeywords(db, mailboxId),
  };
}

async function findFirstUnseen(db: Kysely<Schema>, mailboxId: MailboxId): Promise<Uid | undefined> {
  const row = await db
    .selectFrom('messages')
    .select('uid')
    .where('mailbox_id', '=', mailboxId)
    .where(UNSEEN)
    .orderBy('uid')
    .limit(1)
    .executeTakeFirst();
  return row?.uid;
}

/** As the indexes of 0002-read-path have it, letter by letter. */
const UNSEEN = sql<boolean>`flags & 1 = 0`;
const DELETED = sql<boolean>`flags & 8 <> 0`;

export async function readDeletedSize(db: Kysely<Schema>, mailboxId: MailboxId): Promise<number> {
  await requireMailbox(db, mailboxId);
  const { size } = await db
    .selectFrom('messages')
    // PostgreSQL's sum of whole numbers is of a wider type
    .select(sql<number>`cast(coalesce(sum(size), 0) as bigint)`.as('size'))
    .where('mailbox_id', '=', mailboxId)
    .where(DELETED)
    .executeTakeFirstOrThrow();
  return size;
}

/** In order. Reads no more than what it returns. */
export async function readMarked(
  db: Kysely<Schema>,
  mailboxId: MailboxId,
  mark: 'unseen' | 'deleted',
): Promise<Uid[]> {
  await requireMailbox(db, mailboxId);
  const rows = await db
    .selectFrom('messages')
    .select('uid')
    .where('mailbox_id', '=', mailboxId)
    .where(mark === 'unseen' ? UNSEEN : DELETED)
    .orderBy('uid')
    .execute();
  return rows.map(({ uid }) => uid);
}

export async function listMessages(
  db: Kysely<Schema>,
  mailboxId: MailboxId,
): Promise<{ messages: ListedMessage[]; highestModSeq: ModSeq }> {
  const mailbox = await requireMailbox(db, mailboxId);
  const rows = await selectContents(db, mailboxId)
    .select([...SUMMARY_COLUMNS, 'contents.email_id', 'contents.ends_in_crlf'])
    .orderBy('messages.uid')
    .execute();
  const messages = rows.map((row) => ({
    ...toSummary(row),
    emailId: row.email_id,
    endsInCrlf: row.ends_in_crlf === 1,
  }));
  return { messages, highestModSeq: mailbox.highest_modseq };
}

export async function readSummaries(
  db: Kysely<Schema>,
  mailboxId: MailboxId,
  uids: readonly Uid[],
): Promise<MessageSummary[]> {
  const summaries: MessageSummary[] = [];
  for (const group of inUidGroups(uids)) {
    const rows = await selectSummaries(db, mailboxId)
      .where(amongUids(group))
      .orderBy('messages.uid')
      .execute();
    for (const row of rows) summaries.push(toSummary(row));
  }
  if (summaries.length < uids.length) await requireMailbox(db, mailboxId);
  return summaries;
}

/** From the blocks; the rows are read of those that have keywords. */
export async function readFlags(
  db: Kysely<Schema>,
  mailboxId: MailboxId,
  uids: readonly Uid[],
): Promise<(readonly string[] | undefined)[]> {
  const found = await readBlockFlags(db, mailboxId, uids);
  if (found.includes(undefined)) await requireMailbox(db, mailboxId);
  const withKeywords = uids.filter((_, index) => found[index] === 'and-keywords');
  const stored = new Map<Uid, readonly string[]>();
  for (const group of inUidGroups(withKeywords)) {
    const rows = await db
      .selectFrom('messages')
      .select(['messages.uid', 'messages.flags', 'messages.keywords'])
      .where('messages.mailbox_id', '=', mailboxId)
      .where(amongUids(group))
      .execute();
    for (const row of rows) stored.set(row.uid, decodeFlags(row));
  }
  return found.map((flags, index) =>
    flags === 'and-keywords' ? stored.get(uids[index] ?? 0) : flags,
  );
}

export async function readChangedUids(
  db: Kysely<Schema>,
  mailboxId: MailboxId,
  modSeq: ModSeq,
): Promise<Uid[]> {
  await requireMailbox(db, mailboxId);
  const rows = await db
    .selectFrom('messages')
    .select('uid')
    .where('mailbox_id', '=', mailboxId)
    .where('modseq', '>', modSeq)
    .execute();
  return rows.map(({ uid }) => uid).sort((a, b) => a - b);
}

export async function readChanges(
  db: Kysely<Schema>,
  mailboxId: MailboxId,
  modSeq: ModSeq,
  except: readonly ModSeq[],
): Promise<MailboxChanges> {
  const mailbox = await requireMailbox(db, mailboxId);
  let changed = selectSummaries(db, mailboxId).where('messages.modseq', '>', modSeq);
  if (except.length > 0) changed = changed.where('messages.modseq', 'not in', except);
  const expunged = await db
    .selectFrom('tombstones')
    .select('uid')
    .where('mailbox_id', '=', mailboxId)
    .where('modseq', '>', modSeq)
    .execute();
  return {
    changed: (await changed.execute()).map(toSummary).sort((a, b) => a.uid - b.uid),
    expunged: expunged.map(({ uid }) => uid).sort((a, b) => a - b),
    highestModSeq: mailbox.highest_modseq,
  };
}

/** In pages, so that a mailbox through which millions have gone costs no more than its ranges. */
export async function readExpunged(
  db: Kysely<Schema>,
  mailboxId: MailboxId,
  after: ModSeq,
  upTo: ModSeq,
): Promise<UidRange[]> {
  await requireMailbox(db, mailboxId);
  const ranges: { first: Uid; last: Uid }[] = [];
  for (let from = 0; ; ) {
    const rows = await db
      .selectFrom('tombstones')
      .select('uid')
      .where('mailbox_id', '=', mailboxId)
      .where('modseq', '>', after)
      .where('modseq', '<=', upTo)
      .where('uid', '>', from)
      .orderBy('uid')
      .limit(TOMBSTONES_PER_PAGE)
      .execute();
    for (const { uid } of rows) {
      const range = ranges.at(-1);
      if (range?.last === uid - 1) range.last = uid;
      else ranges.push({ first: uid, last: uid });
    }
    if (rows.length < TOMBSTONES_PER_PAGE) return ranges;
    from = rows.at(-1)?.uid ?? from;
  }
}

export async function readStructures(
  db: Kysely<Schema>,
  mailboxId: MailboxId,
  uids: readonly Uid[],
): Promise<Map<Uid, MessageStructure>> {
  const structures = new Map<Uid, MessageStructure>();
  for (const group of inUidGroups(uids)) {
    const rows = await db
      .selectFrom('messages')
      .innerJoin('structures', 'structures.content_id', 'messages.content_id')
      .select(['messages.uid', 'structures.structure'])
      .where('messages.mailbox_id', '=', mailboxId)
      .where(amongUids(group))
      .execute();
    for (const { uid, structure } of rows) {
      structures.set(uid, JSON.parse(structure) as MessageStructure);
    }
  }
  if (structures.size < uids.length) await requireMailbox(db, mailboxId);
  return structures;
}

export async function readRendered(
  db: Kysely<Schema>,
  mailboxId: MailboxId,
  uids: readonly Uid[],
  item: RenderedItem,
): Promise<(string | null | undefined)[]> {
  const column = item === 'envelope' ? 'renderings.envelope' : 'renderings.body_structure';
  const texts: (string | null | undefined)[] = [];
  for (const group of inUidGroups(uids)) {
    const rows = await db
      .selectFrom('messages')
      .leftJoin('renderings', 'renderings.content_id', 'messages.content_id')
      .select(['messages.uid', `${column} as text`])
      .where('messages.mailbox_id', '=', mailboxId)
      .where(amongUids(group))
      .orderBy('messages.uid')
      .execute();
    for (const { uid, text } of rows) {
      while ((uids[texts.length] ?? uid) < uid) texts.push(undefined);
      texts.push(text);
    }
  }
  while (texts.length < uids.length) texts.push(undefined);
  if (texts.includes(undefined)) await requireMailbox(db, mailboxId);
  return texts;
}

export async function readEmailIds(
  db: Kysely<Schema>,
  mailboxId: MailboxId,
  uids: readonly Uid[],
): Promise<Map<Uid, string>> {
  const found = new Map<Uid, string>();
  for (const group of inUidGroups(uids)) {
    const rows = await selectContents(db, mailboxId)
      .select(['messages.uid', 'contents.email_id'])
      .where(amongUids(group))
      .execute();
    for (const { uid, email_id } of rows) found.set(uid, email_id);
  }
  if (found.size < uids.length) await requireMailbox(db, mailboxId);
  return found;
}

/** Whole messages of one chunk. */
export async function readSmall(
  db: Kysely<Schema>,
  mailboxId: MailboxId,
  uids: readonly Uid[],
): Promise<Map<Uid, Buffer>> {
  const found = new Map<Uid, Buffer>();
  for (const group of inUidGroups(uids)) {
    const rows = await db
      .selectFrom('messages')
      .innerJoin('content_chunks', 'content_chunks.content_id', 'messages.content_id')
      .select(['messages.uid', 'content_chunks.data'])
      .where('messages.mailbox_id', '=', mailboxId)
      .where(amongUids(group))
      .where('messages.size', '<=', CHUNK_BYTES)
      .where('content_chunks.position', '=', 0)
      .execute();
    for (const { uid, data } of rows) {
      found.set(uid, Buffer.from(data.buffer, data.byteOffset, data.byteLength));
    }
  }
  if (found.size < uids.length) await requireMailbox(db, mailboxId);
  return found;
}
