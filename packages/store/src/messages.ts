/**
 * Messages in mailboxes: how they come, change and go. Each write takes one new modification sequence
 * from a mailbox that it changes, gives it to what it changed, and keeps the mailbox's counters right.
 */
import { type Kysely, sql } from 'kysely';
import {
  addReferences,
  type Content,
  dropReferences,
  insertContent,
  noSuchMessage,
} from './content.ts';
import { StoreError } from './errors.ts';
import { noSuchMailbox, requireMailbox } from './existence.ts';
import {
  ALL_FLAGS,
  applyFlags,
  DELETED,
  decodeFlags,
  encodeFlags,
  type FlagMask,
  flagMask,
  maskFlags,
  SEEN,
  type StoredFlags,
} from './flags.ts';
import { inGroups } from './id-groups.ts';
import { noteKeywords } from './keywords-in-use.ts';
import { lockContents, lockMailbox, lockMailboxes } from './locks.ts';
import type {
  AccountId,
  AppendedMessage,
  ChangedFlags,
  FlagChange,
  FlagKind,
  MailboxId,
  ModSeq,
  Uid,
} from './mail-store.ts';
import { INBOX } from './mailbox-names.ts';
import { growthOf, lockRoom, requireRoom } from './quotas.ts';
import type { MessageRow, Schema } from './schema.ts';
import { addToBlocks, changeInBlocks, removeFromBlocks } from './uid-blocks.ts';
import { amongUids, inUidGroups } from './uid-conditions.ts';
import type { WriteContext } from './write-context.ts';

/** Rows of one insert: its 9 values each must stay below SQLite's and PostgreSQL's 32,766. */
const ROWS_PER_INSERT = 500;
const ROWS_PER_COPY = 512;

/** A new message made ready outside the transaction. */
export interface ReadyMessage {
  readonly content: Content;
  readonly flags: readonly string[];
  /** Undefined for the time of the write. */
  readonly internalDate: Date | undefined;
}

export interface Copied {
  readonly from: Uid[];
  readonly to: Uid[];
  readonly uidValidity: number;
}

/** A whole number as a column of a query: its type does not follow from where it stands. */
function whole(value: number) {
  return sql<number>`cast(${value} as bigint)`;
}

function* cut<T>(list: readonly T[], most: number): Generator<T[]> {
  for (let start = 0; start < list.length; start += most) yield list.slice(start, start + most);
}

/** The rows that exist, in the order of their UIDs. */
async function selectRows(
  db: Kysely<Schema>,
  mailboxId: MailboxId,
  uids: readonly Uid[],
): Promise<MessageRow[]> {
  const found: MessageRow[] = [];
  const ascending = [...new Set(uids)].sort((a, b) => a - b);
  for (const group of inUidGroups(ascending)) {
    const rows = await db
      .selectFrom('messages')
      .selectAll()
      .where('mailbox_id', '=', mailboxId)
      .where(amongUids(group))
      .orderBy('uid')
      .execute();
    for (const row of rows) found.push(row);
  }
  return found;
}

/** What a message adds to its mailbox's counters. */
interface Tally {
  messages: number;
  unseen: number;
  deleted: number;
  size: number;
}

function tally(rows: readonly { flags: number; size: number }[]): Tally {
  const sum: Tally = { messages: rows.length, unseen: 0, deleted: 0, size: 0 };
  for (const { flags, size } of rows) {
    if ((flags & SEEN) === 0) sum.unseen += 1;
    if ((flags & DELETED) !== 0) sum.deleted += 1;
    sum.size += size;
  }
  return sum;
}

/**
 * Takes a modification sequence, and `uids` UIDs, from a mailbox and counts `plus` and `minus`.
 * Throws StoreError (no-such-mailbox).
 */
async function advanceMailbox(
  { db, touch }: WriteContext,
  mailboxId: MailboxId,
  change: { plus?: Tally; minus?: Tally; uids?: number },
): Promise<{ modSeq: ModSeq; firstUid: Uid; uidValidity: number }> {
  const { plus, minus, uids = 0 } = change;
  const by = (key: keyof Tally): number => (plus?.[key] ?? 0) - (minus?.[key] ?? 0);
  const row = await db
    .updateTable('mailboxes')
    .set((eb) => ({
      highest_modseq: eb('highest_modseq', '+', 1),
      uid_next: eb('uid_next', '+', uids),
      messages: eb('messages', '+', by('messages')),
      unseen: eb('unseen', '+', by('unseen')),
      deleted: eb('deleted', '+', by('deleted')),
      size: eb('size', '+', by('size')),
    }))
    .where('id', '=', mailboxId)
    .where('name', 'is not', null)
    .returning(['highest_modseq', 'uid_next', 'uid_validity'])
    .executeTakeFirst();
  if (row === undefined) throw noSuchMailbox();
  touch(mailboxId, row.highest_modseq);
  return {
    modSeq: row.highest_modseq,
    firstUid: row.uid_next - uids,
    uidValidity: row.uid_validity,
  };
}

export type Placement = Pick<
  MessageRow,
  'content_id' | 'flags' | 'keywords' | 'internal_date' | 'size'
>;

/** Puts messages, at least one, into a mailbox under new UIDs. Their contents are counted already. */
export async function placeMessages(
  context: WriteContext,
  mailboxId: MailboxId,
  placements: readonly Placement[],
): Promise<AppendedMessage[]> {
  const { modSeq, firstUid, uidValidity } = await advanceMailbox(context, mailboxId, {
    plus: tally(placements),
    uids: placements.length,
  });
  const rows = placements.map(({ content_id, flags, keywords, internal_date, size }, index) => ({
    mailbox_id: mailboxId,
    uid: firstUid + index,
    content_id,
    modseq: modSeq,
    flags,
    keywords,
    internal_date,
    saved_at: context.now.getTime(),
    size,
  }));
  for (let start = 0; start < rows.length; start += ROWS_PER_INSERT) {
    const group = rows.slice(start, start + ROWS_PER_INSERT);
    await context.db.insertInto('messages').values(group).execute();
  }
  await addToBlocks(context, mailboxId, rows);
  await noteKeywords(
    context,
    mailboxId,
    rows.map(({ keywords }) => keywords),
  );
  return rows.map(({ uid }) => ({ uid, uidValidity }));
}

/** Stores one content for `refs` messages. */
export async function insertMessage(
  context: WriteContext,
  message: ReadyMessage,
  refs: number,
  emailId?: string,
): Promise<Placement> {
  const stored = encodeFlags(message.flags);
  return {
    content_id: await insertContent(context, message.content, refs, emailId),
    ...stored,
    internal_date: (message.internalDate ?? context.now).getTime(),
    size: message.content.raw.byteLength,
  };
}

function noSuchRecipient(): StoreError {
  return new StoreError('no-such-account', 'a recipient has no account any more');
}

export async function deliverMessage(
  context: WriteContext,
  args: { recipients: readonly AccountId[]; message: ReadyMessage },
): Promise<void> {
  const recipients = [...new Set(args.recipients)];
  const inboxes: MailboxId[] = [];
  for (const group of inGroups(recipients)) {
    const rows = await context.db
      .selectFrom('mailboxes')
      .select('id')
      .where('account_id', 'in', group)
      .where('name', '=', INBOX)
      .execute();
    for (const { id } of rows) inboxes.push(id);
  }
  if (inboxes.length !== recipients.length) throw noSuchRecipient();
  if (inboxes.length === 0) return;
  // first what takes long, with no mailbox locked yet
  const placement = await insertMessage(context, args.message, inboxes.length);
  const room = await lockRoom(context, recipients);
  for (const recipient of recipients) requireRoom(room, recipient, growthOf([placement]));
  const locked = await lockMailboxes(context, inboxes);
  if (locked.size !== inboxes.length) throw noSuchRecipient();
  for (const inbox of inboxes) await placeMessages(context, inbox, [placement]);
}

export async function appendMessages(
  context: WriteContext,
  args: { mailboxId: MailboxId; messages: readonly ReadyMessage[] },
): Promise<AppendedMessage[]> {
  const { account_id: accountId } = await requireMailbox(context.db, args.mailboxId);
  if (args.messages.length === 0) return [];
  const placements: Placement[] = [];
  for (const message of args.messages) placements.push(await insertMessage(context, message, 1));
  requireRoom(await lockRoom(context, [accountId]), accountId, growthOf(placements));
  return placeMessages(context, args.mailboxId, placements);
}

export async function replaceMessage(
  context: WriteContext,
  args: { mailboxId: MailboxId; uid: Uid; target: MailboxId; message: ReadyMessage },
): Promise<AppendedMessage> {
  const { mailboxId, uid, target } = args;
  const { account_id: from } = await requireMailbox(context.db, mailboxId);
  const { account_id: to } = await requireMailbox(context.db, target);
  // first what takes long, with no mailbox locked yet
  const placement = await insertMessage(context, args.message, 1);
  const room = await lockRoom(context, [to]);
  const locked = await lockMailboxes(context, [mailboxId, target]);
  if (!locked.has(mailboxId) || !locked.has(target)) throw noSuchMailbox();
  const replaced = await selectRows(context.db, mailboxId, [uid]);
  if (replaced.length === 0) throw noSuchMessage(uid);
  const freed = growthOf(from === to ? replaced : []);
  const { octets, messages } = growthOf([placement]);
  requireRoom(room, to, { octets: octets - freed.octets, messages: messages - freed.messages });
  const [placed] = await placeMessages(context, target, [placement]);
  if (placed === undefined) throw new Error('one message was placed');
  await removeRows(context, mailboxId, replaced);
  return placed;
}

export async function changeFlags(
  context: WriteContext,
  args: {
    mailboxId: MailboxId;
    uids: readonly Uid[];
    change: FlagChange;
    flags: readonly string[];
    unchangedSince: ModSeq | undefined;
    only: readonly FlagKind[] | undefined;
  },
): Promise<ChangedFlags[]> {
  const { db } = context;
  const { mailboxId, unchangedSince = Number.POSITIVE_INFINITY } = args;
  const mask = flagMask(args.only);
  const given = maskFlags(encodeFlags(args.flags), mask);
  await lockMailbox(context, mailboxId);
  const asked = await selectRows(db, mailboxId, args.uids);
  const before: MessageRow[] = [];
  const after: (MessageRow & StoredFlags)[] = [];
  const unchanged: MessageRow[] = [];
  for (const row of asked) {
    if (row.modseq > unchangedSince) continue;
    const changed = applyFlags(row, args.change, given, mask);
    if (changed.flags === row.flags && changed.keywords === row.keywords) unchanged.push(row);
    else {
      before.push(row);
      after.push({ ...row, ...changed });
    }
  }
  const now = unchanged.map((row) => toChanged(row, row.modseq));
  if (after.length > 0) {
    const { modSeq } = await advanceMailbox(context, mailboxId, {
      plus: tally(after),
      minus: tally(before),
    });
    const alike = Map.groupBy(after, ({ flags, keywords }) => `${flags} ${keywords}`);
    for (const rows of alike.values()) {
      const [{ flags, keywords } = given] = rows;
      for (const group of inGroups(rows.map(({ uid }) => uid))) {
        await db
          .updateTable('messages')
          .set({ flags, keywords, modseq: modSeq })
          .where('mailbox_id', '=', mailboxId)
          .where('uid', 'in', group)
          .execute();
      }
    }
    await changeInBlocks(context, mailboxId, after);
    if (args.change !== 'remove') await noteKeywords(context, mailboxId, [given.keywords]);
    for (const row of after) now.push(toChanged(row, modSeq));
  }
  return now.sort((a, b) => a.uid - b.uid);
}

/** `row` as it is now, with the modification sequence that it had before. */
function toChanged(row: MessageRow, modSeq: ModSeq): ChangedFlags {
  return { uid: row.uid, flags: decodeFlags(row), modSeq, previousModSeq: row.modseq };
}

export async function expungeMessages(
  context: WriteContext,
  args: { mailboxId: MailboxId; uids: readonly Uid[]; onlyDeleted: boolean },
): Promise<Uid[]> {
  await lockMailbox(context, args.mailboxId);
  const found = await selectRows(context.db, args.mailboxId, args.uids);
  const rows = args.onlyDeleted ? found.filter(({ flags }) => (flags & DELETED) !== 0) : found;
  await removeRows(context, args.mailboxId, rows);
  return rows.map(({ uid }) => uid).sort((a, b) => a - b);
}

async function removeRows(
  context: WriteContext,
  mailboxId: MailboxId,
  rows: readonly MessageRow[],
): Promise<void> {
  if (rows.length === 0) return;
  const { db } = context;
  const { modSeq } = await advanceMailbox(context, mailboxId, { minus: tally(rows) });
  const contentIds = rows.map(({ content_id }) => content_id);
  await lockContents(context, contentIds);
  for (const group of inGroups(rows.map(({ uid }) => uid))) {
    await db
      .insertInto('tombstones')
      .columns(['mailbox_id', 'modseq', 'uid', 'content_id'])
      .expression((eb) =>
        eb
          .selectFrom('messages')
          .select(['mailbox_id', whole(modSeq).as('modseq'), 'uid', 'content_id'])
          .where('mailbox_id', '=', mailboxId)
          .where('uid', 'in', group),
      )
      .execute();
  }
  await deleteRows(context, mailboxId, rows);
  await dropReferences(context, contentIds, { keepForReaders: true });
  await removeFromBlocks(context, mailboxId, rows);
}

async function deleteRows(
  context: WriteContext,
  mailboxId: MailboxId,
  rows: readonly Pick<MessageRow, 'uid'>[],
): Promise<void> {
  for (const group of inGroups(rows.map(({ uid }) => uid))) {
    await context.db
      .deleteFrom('messages')
      .where('mailbox_id', '=', mailboxId)
      .where('uid', 'in', group)
      .execute();
  }
}

/** What to copy, and which of its flags go along. */
export interface CopyArguments {
  readonly mailboxId: MailboxId;
  readonly uids: readonly Uid[];
  readonly target: MailboxId;
  /** All where it is undefined. */
  readonly keep: readonly FlagKind[] | undefined;
}

export async function copyMessages(context: WriteContext, args: CopyArguments): Promise<Copied> {
  const { copied } = await copyRows(context, args, 'copy');
  return copied;
}

export async function moveMessages(context: WriteContext, args: CopyArguments): Promise<Copied> {
  const { rows, copied } = await copyRows(context, args, 'move');
  await removeRows(context, args.mailboxId, rows);
  return copied;
}

async function copyRows(
  context: WriteContext,
  args: CopyArguments,
  purpose: 'copy' | 'move',
): Promise<{ rows: MessageRow[]; copied: Copied }> {
  const { account_id: giver } = await requireMailbox(context.db, args.mailboxId);
  const { account_id: taker } = await requireMailbox(context.db, args.target);
  // what is moved within an account takes nothing more of it
  const room = purpose === 'move' && giver === taker ? new Map() : await lockRoom(context, [taker]);
  const locked = await lockMailboxes(context, [args.mailboxId, args.target]);
  const target = locked.get(args.target);
  if (target === undefined || !locked.has(args.mailboxId)) throw noSuchMailbox();
  const { uid_validity: uidValidity } = target;
  const rows = await selectRows(context.db, args.mailboxId, args.uids);
  if (rows.length === 0) return { rows, copied: { from: [], to: [], uidValidity } };
  requireRoom(room, taker, growthOf(rows));
  const contentIds = rows.map(({ content_id }) => content_id);
  await lockContents(context, contentIds);
  await addReferences(context, contentIds);
  const to = await placeCopies(context, args.target, rows, flagMask(args.keep));
  return { rows, copied: { from: rows.map(({ uid }) => uid), to, uidValidity } };
}

/** As placeMessages, of messages of one mailbox in their order; the database copies their rows itself. */
async function placeCopies(
  context: WriteContext,
  target: MailboxId,
  originals: readonly MessageRow[],
  mask: FlagMask,
): Promise<Uid[]> {
  const rows =
    mask === ALL_FLAGS ? originals : originals.map((row) => ({ ...row, ...maskFlags(row, mask) }));
  const { modSeq, firstUid } = await advanceMailbox(context, target, {
    plus: tally(rows),
    uids: rows.length,
  });
  let placed = 0;
  for (const group of cut(rows, ROWS_PER_COPY)) {
    await copyGroup(context, group, { target, modSeq, firstUid: firstUid + placed, mask });
    placed += group.length;
  }
  const copies = rows.map((row, index) => ({ ...row, uid: firstUid + index }));
  await addToBlocks(context, target, copies);
  await noteKeywords(
    context,
    target,
    copies.map(({ keywords }) => keywords),
  );
  return copies.map(({ uid }) => uid);
}

/** The n-th of `group` by UID gets the n-th UID from `firstUid`. */
async function copyGroup(
  { db, now }: WriteContext,
  group: readonly MessageRow[],
  to: {
    readonly target: MailboxId;
    readonly modSeq: ModSeq;
    readonly firstUid: Uid;
    readonly mask: FlagMask;
  },
): Promise<void> {
  const [{ mailbox_id: source } = { mailbox_id: 0 }] = group;
  const uid = sql<number>`${whole(to.firstUid - 1)} + row_number() over (order by uid)`;
  await db
    .insertInto('messages')
    .columns([
      'mailbox_id',
      'uid',
      'content_id',
      'modseq',
      'flags',
      'keywords',
      'internal_date',
      'saved_at',
      'size',
    ])
    .expression((eb) =>
      eb
        .selectFrom('messages')
        .select([
          whole(to.target).as('mailbox_id'),
          uid.as('uid'),
          'content_id',
          whole(to.modSeq).as('modseq'),
          sql<number>`flags & ${whole(to.mask.bits)}`.as('flags'),
          to.mask.keywords ? 'keywords' : sql<string>`''`.as('keywords'),
          'internal_date',
          whole(now.getTime()).as('saved_at'),
          'size',
        ])
        .where('mailbox_id', '=', source)
        .where(
          'uid',
          'in',
          group.map((row) => row.uid),
        ),
    )
    .execute();
}

/** Takes some messages out of a mailbox that is deleted. False when it had none. */
export async function sweepMessages(
  context: WriteContext,
  mailboxId: MailboxId,
  most: number,
): Promise<boolean> {
  const rows = await context.db
    .selectFrom('messages')
    .select(['uid', 'content_id'])
    .where('mailbox_id', '=', mailboxId)
    .orderBy('uid')
    .limit(most)
    .execute();
  const contentIds = rows.map(({ content_id }) => content_id);
  await lockContents(context, contentIds);
  await deleteRows(context, mailboxId, rows);
  await dropReferences(context, contentIds);
  return rows.length > 0;
}
