/** Each message against its content, and each content's references against the messages. */
import type { Kysely } from 'kysely';
import { type CheckedContents, highestContentId } from './check-contents.ts';
import type { CheckCourse, Finding } from './check-course.ts';
import { inPages } from './check-course.ts';
import { nameMailbox } from './check-mailboxes.ts';
import { inGroups } from './id-groups.ts';
import type { MailboxId, Uid } from './mail-store.ts';
import type { Schema } from './schema.ts';

const MESSAGES_PER_PAGE = 5_000;
const CONTENTS_PER_PAGE = 5_000;
/** Counted in one pass over all messages, in 16 MiB: no index leads from a content to its messages. */
const CONTENTS_PER_PASS = 4 * 1024 * 1024;
/** Looked at once more in one state, which takes a pass over all messages. */
const SUSPECTS_PER_LOOK = 512;

interface MessageOfContent {
  readonly uid: Uid;
  readonly content_id: number;
  readonly size: number;
  readonly contentSize: number | null;
}

/** Returns how many messages there are. */
export async function checkMessages(
  course: CheckCourse,
  { lost }: CheckedContents,
): Promise<number> {
  let messages = 0;
  await eachMailbox(course, async (mailboxId) => {
    // what is deleted and waits to be swept needs no content
    const where = await course.look(`mailbox ${mailboxId}`, (db) => findMailboxName(db, mailboxId));
    if (where === undefined) return;
    await eachPage(course, mailboxId, where, async (page) => {
      for (const message of page) await checkMessage(course, mailboxId, where, message, lost);
      messages += page.length;
      course.progress('messages', messages, messages);
    });
  });
  return messages;
}

async function checkMessage(
  course: CheckCourse,
  mailboxId: MailboxId,
  mailbox: string,
  { uid, content_id, size, contentSize }: MessageOfContent,
  lost: ReadonlySet<number>,
): Promise<void> {
  const where = `UID ${uid} in ${mailbox}`;
  if (contentSize === null || lost.has(content_id)) {
    const what = contentSize === null ? 'its content is gone' : 'octets of it are missing';
    const fault = { code: 'message-lost', where, what } as const;
    if (course.options.dropLost !== true) course.tell(fault, 'lost');
    else {
      await course.engine.write('expunge', { mailboxId, uids: [uid], onlyDeleted: false });
      course.tell(fault, 'dropped');
    }
  } else if (contentSize !== size) {
    const what = `its size is told as ${size}, and its content has ${contentSize} octets`;
    await course.settle(where, async () => ({
      faults: [{ code: 'message-size', where, what }],
      repair: { kind: 'message-size', mailboxId, uid, size: contentSize },
    }));
  }
}

async function findMailboxName(
  db: Kysely<Schema>,
  mailboxId: MailboxId,
): Promise<string | undefined> {
  const row = await db
    .selectFrom('mailboxes')
    .innerJoin('accounts', 'accounts.id', 'mailboxes.account_id')
    .select(['mailboxes.name', 'accounts.address'])
    .where('mailboxes.id', '=', mailboxId)
    .where('mailboxes.name', 'is not', null)
    .executeTakeFirst();
  return row && nameMailbox(row.name, row.address);
}

/** Every mailbox that has messages, also one that is deleted or not there. */
async function eachMailbox(
  course: CheckCourse,
  visit: (mailboxId: MailboxId) => Promise<void>,
): Promise<void> {
  await inPages(async (after) => {
    const next = await course.look('messages', (db) =>
      db
        .selectFrom('messages')
        .select('mailbox_id')
        .where('mailbox_id', '>', after)
        .orderBy('mailbox_id')
        .limit(1)
        .executeTakeFirst(),
    );
    if (next === undefined) return undefined;
    await visit(next.mailbox_id);
    return next.mailbox_id;
  });
}

async function eachPage(
  course: CheckCourse,
  mailboxId: MailboxId,
  where: string,
  visit: (page: readonly MessageOfContent[]) => Promise<void>,
): Promise<void> {
  await inPages(async (after) => {
    const page = await course.look(where, (db) =>
      db
        .selectFrom('messages')
        .leftJoin('contents', 'contents.id', 'messages.content_id')
        .select([
          'messages.uid',
          'messages.content_id',
          'messages.size',
          'contents.size as contentSize',
        ])
        .where('messages.mailbox_id', '=', mailboxId)
        .where('messages.uid', '>', after)
        .orderBy('messages.uid')
        .limit(MESSAGES_PER_PAGE)
        .execute(),
    );
    await visit(page ?? []);
    return page?.at(-1)?.uid;
  });
}

/**
 * Counts first, in many short looks during which others write, and then looks once more, in one state, at
 * what seemed wrong.
 */
export async function checkReferences(course: CheckCourse): Promise<void> {
  const last = (await course.look('contents', highestContentId)) ?? 0;
  for (let first = 1; first <= last; first += CONTENTS_PER_PASS) {
    const upTo = Math.min(last, first + CONTENTS_PER_PASS - 1);
    const counts = await countReferencesTo(course, first, upTo);
    const suspects = await findSuspects(course, first, upTo, counts);
    for (let start = 0; start < suspects.length; start += SUSPECTS_PER_LOOK) {
      const ids = suspects.slice(start, start + SUSPECTS_PER_LOOK);
      await course.settle('references to contents', (db) => lookAtReferences(db, ids));
    }
    course.progress('references', upTo, last);
  }
}

async function countReferencesTo(
  course: CheckCourse,
  first: number,
  upTo: number,
): Promise<Uint32Array> {
  const counts = new Uint32Array(upTo - first + 1);
  await eachMailbox(course, (mailboxId) =>
    eachPage(course, mailboxId, `mailbox ${mailboxId}`, async (page) => {
      for (const { content_id } of page) {
        const index = content_id - first;
        if (index >= 0 && index < counts.length) counts[index] = (counts[index] ?? 0) + 1;
      }
    }),
  );
  return counts;
}

async function findSuspects(
  course: CheckCourse,
  first: number,
  upTo: number,
  counts: Uint32Array,
): Promise<number[]> {
  const suspects: number[] = [];
  for (let after = first - 1; ; ) {
    const page = await course.look('contents', (db) =>
      db
        .selectFrom('contents')
        .select(['id', 'refs'])
        .where('id', '>', after)
        .where('id', '<=', upTo)
        .orderBy('id')
        .limit(CONTENTS_PER_PAGE)
        .execute(),
    );
    for (const { id, refs } of page ?? []) if (counts[id - first] !== refs) suspects.push(id);
    const next = page?.at(-1)?.id;
    if (next === undefined) return suspects;
    after = next;
  }
}

async function lookAtReferences(
  db: Kysely<Schema>,
  ids: readonly number[],
): Promise<Finding | undefined> {
  const counted = new Map<number, number>();
  const seen: { id: number; refs: number }[] = [];
  for (const group of inGroups(ids)) {
    const contents = await db
      .selectFrom('contents')
      .select(['id', 'refs'])
      .where('id', 'in', group)
      .execute();
    seen.push(...contents);
    const rows = await db
      .selectFrom('messages')
      .select((eb) => ['content_id', eb.fn.countAll<number>().as('count')])
      .where('content_id', 'in', group)
      .groupBy('content_id')
      .execute();
    for (const { content_id, count } of rows) counted.set(content_id, count);
  }
  const wrong = seen
    .map(({ id, refs }) => ({ id, seen: refs, counted: counted.get(id) ?? 0 }))
    .filter((content) => content.seen !== content.counted);
  if (wrong.length === 0) return undefined;
  return {
    faults: wrong.map((content) => ({
      code: 'reference-count',
      where: `content ${content.id}`,
      what: `counts ${content.seen} messages that hold it, and ${content.counted} do`,
    })),
    repair: { kind: 'references', contents: wrong },
  };
}
