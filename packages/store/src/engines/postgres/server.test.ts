/** What only a database server can do to a store: be shared, be late, be restarted, turn it away. */
import { Worker } from 'node:worker_threads';
import { ServiceError, silentLogger } from '@mail/service';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { StoreError } from '../../errors.ts';
import type { AccountId, MailboxId, MailStore } from '../../mail-store.ts';
import { openStore } from '../../open-store.ts';
import type { DatabaseUnderTest } from '../../testing/database-under-test.ts';
import { numberedMessage, numberOf } from '../../testing/numbered-message.ts';
import { PostgresServer, postgresIsMissing } from '../../testing/postgres-server.ts';
import { ConnectionPool } from './connections.ts';

const RAW = Buffer.from('Subject: one\r\n\r\nhello\r\n');

describe.skipIf(postgresIsMissing())('a store on a PostgreSQL server', () => {
  let server: PostgresServer;
  let database: DatabaseUnderTest;

  beforeAll(async () => {
    server = await PostgresServer.start();
  });
  afterAll(() => server?.dispose());
  beforeEach(async () => {
    database = await server.createDatabase();
  });

  const open = async (): Promise<MailStore> => {
    const store = await database.open();
    onTestFinished(() => store.close());
    return store;
  };
  const mailboxOf = async (store: MailStore, id: AccountId, name: string): Promise<MailboxId> => {
    const mailbox = await store.mailboxes.find(id, name);
    if (mailbox === undefined) throw new Error(`no ${name}`);
    return mailbox.id;
  };
  /** A connection past the store, for what another program does. */
  const connect = async (): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString: database.url });
    client.on('error', () => {});
    await client.connect();
    onTestFinished(() => client.end().catch(() => {}));
    return client;
  };
  const refusal = async (url: string): Promise<ServiceError> => {
    try {
      await (await openStore({ url, patienceMs: 0 })).close();
    } catch (error) {
      if (error instanceof ServiceError) return error;
      throw error;
    }
    throw new Error('it was opened');
  };

  it('is made once when four open it together', async () => {
    const stores = await Promise.all([open(), open(), open(), open()]);
    await Promise.all(stores.map((store, at) => store.accounts.add(`user${at}@x.test`, 'hash')));
    expect(await stores[0]?.accounts.list()).toHaveLength(4);
    const applied = await database.query('select name from schema_migrations');
    expect(applied[0]).toEqual({ name: 'init' });
    expect(new Set(applied.map(({ name }) => name)).size).toBe(applied.length);
  });

  it('is written by two at once without deadlock, however their recipients overlap', async () => {
    const stores = await Promise.all([database.open(), database.open()]);
    const [first] = stores;
    const ids: AccountId[] = [];
    for (let at = 0; at < 5; at += 1) {
      ids.push((await first.accounts.add(`user${at}@x.test`, 'hash')).id);
    }
    const boxes = await Promise.all(
      ids.flatMap((id) => [mailboxOf(first, id, 'INBOX'), mailboxOf(first, id, 'Archive')]),
    );
    const uids = [1, 2, 3, 4, 5, 6, 7, 8];
    const work = async (store: MailStore, from: number): Promise<void> => {
      for (let step = from; step < from + 24; step += 1) {
        const rotated = [...ids.slice(step % 5), ...ids.slice(0, step % 5)];
        await store.messages.deliver(step % 2 ? rotated : rotated.reverse(), { raw: RAW });
        const box = boxes[step % 10] ?? 0;
        const other = boxes[(step * 7 + 1) % 10] ?? 0;
        await store.messages.copy(box, uids, other);
        await store.messages.changeFlags(other, uids, 'add', ['\\Seen', '\\Deleted']);
        await store.messages.move(other, uids.slice(step % 4), box);
        await store.messages.expunge(box, uids.slice(step % 5).reverse());
      }
    };
    await Promise.all(stores.flatMap((store) => [0, 3, 7].map((from) => work(store, from))));
    for (const box of boxes) {
      const { messages } = await first.messages.list(box);
      const status = await first.mailboxes.status(box);
      expect(status.messages).toBe(messages.length);
    }
    // a connection tells its figures when it ends
    await Promise.all(stores.map((store) => store.close()));
    await database.check();
    const [{ deadlocks } = {}] = await database.query(
      'select deadlocks::int from pg_stat_database where datname = current_database()',
    );
    expect(deadlocks).toBe(0);
  });

  it('loses many accounts at once through several, to the last row', async () => {
    const stores = await Promise.all([open(), open(), open()]);
    const [first] = stores;
    const ids = await Promise.all(
      Array.from({ length: 9 }, async (_, at) => {
        const { id } = await first.accounts.add(`user${at}@x.test`, 'hash');
        await first.messages.deliver([id], { raw: RAW });
        return id;
      }),
    );
    await Promise.all(ids.map((id, at) => stores[at % 3]?.accounts.remove(id)));
    for (const table of ['accounts', 'mailboxes', 'messages', 'contents', 'content_chunks']) {
      expect(await database.query(`select 1 as left_over from ${table}`), table).toEqual([]);
    }
  });

  it('shows UIDs in their order, without gaps, while several deliver', async () => {
    const stores = await Promise.all([open(), open(), open()]);
    const [first, second, reader] = stores;
    const { id } = await first.accounts.add('alice@x.test', 'hash');
    const inbox = await mailboxOf(first, id, 'INBOX');
    let delivering = true;
    const deliveries = Promise.all(
      Array.from({ length: 120 }, (_, at) =>
        (at % 2 ? first : second).messages.deliver([id], { raw: RAW }),
      ),
    ).finally(() => {
      delivering = false;
    });
    let seen = 0;
    let modSeq = 0;
    while (delivering) {
      const { changed, highestModSeq } = await reader.messages.changesSince(inbox, modSeq);
      modSeq = highestModSeq;
      // each look goes on exactly where the one before ended
      expect(changed.map(({ uid }) => uid)).toEqual(changed.map((_, at) => seen + 1 + at));
      seen += changed.length;
    }
    await deliveries;
    const rest = await reader.messages.changesSince(inbox, modSeq);
    expect(seen + rest.changed.length).toBe(120);
  });

  it('runs a write again that the server has undone for the sake of another', async () => {
    const store = await open();
    const { id } = await store.accounts.add('alice@x.test', 'hash');
    const inbox = await mailboxOf(store, id, 'INBOX');
    const archive = await mailboxOf(store, id, 'Archive');
    await store.messages.deliver([id], { raw: RAW });
    const other = await connect();
    await other.query('begin');
    await other.query('select from mailboxes where id = $1 for update', [archive]);
    const moved = store.messages.move(inbox, [1], archive);
    const watcher = await connect();
    await vi.waitFor(async () => {
      const { rows } = await watcher.query('select from pg_locks where not granted');
      expect(rows).not.toEqual([]);
    });
    // now each waits for the other, and the server undoes one of them
    await other.query('select from mailboxes where id = $1 for update', [inbox]).catch(() => {});
    await other.query('rollback');
    expect(await moved).toMatchObject({ from: [1], to: [1] });
    await database.check();
  });

  it('stays through a restart of the server, and loses nothing that it acknowledged', async () => {
    const [store, other] = await Promise.all([open(), open()]);
    const { id } = await store.accounts.add('alice@x.test', 'hash');
    const inbox = await mailboxOf(store, id, 'INBOX');
    const lock = await store.lockMaildrop(id);
    const ended = vi.fn();
    store.failed.catch(ended);
    let heard = Promise.withResolvers<void>();
    const stop = other.watch(inbox, () => heard.resolve());
    const durable: number[] = [];
    const failed: unknown[] = [];
    let going = true;
    let next = 0;
    const deliver = async (): Promise<void> => {
      while (going) {
        const number = next++;
        try {
          await store.messages.deliver([id], { raw: numberedMessage(number) });
          durable.push(number);
        } catch (error) {
          failed.push(error);
        }
      }
    };
    const delivering = Promise.all([deliver(), deliver(), deliver(), deliver()]);
    await vi.waitFor(() => expect(durable.length).toBeGreaterThan(20));

    await server.stop();
    await vi.waitFor(() => expect(lock.lost.aborted).toBe(true));
    await vi.waitFor(() => expect(failed.length).toBeGreaterThan(20));
    const reading = expect(store.messages.list(inbox)).rejects;
    await reading.toMatchObject({ code: 'database-unavailable' });
    const locking = expect(store.lockMaildrop(id)).rejects;
    await locking.toMatchObject({ code: 'database-unavailable' });

    await server.start();
    const before = durable.length;
    await vi.waitFor(() => expect(durable.length).toBeGreaterThan(before + 20), 10_000);
    going = false;
    await delivering;
    expect(failed.filter((error) => !(error instanceof StoreError))).toEqual([]);
    expect(failed.map((error) => (error as StoreError).code)).toEqual(
      failed.map(() => 'database-unavailable'),
    );
    const delivered: (number | undefined)[] = [];
    for (const { uid } of (await store.messages.list(inbox)).messages) {
      delivered.push(numberOf(await store.messages.read(inbox, uid)));
    }
    expect(delivered).toEqual(expect.arrayContaining(durable));
    expect(new Set(delivered).size).toBe(delivered.length);
    expect(delivered).not.toContain(undefined);
    // who watched has heard, and hears again
    await heard.promise;
    heard = Promise.withResolvers();
    await vi.waitFor(async () => {
      await store.messages.deliver([id], { raw: RAW });
      await heard.promise;
    }, 10_000);
    stop();
    await (await store.lockMaildrop(id)).release();
    // nobody is told to end its process
    expect(ended).not.toHaveBeenCalled();
    await database.check();
  });

  it('is waited for by who starts before it', async () => {
    await server.stop();
    const opening = open();
    await Promise.race([opening, expect(refusal(database.url)).resolves.toBeDefined()]);
    await server.start();
    expect(await (await opening).accounts.list()).toEqual([]);
  });

  it('is not waited for where it answers, and says no', async () => {
    const wrong = new URL(database.url);
    wrong.password = 'hunter2';
    for (const [url, told] of [
      [wrong.href, /password authentication failed/],
      [server.urlOf('nowhere'), /database "nowhere" does not exist/],
      [`${database.url}?sslmode=require`, /does not support SSL/],
    ] as const) {
      const opening = openStore({ url });
      const error = await opening.catch((cause: unknown) => cause);
      expect(error).toBeInstanceOf(ServiceError);
      expect(error).toMatchObject({ code: 'unreachable', message: expect.stringMatching(told) });
      expect(String(error)).toContain('postgres://concert@127.0.0.1');
      expect(String(error)).not.toMatch(/hunter2|p@ss/);
    }
  });

  it('is not out of reach where all connections are in use', async () => {
    const logger = silentLogger();
    const [warn, error] = [vi.spyOn(logger, 'warn'), vi.spyOn(logger, 'error')];
    const config = { connectionString: database.url, max: 1, connectionTimeoutMillis: 100 };
    const pool = new ConnectionPool(config, logger);
    onTestFinished(() => pool.end());
    const busy = await pool.connect();
    const refused = [pool.connect(), pool.connect()].map((one) =>
      expect(one).rejects.toMatchObject({
        code: 'database-unavailable',
        message: 'all connections to PostgreSQL are in use',
      }),
    );
    await Promise.all(refused);
    expect(warn).toHaveBeenCalledOnce();
    expect(error).not.toHaveBeenCalled();
    busy.release();
    (await pool.connect()).release();

    await server.stop();
    await expect(pool.connect()).rejects.toMatchObject({ code: 'database-unavailable' });
    expect(error).toHaveBeenCalledOnce();
    await server.start();
  });

  it('that turns the store away for a minute wants an operator', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    onTestFinished(() => {
      vi.useRealTimers();
    });
    await database.query(`create role guest login password 'first'`);
    await database.query('grant all on schema public to guest');
    const url = new URL(database.url);
    url.username = 'guest';
    url.password = 'first';
    const store = await openStore({ url: url.href });
    onTestFinished(() => store.close());
    const ended = vi.fn();
    store.failed.catch(ended);
    await database.query(`alter role guest password 'second'`);
    await database.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where usename = 'guest'`,
    );
    const turnedAway = () =>
      vi.waitFor(async () => {
        const list = store.accounts.list();
        await expect(list).rejects.toThrow(/password authentication failed/);
      });
    await turnedAway();
    vi.advanceTimersByTime(59_000);
    await turnedAway();
    // it may pass by itself
    expect(ended).not.toHaveBeenCalled();
    vi.advanceTimersByTime(2_000);
    await turnedAway();
    expect(ended).toHaveBeenCalledWith(expect.objectContaining({ code: 'database-unavailable' }));
  });

  it('is refused with a schema of the future, which stays as it is', async () => {
    await (await database.open()).close();
    await database.query(`insert into schema_migrations values (99, 'later', 0)`);
    expect((await refusal(database.url)).cause).toMatchObject({ code: 'schema-too-new' });
    const [row] = await database.query('select max(number)::int as n from schema_migrations');
    expect(row).toEqual({ n: 99 });
  });

  describe('whose connections are cut', () => {
    const cut = (like: string) =>
      database.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and query like '${like}'`,
      );

    it('hears of changes again', async () => {
      // what is heard is heard by notifications, not by the poll
      vi.useFakeTimers({ toFake: ['setInterval'] });
      onTestFinished(() => {
        vi.useRealTimers();
      });
      const [store, other] = await Promise.all([open(), open()]);
      const { id } = await store.accounts.add('alice@x.test', 'hash');
      const inbox = await mailboxOf(store, id, 'INBOX');
      let calls = 0;
      const stop = store.watch(inbox, () => {
        calls += 1;
      });
      const hears = async (): Promise<void> => {
        const before = calls;
        await other.messages.deliver([id], { raw: RAW });
        await vi.waitFor(() => expect(calls).toBeGreaterThan(before), 10_000);
      };
      await hears();
      await hears();
      await vi.waitFor(async () => expect(await cut('listen %')).toHaveLength(1));
      await hears();
      await hears();
      stop();
    });

    it('tells who holds a maildrop', async () => {
      const store = await open();
      const { id } = await store.accounts.add('alice@x.test', 'hash');
      const lock = await store.lockMaildrop(id);
      expect(await cut('select pg_try_advisory_lock%')).toHaveLength(1);
      await vi.waitFor(() => expect(lock.lost.aborted).toBe(true));
      expect(lock.lost.reason).toBeInstanceOf(StoreError);
      // and what is released late takes nothing from the next
      const next = await store.lockMaildrop(id);
      await lock.release();
      await expect(store.lockMaildrop(id)).rejects.toMatchObject({ code: 'maildrop-locked' });
      await next.release();
    });
  });

  it('goes on when a newer version changes the tables', async () => {
    const store = await open();
    const { id } = await store.accounts.add('alice@x.test', 'hash');
    const inbox = await mailboxOf(store, id, 'INBOX');
    await store.mailboxes.status(inbox);
    await database.query('alter table mailboxes add column later bigint');
    const status = store.mailboxes.status(inbox);
    await expect(status).rejects.toMatchObject({ code: 'database-unavailable' });
    await vi.waitFor(async () => expect((await store.mailboxes.status(inbox)).messages).toBe(0));
    await vi.waitFor(() => store.messages.deliver([id], { raw: RAW }));
  });

  it('bears notifications that are none of ours', async () => {
    const store = await open();
    const { id } = await store.accounts.add('alice@x.test', 'hash');
    const inbox = await mailboxOf(store, id, 'INBOX');
    const heard = vi.fn();
    const stop = store.watch(inbox, heard);
    await vi.waitFor(() => expect(heard).toHaveBeenCalled());
    for (const payload of ['', '{}', '[1]', '[["a",1]]', 'null', '[[1,2,3]]']) {
      await database.query(`select pg_notify('concert_changes', '${payload}')`);
    }
    const before = heard.mock.calls.length;
    await store.messages.deliver([id], { raw: RAW });
    await vi.waitFor(() => expect(heard.mock.calls.length).toBeGreaterThan(before));
    stop();
  });

  it('parses on, with another thread, when the one that parses has died', async () => {
    const store = await open();
    const { id } = await store.accounts.add('alice@x.test', 'hash');
    const sent = vi.spyOn(Worker.prototype, 'postMessage');
    onTestFinished(() => sent.mockRestore());
    const pending = store.messages.deliver([id], { raw: RAW });
    const [thread] = sent.mock.contexts as Worker[];
    await Promise.all([
      thread?.terminate(),
      expect(pending).rejects.toMatchObject({ code: 'database-unavailable' }),
    ]);
    await store.messages.deliver([id], { raw: RAW });
    expect((await store.mailboxes.status(await mailboxOf(store, id, 'INBOX'))).messages).toBe(1);
  });
});
