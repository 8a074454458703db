import { existsSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { StoreError } from '../../errors.ts';
import type { Account, MailStore } from '../../mail-store.ts';
import { createSqliteDatabase, type SqliteDatabase } from '../../testing/sqlite-database.ts';

const RAW = Buffer.from('Subject: one\r\n\r\nhello\r\n');

/** Commits in the write-ahead log: frames that say how long the database now is (fileformat2.html §4.1). */
function countLoggedCommits(path: string): number {
  const log = readFileSync(`${path}-wal`);
  const frameBytes = 24 + log.readUInt32BE(8);
  let commits = 0;
  for (let frame = 32; frame + frameBytes <= log.length; frame += frameBytes) {
    if (log.readUInt32BE(frame + 4) !== 0) commits += 1;
  }
  return commits;
}

describe('the writer of a SQLite store', () => {
  let database: SqliteDatabase;
  let store: MailStore;
  let account: Account;
  let inbox: number;

  beforeEach(async () => {
    database = await createSqliteDatabase();
    store = await database.open();
    account = await store.accounts.add('alice@x.test', 'hash');
    inbox = (await store.mailboxes.find(account.id, 'INBOX'))?.id ?? 0;
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    await store.close();
    await database.dispose();
  });

  /** Keeps the writer from its lock while `ask` asks, so that what it asks for comes together. */
  async function together(ask: () => Promise<unknown>[]): Promise<PromiseSettledResult<unknown>[]> {
    const other = new DatabaseSync(database.path, { timeout: 1_000 });
    other.exec('begin immediate');
    const asked = Promise.allSettled(ask());
    other.exec('rollback');
    other.close();
    return asked;
  }

  it('shares a commit among the writes that come together', async () => {
    // behind the sweep that opening began
    const { id } = await store.accounts.add('gone@x.test', 'hash');
    await store.accounts.remove(id);
    const before = store.statistics();
    const loggedBefore = countLoggedCommits(database.path);
    await together(() =>
      Array.from({ length: 40 }, () => store.messages.deliver([account.id], { raw: RAW })),
    );
    const after = store.statistics();
    expect(after.writes - before.writes).toBe(40);
    expect(after.commits - before.commits).toBeLessThan(10);
    expect(countLoggedCommits(database.path) - loggedBefore).toBe(after.commits - before.commits);
    expect((await store.mailboxes.status(inbox)).messages).toBe(40);
  });

  it('undoes a write that fails, and no other of its commit', async () => {
    const settled = await together(() => [
      store.messages.append(inbox, [{ raw: RAW }]),
      store.messages.append(inbox, [{ raw: RAW }, { raw: RAW, flags: ['bad flag'] }]),
      store.messages.deliver([account.id, 999], { raw: RAW }),
      store.mailboxes.create(account.id, 'Sent'),
      store.messages.append(inbox, [{ raw: RAW }]),
    ]);
    expect(settled.map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'rejected',
      'rejected',
      'fulfilled',
    ]);
    const { messages } = await store.messages.list(inbox);
    expect(messages.map(({ uid }) => uid)).toEqual([1, 2]);
    await database.check();
  });

  it('takes writes in the order they are asked for', async () => {
    const appended = await Promise.all(
      Array.from({ length: 30 }, () => store.messages.append(inbox, [{ raw: RAW }])),
    );
    expect(appended.map(([message]) => message?.uid)).toEqual(
      Array.from({ length: 30 }, (_, index) => index + 1),
    );
  });

  it('refuses what is no plain data, and goes on', async () => {
    const flags = [(() => 'not data') as unknown as string];
    const refused = store.messages.changeFlags(inbox, [1], 'add', flags);
    await expect(refused).rejects.toThrow(/could not be cloned/);
    await store.messages.append(inbox, [{ raw: RAW }]);
  });

  it.runIf(existsSync('/dev/full'))('answers what is durable though the bell fails', async () => {
    await store.close();
    rmSync(`${database.path}-bell`);
    symlinkSync('/dev/full', `${database.path}-bell`);
    store = await database.open();
    await store.messages.deliver([account.id], { raw: RAW });
    expect((await store.mailboxes.status(inbox)).messages).toBe(1);
  });

  it('says so when its thread dies, and leaves nobody waiting', async () => {
    const sent = vi.spyOn(Worker.prototype, 'postMessage');
    const other = new DatabaseSync(database.path, { timeout: 1_000 });
    other.exec('begin immediate');
    const pending = store.messages.append(inbox, [{ raw: RAW }]);
    const [thread] = sent.mock.contexts as Worker[];
    await Promise.all([
      thread?.terminate(),
      expect(pending).rejects.toMatchObject({ code: 'database-unavailable' }),
      expect(store.failed).rejects.toBeInstanceOf(StoreError),
    ]);
    other.exec('rollback');
    other.close();
    const later = store.messages.append(inbox, [{ raw: RAW }]);
    await expect(later).rejects.toMatchObject({ code: 'database-unavailable' });
    // reading needs no thread
    expect((await store.messages.list(inbox)).messages).toEqual([]);
  });
});
