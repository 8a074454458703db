/**
 * What a check mends: small writes among those of the services. Each says what it has seen and changes
 * nothing where that has changed since, so that none needs a long look inside its transaction.
 */
import { sql } from 'kysely';
import { sweepAnnotationsOf } from './annotations.ts';
import type { MessagesCounters } from './check-mailboxes.ts';
import { type Content, insertStructure } from './content.ts';
import { ensureDomain } from './domains.ts';
import { noteKeywords } from './keywords-in-use.ts';
import { lockMailbox } from './locks.ts';
import type { AccountId, MailboxId, ModSeq, Uid } from './mail-store.ts';
import { INBOX } from './mailbox-names.ts';
import { insertMailbox, setSubscription } from './mailboxes.ts';
import { removeGrant } from './rights.ts';
import { addToBlocks, type FlaggedUid } from './uid-blocks.ts';
import type { WriteContext } from './write-context.ts';

export type Repair =
  | {
      readonly kind: 'mailbox';
      readonly mailboxId: MailboxId;
      /** Every write to a mailbox takes a new one: where it is the same, all is as it was seen. */
      readonly seenModSeq: ModSeq;
      readonly counters: MessagesCounters;
      readonly uidNext: Uid;
      readonly highestModSeq: ModSeq;
    }
  | {
      readonly kind: 'tombstones';
      readonly mailboxId: MailboxId;
      readonly uids: readonly Uid[];
    }
  | {
      readonly kind: 'references';
      readonly contents: readonly {
        readonly id: number;
        readonly seen: number;
        readonly counted: number;
      }[];
    }
  | {
      readonly kind: 'uid-blocks';
      readonly mailboxId: MailboxId;
      readonly seenModSeq: ModSeq;
      /** Numbers of blocks: all those up to `end` hold these now. */
      readonly first: number;
      readonly end: number;
      readonly messages: readonly FlaggedUid[];
    }
  | {
      readonly kind: 'keywords';
      readonly mailboxId: MailboxId;
      readonly keywords: readonly string[];
    }
  | ({ readonly kind: 'structure'; readonly contentId: number } & Pick<
      Content,
      'structure' | 'envelope' | 'bodyStructure'
    >)
  | {
      readonly kind: 'message-size';
      readonly mailboxId: MailboxId;
      readonly uid: Uid;
      readonly size: number;
    }
  | { readonly kind: 'subscriptions'; readonly accountId: AccountId }
  | { readonly kind: 'annotations'; readonly mailboxId: MailboxId }
  | { readonly kind: 'rights'; readonly mailboxId: MailboxId; readonly accountId: AccountId }
  | { readonly kind: 'inbox'; readonly accountId: AccountId }
  | { readonly kind: 'domain'; readonly name: string }
  | { readonly kind: 'uid-validity'; readonly atLeast: number };

/** Whether it is mended now; false where what was seen has changed. */
export async function repair(context: WriteContext, args: Repair): Promise<boolean> {
  switch (args.kind) {
    case 'mailbox':
      return repairMailbox(context, args);
    case 'tombstones':
      return removeTombstones(context, args);
    case 'references':
      return repairReferences(context, args);
    case 'uid-blocks':
      return repairUidBlocks(context, args);
    case 'keywords':
      return addKeywords(context, args);
    case 'structure':
      return repairStructure(context, args);
    case 'message-size':
      return repairMessageSize(context, args);
    case 'subscriptions':
      return removeSubscriptions(context, args);
    case 'annotations':
      // ids are never used again: what is gone stays gone
      await sweepAnnotationsOf(context, args.mailboxId);
      return true;
    case 'rights':
      // and so does who has been removed
      await removeGrant(context, args);
      return true;
    case 'inbox':
      return addInbox(context, args);
    case 'domain':
      await ensureDomain(context, args.name);
      return true;
    case 'uid-validity':
      return raiseUidValidity(context, args);
  }
}

type RepairOf<K extends Repair['kind']> = Extract<Repair, { kind: K }>;

async function repairMailbox(
  { db, touch }: WriteContext,
  { mailboxId, seenModSeq, counters, uidNext, highestModSeq }: RepairOf<'mailbox'>,
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('mailboxes')
    .set({ ...counters, uid_next: uidNext, highest_modseq: highestModSeq })
    .where('id', '=', mailboxId)
    .where('highest_modseq', '=', seenModSeq)
    .executeTakeFirstOrThrow();
  if (numUpdatedRows === 0n) return false;
  touch(mailboxId, highestModSeq);
  return true;
}

/** Who resynchronises was told that the messages are gone: with a new modification sequence they are told again. */
async function removeTombstones(
  { db, touch }: WriteContext,
  { mailboxId, uids }: RepairOf<'tombstones'>,
): Promise<boolean> {
  const mailbox = await db
    .updateTable('mailboxes')
    .set((eb) => ({ highest_modseq: eb('highest_modseq', '+', 1) }))
    .where('id', '=', mailboxId)
    .where('name', 'is not', null)
    .returning('highest_modseq')
    .executeTakeFirst();
  if (mailbox === undefined) return false;
  const present = await db
    .updateTable('messages')
    .set({ modseq: mailbox.highest_modseq })
    .where('mailbox_id', '=', mailboxId)
    .where('uid', 'in', uids)
    .returning('uid')
    .execute();
  if (present.length > 0) {
    const uidsPresent = present.map(({ uid }) => uid);
    await db
      .deleteFrom('tombstones')
      .where('mailbox_id', '=', mailboxId)
      .where('uid', 'in', uidsPresent)
      .execute();
  }
  touch(mailboxId, mailbox.highest_modseq);
  return true;
}

/** Writes change the count and the messages together: where the one is as it was seen, so is the other. */
async function repairReferences(
  { db }: WriteContext,
  { contents }: RepairOf<'references'>,
): Promise<boolean> {
  let all = true;
  for (const { id, seen, counted } of contents) {
    const { numUpdatedRows } = await db
      .updateTable('contents')
      .set({ refs: counted })
      .where('id', '=', id)
      .where('refs', '=', seen)
      .executeTakeFirstOrThrow();
    all &&= numUpdatedRows > 0n;
  }
  return all;
}

async function repairStructure(
  { db }: WriteContext,
  { contentId, structure, envelope, bodyStructure }: RepairOf<'structure'>,
): Promise<boolean> {
  await db.deleteFrom('structures').where('content_id', '=', contentId).execute();
  await db.deleteFrom('renderings').where('content_id', '=', contentId).execute();
  await insertStructure(db, contentId, { structure, envelope, bodyStructure });
  return true;
}

async function repairUidBlocks(
  context: WriteContext,
  { mailboxId, seenModSeq, first, end, messages }: RepairOf<'uid-blocks'>,
): Promise<boolean> {
  const { db, touch } = context;
  const { numUpdatedRows } = await db
    .updateTable('mailboxes')
    .set({ highest_modseq: seenModSeq + 1 })
    .where('id', '=', mailboxId)
    .where('highest_modseq', '=', seenModSeq)
    .executeTakeFirstOrThrow();
  if (numUpdatedRows === 0n) return false;
  await db
    .deleteFrom('uid_blocks')
    .where('mailbox_id', '=', mailboxId)
    .where('number', '>=', first)
    .where('number', '<', end)
    .execute();
  await addToBlocks(context, mailboxId, messages);
  touch(mailboxId, seenModSeq + 1);
  return true;
}

async function addKeywords(
  context: WriteContext,
  { mailboxId, keywords }: RepairOf<'keywords'>,
): Promise<boolean> {
  await lockMailbox(context, mailboxId);
  await noteKeywords(context, mailboxId, keywords);
  return true;
}

/** The mailbox's counter of octets is mended by the look at mailboxes, which comes after. */
async function repairMessageSize(
  { db }: WriteContext,
  { mailboxId, uid, size }: RepairOf<'message-size'>,
): Promise<boolean> {
  await sql`update messages set size = ${size} where mailbox_id = ${mailboxId} and uid = ${uid}`.execute(
    db,
  );
  return true;
}

async function removeSubscriptions(
  { db }: WriteContext,
  { accountId }: RepairOf<'subscriptions'>,
): Promise<boolean> {
  await db.deleteFrom('subscriptions').where('account_id', '=', accountId).execute();
  return true;
}

async function addInbox(context: WriteContext, { accountId }: RepairOf<'inbox'>): Promise<boolean> {
  const present = await context.db
    .selectFrom('mailboxes')
    .select('id')
    .where('account_id', '=', accountId)
    .where('name', '=', INBOX)
    .executeTakeFirst();
  if (present !== undefined) return false;
  await setSubscription(context, { accountId, name: INBOX, subscribed: true });
  await insertMailbox(context, accountId, INBOX, undefined);
  return true;
}

async function raiseUidValidity(
  { db }: WriteContext,
  { atLeast }: RepairOf<'uid-validity'>,
): Promise<boolean> {
  await db
    .updateTable('counters')
    .set({ value: atLeast })
    .where('name', '=', 'uid_validity')
    .where('value', '<', atLeast)
    .execute();
  return true;
}
