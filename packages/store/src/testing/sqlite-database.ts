/** A SQLite store in a folder of its own, and a check that the file agrees with itself. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { openStore } from '../open-store.ts';
import type { DatabaseUnderTest } from './store-suite.ts';

export interface SqliteDatabase extends DatabaseUnderTest {
  readonly folder: string;
  readonly path: string;
  readonly url: string;
}

/** Each finds nothing in a sound database. */
const FAULTS: readonly (readonly [string, string])[] = [
  [
    'counters that are wrong',
    `select mailboxes.id from mailboxes left join messages on messages.mailbox_id = mailboxes.id
      where mailboxes.name is not null group by mailboxes.id
      having mailboxes.messages <> count(messages.uid)
        or mailboxes.unseen <> coalesce(sum((messages.flags & 1) = 0), 0)
        or mailboxes.deleted <> coalesce(sum((messages.flags & 8) <> 0), 0)
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
  ['references to nothing', 'select * from pragma_foreign_key_check'],
  ['damage', `select integrity_check from pragma_integrity_check where integrity_check <> 'ok'`],
];

/** Throws where the file does not agree with itself. */
export function checkSqlite(path: string): void {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    for (const [fault, query] of FAULTS) {
      const rows = database.prepare(query).all();
      if (rows.length > 0) throw new Error(`${fault}: ${JSON.stringify(rows.slice(0, 5))}`);
    }
  } finally {
    database.close();
  }
}

export async function createSqliteDatabase(): Promise<SqliteDatabase> {
  const folder = await mkdtemp(join(tmpdir(), 'concert-store-'));
  const path = join(folder, 'mail', 'mail.db');
  const url = `sqlite:${path}`;
  return {
    folder,
    path,
    url,
    open: () => openStore({ url }),
    check: async () => checkSqlite(path),
    dispose: () => rm(folder, { recursive: true, force: true }),
  };
}
