/** What the suites want of a database, whichever engine's it is. */
import type { MailStore } from '../mail-store.ts';

/** One database, empty at first. */
export interface DatabaseUnderTest {
  /** For openStore. */
  readonly url: string;
  /** A store on the database; each call makes another, as another process would. */
  open(): Promise<MailStore>;
  /** Runs one statement past the store. */
  query(sql: string): Promise<Record<string, unknown>[]>;
  /** Throws where the database disagrees with itself: counters, references, the engine's own checks. */
  check(): Promise<void>;
  dispose(): Promise<void>;
}

/** What is wrong where a query finds something. */
export type Fault = readonly [what: string, query: string];

/** Each finds nothing in a sound database. */
const FAULTS: readonly Fault[] = [
  [
    'counters that are wrong',
    `select mailboxes.id from mailboxes left join messages on messages.mailbox_id = mailboxes.id
      where mailboxes.name is not null group by mailboxes.id
      having mailboxes.messages <> count(messages.uid)
        or mailboxes.unseen <> sum(case when messages.flags & 1 = 0 then 1 else 0 end)
        or mailboxes.deleted <> sum(case when messages.flags & 8 <> 0 then 1 else 0 end)
        or mailboxes.size <> coalesce(sum(messages.size), 0)
        or mailboxes.uid_next <= coalesce(max(messages.uid), 0)
        or mailboxes.highest_modseq < coalesce(max(messages.modseq), 0)`,
  ],
  [
    'references that are miscounted',
    `select contents.id from contents left join messages on messages.content_id = contents.id
      group by contents.id having contents.refs <> count(messages.uid)`,
  ],
  [
    'messages without their content',
    `select uid from messages left join contents on contents.id = messages.content_id
      where contents.id is null or contents.size <> messages.size`,
  ],
  [
    'contents with octets missing',
    `select contents.id from contents
      left join content_chunks on content_chunks.content_id = contents.id
      group by contents.id having contents.size <> coalesce(sum(length(data)), 0)`,
  ],
  ['UIDs both there and gone', 'select uid from messages join tombstones using (mailbox_id, uid)'],
];

/** Throws where the database does not agree with itself. */
export async function checkDatabase(
  query: DatabaseUnderTest['query'],
  further: readonly Fault[] = [],
): Promise<void> {
  for (const [what, sql] of [...FAULTS, ...further]) {
    const rows = await query(sql);
    if (rows.length > 0) throw new Error(`${what}: ${JSON.stringify(rows.slice(0, 5))}`);
  }
}
