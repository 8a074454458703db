/** Each mailbox against its rows: counters, next UID, modification sequence, UIDs both there and gone. */
import { type Kysely, type RawBuilder, sql } from 'kysely';
import type { CheckCourse, Finding, FoundFault } from './check-course.ts';
import { inPages } from './check-course.ts';
import { checkUids } from './check-uids.ts';
import { DELETED, SEEN } from './flags.ts';
import type { MailboxId } from './mail-store.ts';
import type { MailboxRow, Schema } from './schema.ts';

const PAGE = 200;
/** Of one mailbox, mended at a time. */
const MAX_UIDS = 500;

export type MessagesCounters = Pick<MailboxRow, 'messages' | 'unseen' | 'deleted' | 'size'>;
const COUNTERS = ['messages', 'unseen', 'deleted', 'size'] as const;

/** Returns how many there are. What is deleted and waits to be swept is left alone. */
export async function checkMailboxes(course: CheckCourse): Promise<number> {
  let done = 0;
  await inPages(async (after) => {
    const mailboxes = await course.look('mailboxes', (db) =>
      db
        .selectFrom('mailboxes')
        .innerJoin('accounts', 'accounts.id', 'mailboxes.account_id')
        .select(['mailboxes.id', 'mailboxes.name', 'accounts.address'])
        .where('mailboxes.name', 'is not', null)
        .where('mailboxes.id', '>', after)
        .orderBy('mailboxes.id')
        .limit(PAGE)
        .execute(),
    );
    for (const { id, name, address } of mailboxes ?? []) {
      const where = nameMailbox(name, address);
      await settleTombstones(course, id, where);
      await course.settle(where, (db) => lookAtMailbox(db, id, where));
      await checkUids(course, id, where);
      done += 1;
      course.progress('mailboxes', done, done);
    }
    return mailboxes?.at(-1)?.id;
  });
  return done;
}

export function nameMailbox(name: string | null, address: string): string {
  return `mailbox ${name ?? '(deleted)'} of ${address}`;
}

async function lookAtMailbox(
  db: Kysely<Schema>,
  id: MailboxId,
  where: string,
): Promise<Finding | undefined> {
  const mailbox = await db
    .selectFrom('mailboxes')
    .selectAll()
    .where('id', '=', id)
    .where('name', 'is not', null)
    .executeTakeFirst();
  if (mailbox === undefined) return undefined;
  const rows = await countMessages(db, id);
  const gone = await db
    .selectFrom('tombstones')
    .select((eb) => [
      eb.fn.coalesce(eb.fn.max('uid'), eb.lit(0)).as('uid'),
      eb.fn.coalesce(eb.fn.max('modseq'), eb.lit(0)).as('modseq'),
    ])
    .where('mailbox_id', '=', id)
    .executeTakeFirstOrThrow();
  const uidNext = Math.max(mailbox.uid_next, rows.highestUid + 1, gone.uid + 1);
  const highestModSeq = Math.max(mailbox.highest_modseq, rows.highestModSeq, gone.modseq);
  const wrong = COUNTERS.filter((counter) => mailbox[counter] !== rows.counters[counter]);
  const faults: FoundFault[] = [];
  if (wrong.length > 0) {
    const what = wrong
      .map((counter) => `${counter} is ${mailbox[counter]} and should be ${rows.counters[counter]}`)
      .join(', ');
    faults.push({ code: 'mailbox-counters', where, what });
  }
  if (uidNext !== mailbox.uid_next) {
    const what = `the next UID is ${mailbox.uid_next}, and ${uidNext - 1} has been used`;
    faults.push({ code: 'uid-next-behind', where, what });
  }
  if (highestModSeq !== mailbox.highest_modseq) {
    const what = `the highest modification sequence is ${mailbox.highest_modseq}, and ${highestModSeq} has been used`;
    faults.push({ code: 'modseq-behind', where, what });
  }
  if (faults.length === 0) return undefined;
  return {
    faults,
    repair: {
      kind: 'mailbox',
      mailboxId: id,
      seenModSeq: mailbox.highest_modseq,
      counters: rows.counters,
      uidNext,
      highestModSeq,
    },
  };
}

async function countMessages(
  db: Kysely<Schema>,
  id: MailboxId,
): Promise<{ counters: MessagesCounters; highestUid: number; highestModSeq: number }> {
  const flagged = (bit: number) =>
    sql<number>`case when flags & ${sql.lit(bit)} <> 0 then 1 else 0 end`;
  const row = await db
    .selectFrom('messages')
    .select((eb) => [
      eb.fn.countAll<number>().as('messages'),
      whole(sql`sum(1 - ${flagged(SEEN)})`).as('unseen'),
      whole(sql`sum(${flagged(DELETED)})`).as('deleted'),
      whole(sql`sum(size)`).as('size'),
      whole(sql`max(uid)`).as('highestUid'),
      whole(sql`max(modseq)`).as('highestModSeq'),
    ])
    .where('mailbox_id', '=', id)
    .executeTakeFirstOrThrow();
  const { highestUid, highestModSeq, ...counters } = row;
  return { counters, highestUid, highestModSeq };
}

/** PostgreSQL sums whole numbers to a numeric, which its driver gives as text. */
function whole(sum: RawBuilder<unknown>): RawBuilder<number> {
  return sql<number>`cast(coalesce(${sum}, 0) as bigint)`;
}

async function settleTombstones(
  course: CheckCourse,
  mailboxId: MailboxId,
  where: string,
): Promise<void> {
  await course.settle(where, async (db) => {
    const rows = await db
      .selectFrom('messages')
      .innerJoin('tombstones', (join) =>
        join
          .onRef('tombstones.mailbox_id', '=', 'messages.mailbox_id')
          .onRef('tombstones.uid', '=', 'messages.uid'),
      )
      .select('messages.uid')
      .distinct()
      .where('messages.mailbox_id', '=', mailboxId)
      .limit(MAX_UIDS)
      .execute();
    if (rows.length === 0) return undefined;
    const uids = rows.map(({ uid }) => uid);
    const what = `UID ${uids.slice(0, 5).join(', ')}${uids.length > 5 ? ' ...' : ''} is there, and is told to be gone`;
    return {
      faults: [{ code: 'uid-there-and-gone', where, what }],
      repair: { kind: 'tombstones', mailboxId, uids },
    };
  });
}
