/** What every engine must do for several processes on one database, some of them killed. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { MailStore } from '../mail-store.ts';
import type { DatabaseUnderTest } from './database-under-test.ts';
import { numberOf } from './numbered-message.ts';
import type { StoreProcessOrder, StoreProcessReport } from './store-process.ts';

const PROGRAM = fileURLToPath(new URL('./store-process.ts', import.meta.url));

class StoreProcess {
  readonly #child: ChildProcess;
  readonly #opened: Promise<void>;

  constructor(url: string) {
    this.#child = fork(PROGRAM, [url], { execArgv: [] });
    this.#opened = this.#next('open');
  }

  get opened(): Promise<void> {
    return this.#opened;
  }

  async order(order: StoreProcessOrder): Promise<void> {
    const done = this.#next('done');
    this.#child.send(order);
    await done;
  }

  /** Churns until `count` numbers are durable, then kills the process; returns all it told. */
  async churnAndKill(order: StoreProcessOrder, count: number): Promise<number[]> {
    const durable: number[] = [];
    const failed = Promise.withResolvers<never>();
    const enough = new Promise<void>((resolve) => {
      this.#child.on('message', (report: StoreProcessReport) => {
        if (report.kind === 'failed') failed.reject(new Error(report.message));
        if (report.kind === 'durable' && durable.push(report.number) === count) resolve();
      });
    });
    this.#child.send(order);
    await Promise.race([enough, failed.promise]);
    await this.kill();
    return durable;
  }

  /** The end of the child's reports too: what it sent before it died has arrived. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const closed = once(this.#child, 'close');
    this.#child.kill('SIGKILL');
    await closed;
  }

  #next(kind: StoreProcessReport['kind']): Promise<void> {
    return new Promise((resolve, reject) => {
      const child = this.#child;
      const settle = (act: () => void) => {
        child.off('message', heard);
        child.off('exit', exited);
        act();
      };
      const heard = (report: StoreProcessReport) => {
        if (report.kind === kind) settle(resolve);
        else if (report.kind === 'failed') settle(() => reject(new Error(report.message)));
      };
      const exited = () => settle(() => reject(new Error('the process has ended')));
      child.on('message', heard);
      child.once('exit', exited);
    });
  }
}

export function processesSuite(engine: string, create: () => Promise<DatabaseUnderTest>): void {
  describe(`a store on ${engine} of several processes`, () => {
    let database: DatabaseUnderTest;
    let store: MailStore | undefined;
    const children: StoreProcess[] = [];

    const startProcess = (): StoreProcess => {
      const child = new StoreProcess(database.url);
      children.push(child);
      return child;
    };

    beforeEach(async () => {
      database = await create();
    });
    afterEach(async () => {
      vi.useRealTimers();
      await Promise.all(children.splice(0).map((child) => child.kill()));
      await store?.close();
      store = undefined;
      await database.dispose();
    });

    it('is made once when all open it together', async () => {
      const processes = [startProcess(), startProcess(), startProcess()];
      store = await database.open();
      await Promise.all(processes.map(({ opened }) => opened));
      await Promise.all(
        processes.map((child, index) =>
          child.order({ kind: 'add-account', address: `user${index}@x.test` }),
        ),
      );
      expect(await store.accounts.list()).toHaveLength(3);
      const applied = await database.query('select name from schema_migrations');
      expect(applied[0]).toEqual({ name: 'init' });
      expect(new Set(applied.map(({ name }) => name)).size).toBe(applied.length);
      await database.check();
    });

    it('hears of a change in another without polling', async () => {
      vi.useFakeTimers({ toFake: ['setInterval'] });
      store = await database.open();
      const account = await store.accounts.add('alice@x.test', 'hash');
      const inbox = await store.mailboxes.find(account.id, 'INBOX');
      const child = startProcess();
      await child.opened;
      let heard = Promise.withResolvers<void>();
      const stop = store.watch(inbox?.id ?? 0, () => heard.resolve());
      for (let round = 1; round <= 5; round += 1) {
        heard = Promise.withResolvers<void>();
        await child.order({ kind: 'deliver', recipient: account.id });
        await heard.promise;
        expect((await store.mailboxes.status(inbox?.id ?? 0)).messages).toBe(round);
      }
      stop();
    });

    it('hears of any change of an account in another without polling', async () => {
      vi.useFakeTimers({ toFake: ['setInterval'] });
      store = await database.open();
      const { id: accountId } = await store.accounts.add('alice@x.test', 'hash');
      const { id: otherId } = await store.accounts.add('bob@x.test', 'hash');
      const child = startProcess();
      await child.opened;
      let heard = Promise.withResolvers<void>();
      const stop = store.watchAccount(accountId, () => heard.resolve());
      const before = await store.overview(accountId);
      const orders: StoreProcessOrder[] = [
        { kind: 'deliver', recipient: accountId },
        { kind: 'create', accountId, name: 'New' },
        { kind: 'unsubscribe', accountId, name: 'Junk' },
        { kind: 'annotate', accountId, name: '/private/comment' },
        { kind: 'deliver', recipient: accountId },
      ];
      for (const order of orders) {
        heard = Promise.withResolvers<void>();
        await child.order({ kind: 'deliver', recipient: otherId });
        await child.order(order);
        await heard.promise;
      }
      stop();
      const after = await store.overview(accountId, before.modSeq);
      expect(after.mailboxes.map(({ name, status }) => [name, status.messages])).toEqual([
        ['INBOX', 2],
        ...['Archive', 'Drafts', 'Junk', 'New', 'Sent', 'Trash'].map((name) => [name, 0]),
      ]);
      expect(after.subscriptions).not.toContain('Junk');
      expect(after.annotations.map(({ name }) => name)).toEqual(['/private/comment']);
    });

    it('frees the maildrop lock of a process that is killed', async () => {
      store = await database.open();
      const { id: accountId } = await store.accounts.add('alice@x.test', 'hash');
      const child = startProcess();
      await child.opened;
      await child.order({ kind: 'lock-maildrop', accountId });
      await expect(store.lockMaildrop(accountId)).rejects.toMatchObject({
        code: 'maildrop-locked',
      });
      await child.kill();
      // a server may take a moment to see it
      const lock = await vi.waitFor(async () => store?.lockMaildrop(accountId));
      await lock?.release();
    });

    it('keeps what was acknowledged, whole and once, when its writer is killed', async () => {
      store = await database.open();
      const alice = await store.accounts.add('alice@x.test', 'hash');
      const bob = await store.accounts.add('bob@x.test', 'hash');
      await store.close();
      store = undefined;
      const durable: number[] = [];
      // when a writer is killed is drawn anew in each run; a failure prints it
      const counts = fc.sample(fc.integer({ min: 1, max: 80 }), 3);
      for (const [round, count] of counts.entries()) {
        const child = startProcess();
        await child.opened;
        const order: StoreProcessOrder = {
          kind: 'churn',
          recipients: [alice.id, bob.id],
          first: (round + 1) * 100_000,
        };
        durable.push(...(await child.churnAndKill(order, count)));
        await database.check();
      }

      store = await database.open();
      const read = async (accountId: number): Promise<(number | undefined)[]> => {
        const numbers: (number | undefined)[] = [];
        for (const mailbox of (await store?.mailboxes.list(accountId)) ?? []) {
          const { messages } = (await store?.messages.list(mailbox.id)) ?? { messages: [] };
          for (const { uid } of messages) {
            const raw = await store?.messages.read(mailbox.id, uid);
            numbers.push(raw && numberOf(raw));
          }
        }
        return numbers.sort((a, b) => (a ?? 0) - (b ?? 0));
      };
      const delivered = await read(alice.id);
      expect(delivered, `killed after ${counts}`).not.toContain(undefined);
      expect(new Set(delivered).size, `killed after ${counts}`).toBe(delivered.length);
      expect(delivered).toEqual(expect.arrayContaining(durable));
      // each delivery reached both or neither
      expect(await read(bob.id)).toEqual(delivered);
    });
  });
}
