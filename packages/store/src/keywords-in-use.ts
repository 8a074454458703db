/** Which keywords each mailbox has seen, so that SELECT can tell them (RFC 9051 §7.3.5, FLAGS). */
import type { Kysely } from 'kysely';
import { splitKeywords } from './flags.ts';
import type { MailboxId } from './mail-store.ts';
import type { Schema } from './schema.ts';
import type { WriteContext } from './write-context.ts';

/** Told of a mailbox; those that a client may set have no such bound. */
const MAX_TOLD = 500;

export async function readKeywords(db: Kysely<Schema>, mailboxId: MailboxId): Promise<string[]> {
  const rows = await db
    .selectFrom('mailbox_keywords')
    .select('keyword')
    .where('mailbox_id', '=', mailboxId)
    .orderBy('keyword_key')
    .limit(MAX_TOLD)
    .execute();
  return rows.map(({ keyword }) => keyword);
}

/** `stored` as messages have them; the mailbox is locked. */
export async function noteKeywords(
  { db }: WriteContext,
  mailboxId: MailboxId,
  stored: Iterable<string>,
): Promise<void> {
  const keywords = new Map<string, string>();
  for (const list of new Set(stored)) {
    for (const keyword of splitKeywords(list)) keywords.set(keyword.toLowerCase(), keyword);
  }
  for (const [keyword_key, keyword] of keywords) {
    await db
      .insertInto('mailbox_keywords')
      .values({ mailbox_id: mailboxId, keyword_key, keyword })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  }
}
