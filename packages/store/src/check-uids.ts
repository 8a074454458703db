/** What a session begins with, against the rows: which UIDs a mailbox has, and its keywords. */
import type { Kysely } from 'kysely';
import type { CheckCourse, Finding } from './check-course.ts';
import { FlagOctets } from './flag-octets.ts';
import { splitKeywords } from './flags.ts';
import type { MailboxId, Uid } from './mail-store.ts';
import type { Schema } from './schema.ts';
import { blockOf } from './uid-blocks.ts';
import { UIDS_PER_BLOCK, UidSet } from './uid-set.ts';

/** Looked at in one state: 16,384 UIDs. */
const BLOCKS_PER_LOOK = 4;

export async function checkUids(
  course: CheckCourse,
  mailboxId: MailboxId,
  where: string,
): Promise<void> {
  const last = await course.look(where, (db) => lastBlock(db, mailboxId));
  for (let first = 0; first <= (last ?? 0); first += BLOCKS_PER_LOOK) {
    await course.settle(where, (db) => lookAtBlocks(db, mailboxId, first, where));
  }
  await course.settle(where, (db) => lookAtKeywords(db, mailboxId, where));
}

async function lastBlock(db: Kysely<Schema>, mailboxId: MailboxId): Promise<number> {
  const { uid } = await db
    .selectFrom('messages')
    .select((eb) => eb.fn.coalesce(eb.fn.max('uid'), eb.lit(0)).as('uid'))
    .where('mailbox_id', '=', mailboxId)
    .executeTakeFirstOrThrow();
  const { number } = await db
    .selectFrom('uid_blocks')
    .select((eb) => eb.fn.coalesce(eb.fn.max('number'), eb.lit(0)).as('number'))
    .where('mailbox_id', '=', mailboxId)
    .executeTakeFirstOrThrow();
  return Math.max(number, Math.floor(uid / UIDS_PER_BLOCK));
}

async function findModSeq(db: Kysely<Schema>, id: MailboxId): Promise<number | undefined> {
  const mailbox = await db
    .selectFrom('mailboxes')
    .select('highest_modseq')
    .where('id', '=', id)
    .where('name', 'is not', null)
    .executeTakeFirst();
  return mailbox?.highest_modseq;
}

async function lookAtBlocks(
  db: Kysely<Schema>,
  mailboxId: MailboxId,
  first: number,
  where: string,
): Promise<Finding | undefined> {
  const seenModSeq = await findModSeq(db, mailboxId);
  if (seenModSeq === undefined) return undefined;
  const end = first + BLOCKS_PER_LOOK;
  const rows = await db
    .selectFrom('messages')
    .select(['uid', 'flags', 'keywords'])
    .where('mailbox_id', '=', mailboxId)
    .where('uid', '>=', first * UIDS_PER_BLOCK)
    .where('uid', '<', end * UIDS_PER_BLOCK)
    .execute();
  const blocks = await db
    .selectFrom('uid_blocks')
    .select(['number', 'bits', 'flags'])
    .where('mailbox_id', '=', mailboxId)
    .where('number', '>=', first)
    .where('number', '<', end)
    .orderBy('number')
    .execute();
  const told = new UidSet(blocks);
  const there = new UidSet();
  for (const { uid } of rows) there.add(uid);
  const missing = rows.filter(({ uid }) => !told.has(uid)).map(({ uid }) => uid);
  const extra = told.slice(0, told.size).filter((uid) => !there.has(uid));
  const octets = new Map(blocks.map(({ number, flags }) => [number, new FlagOctets(flags)]));
  const wrong = rows
    .filter((row) => told.has(row.uid) && !octets.get(blockOf(row))?.says(row))
    .map(({ uid }) => uid);
  if (missing.length + extra.length + wrong.length === 0) return undefined;
  const what = `its set of UIDs lacks ${tell(missing)}, has ${tell(extra)} too many, and wrong flags of ${tell(wrong)}`;
  return {
    faults: [{ code: 'uid-set', where, what }],
    repair: { kind: 'uid-blocks', mailboxId, seenModSeq, first, end, messages: rows },
  };
}

function tell(uids: readonly Uid[]): string {
  if (uids.length === 0) return 'none';
  return uids.length > 3 ? `${uids.slice(0, 3).join(', ')} ...` : uids.join(', ');
}

async function lookAtKeywords(
  db: Kysely<Schema>,
  mailboxId: MailboxId,
  where: string,
): Promise<Finding | undefined> {
  if ((await findModSeq(db, mailboxId)) === undefined) return undefined;
  const rows = await db
    .selectFrom('messages')
    .select('keywords')
    .distinct()
    .where('mailbox_id', '=', mailboxId)
    .where('keywords', '<>', '')
    .execute();
  const told = await db
    .selectFrom('mailbox_keywords')
    .select('keyword_key')
    .where('mailbox_id', '=', mailboxId)
    .execute();
  const known = new Set(told.map(({ keyword_key }) => keyword_key));
  const used = new Set(rows.flatMap(({ keywords }) => splitKeywords(keywords)));
  const untold = [...used].filter((keyword) => !known.has(keyword.toLowerCase()));
  if (untold.length === 0) return undefined;
  const what = `its messages have keywords that it does not tell: ${untold.slice(0, 5).join(' ')}`;
  return {
    faults: [{ code: 'keywords-untold', where, what }],
    repair: { kind: 'keywords', mailboxId, keywords: untold },
  };
}
