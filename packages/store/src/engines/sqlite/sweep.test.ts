import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { MailStore } from '../../mail-store.ts';
import { createSqliteDatabase, type SqliteDatabase } from '../../testing/sqlite-database.ts';

const RAW = Buffer.from('Subject: one\r\n\r\nhello\r\n');
const TABLES = [
  'accounts',
  'mailboxes',
  'messages',
  'tombstones',
  'contents',
  'content_chunks',
  'subscriptions',
];

describe('what removed mail leaves in SQLite', () => {
  let database: SqliteDatabase;
  let store: MailStore;

  beforeEach(async () => {
    database = await createSqliteDatabase();
    store = await database.open();
  });
  afterEach(async () => {
    await store.close();
    await database.dispose();
  });

  const countRows = (): Record<string, number> => {
    const file = new DatabaseSync(database.path, { readOnly: true });
    const counts = TABLES.map((table) => {
      const row = file.prepare(`select count(*) as n from ${table}`).get();
      return [table, Number(row?.['n'])] as const;
    });
    file.close();
    return Object.fromEntries(counts);
  };
  /** As if the time for readers were over. Removing an account waits for all sweeping. */
  const sweepAll = async (): Promise<void> => {
    const file = new DatabaseSync(database.path, { timeout: 1_000 });
    file.exec('update contents set keep_until = 0');
    file.close();
    const { id } = await store.accounts.add('sweep@x.test', 'hash');
    await store.accounts.remove(id);
  };
  const fill = async (address: string, count: number): Promise<number> => {
    const account = await store.accounts.add(address, 'hash');
    const inbox = await store.mailboxes.find(account.id, 'INBOX');
    const messages = Array.from({ length: count }, () => ({ raw: RAW }));
    const uids = (await store.messages.append(inbox?.id ?? 0, messages)).map(({ uid }) => uid);
    await store.messages.expunge(inbox?.id ?? 0, uids.slice(0, count / 2));
    return account.id;
  };

  it('is freed with the last message that holds it', async () => {
    const { id } = await store.accounts.add('alice@x.test', 'hash');
    const inbox = (await store.mailboxes.find(id, 'INBOX'))?.id ?? 0;
    const extra = await store.mailboxes.create(id, 'Extra');
    const other = await store.accounts.add('bob@x.test', 'hash');
    const otherInbox = (await store.mailboxes.find(other.id, 'INBOX'))?.id ?? 0;
    await store.messages.deliver([id, other.id], { raw: RAW });
    await store.messages.copy(inbox, [1], extra.id);
    await store.messages.copy(inbox, [1], inbox);
    expect(countRows()).toMatchObject({ messages: 4, contents: 1, content_chunks: 1 });
    await store.messages.expunge(inbox, [1, 2]);
    await store.mailboxes.delete(extra.id);
    await sweepAll();
    expect(countRows()).toMatchObject({ messages: 1, contents: 1, content_chunks: 1 });
    expect(await store.messages.read(otherInbox, 1)).toEqual(RAW);
    await store.messages.expunge(otherInbox, [1]);
    const { id: gone } = await store.accounts.add('gone@x.test', 'hash');
    await store.accounts.remove(gone);
    // somebody may be reading it
    expect(countRows()).toMatchObject({ messages: 0, contents: 1, content_chunks: 1 });
    await sweepAll();
    expect(countRows()).toMatchObject({ messages: 0, contents: 0, content_chunks: 0 });
  });

  it('goes in several pieces, to the last row of an account', async () => {
    const empty = countRows();
    const id = await fill('alice@x.test', 2_500);
    await store.accounts.remove(id);
    await sweepAll();
    expect(countRows()).toEqual(empty);
  });

  it('is freed by the next process when one dies before', async () => {
    const empty = countRows();
    const id = await fill('alice@x.test', 20);
    await store.close();
    const file = new DatabaseSync(database.path);
    file.exec('delete from subscriptions');
    file.exec(`update accounts set address_key = null where id = ${id}`);
    file.exec(`update mailboxes set name = null where account_id = ${id}`);
    file.close();
    store = await database.open();
    await sweepAll();
    expect(countRows()).toEqual(empty);
  });
});
