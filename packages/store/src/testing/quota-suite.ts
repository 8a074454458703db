/** What every engine's store must do about quotas: exact, never exceeded, and no hindrance to making room. */
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { StoreError } from '../errors.ts';
import type { Account, AccountLimitsChange, MailStore } from '../mail-store.ts';
import type { DatabaseUnderTest } from './database-under-test.ts';

/** Octets of one message. */
const SIZE = 100;
const RAW = Buffer.from(`Subject: one\r\n\r\n${'x'.repeat(SIZE - 18)}\r\n`);
const HALF = RAW.subarray(0, SIZE / 2);

const OVER = { code: 'over-quota' };

export function quotaSuite(engine: string, create: () => Promise<DatabaseUnderTest>): void {
  describe(`quotas in ${engine}`, () => {
    let database: DatabaseUnderTest;
    let store: MailStore;
    let other: MailStore;
    let alice: Account;
    let accounts = 0;

    beforeAll(async () => {
      database = await create();
      store = await database.open();
      other = await database.open();
    });
    beforeEach(async () => {
      alice = await addAccount();
    });
    afterAll(async () => {
      try {
        await Promise.all([store.close(), other.close()]);
        await database.check();
      } finally {
        await database.dispose();
      }
    });

    /** In a domain of its own. */
    const addAccount = (): Promise<Account> => {
      accounts += 1;
      return store.accounts.add(`user@quota${accounts}.test`, 'hash');
    };
    const idOf = async (name: string, owner = alice): Promise<number> => {
      const found = await store.mailboxes.find(owner.id, name);
      if (found === undefined) throw new Error(`no ${name}`);
      return found.id;
    };
    const append = async (name: string, ...raws: Buffer[]) =>
      store.messages.append(
        await idOf(name),
        raws.map((raw) => ({ raw })),
      );
    const limit = (change: AccountLimitsChange) => store.quotas.change(alice.id, change);
    const used = async () => (await store.quotas.read(alice.id)).used;

    it('have a limit of the account’s own, or the domain’s, or none', async () => {
      const [, domain = ''] = alice.address.split('@');
      const limits = async () => (await store.quotas.read(alice.id)).limits;
      expect(await limits()).toEqual({ octets: undefined, messages: undefined });
      await store.directory.domains.change(domain, { octets: 1_000, messages: 10 });
      expect(await limits()).toEqual({ octets: 1_000, messages: 10 });
      await limit({ octets: 2_000 });
      expect(await limits()).toEqual({ octets: 2_000, messages: 10 });
      await limit({ messages: 'none' });
      expect(await limits()).toEqual({ octets: 2_000, messages: undefined });
      await limit({ octets: 'default' });
      expect(await limits()).toEqual({ octets: 1_000, messages: undefined });
      await limit({ octets: 0 });
      expect(await limits()).toEqual({ octets: 0, messages: undefined });
      expect(await store.quotas.list()).toContainEqual({
        account: alice,
        used: { octets: 0, messages: 0 },
        limits: { octets: 0, messages: undefined },
      });
      await expect(store.quotas.change(999_999, {})).rejects.toMatchObject({
        code: 'no-such-account',
      });
      await expect(store.quotas.read(999_999)).rejects.toMatchObject({ code: 'no-such-account' });
      await expect(limit({ octets: -1 })).rejects.toThrow('a limit is a whole number');
    });

    it('are of all mailboxes that are there', async () => {
      await append('INBOX', RAW, RAW);
      await append('Sent', RAW);
      const extra = await store.mailboxes.create(alice.id, 'Extra');
      await append('Extra', RAW, HALF);
      expect(await used()).toEqual({ octets: 4 * SIZE + SIZE / 2, messages: 5 });
      await store.mailboxes.delete(extra.id);
      expect(await used()).toEqual({ octets: 3 * SIZE, messages: 3 });
      await store.mailboxes.rename(alice.id, 'INBOX', 'Old');
      expect(await used()).toEqual({ octets: 3 * SIZE, messages: 3 });
    });

    it.each([
      ['octets', { octets: 3 * SIZE }],
      ['messages', { messages: 3 }],
      ['both', { octets: 3 * SIZE, messages: 3 }],
    ])('let in what fits and no more: %s', async (_, change) => {
      await limit(change);
      await append('INBOX', RAW, RAW);
      await expect(append('Sent', RAW, RAW)).rejects.toMatchObject(OVER);
      expect(await used()).toEqual({ octets: 2 * SIZE, messages: 2 });
      await append('Sent', RAW);
      await expect(append('Drafts', RAW)).rejects.toMatchObject(OVER);
      await expect(store.messages.deliver([alice.id], { raw: RAW })).rejects.toMatchObject(OVER);
      const sent = await idOf('Sent');
      await expect(store.messages.copy(sent, [1], sent)).rejects.toMatchObject(OVER);
      // nothing was refused half-way
      expect(await used()).toEqual({ octets: 3 * SIZE, messages: 3 });
    });

    it('count what is brought from elsewhere, once', async () => {
      await limit({ messages: 2 });
      const inbox = await idOf('INBOX');
      const keyed = (...keys: string[]) => keys.map((key) => ({ key, raw: RAW }));
      await store.messages.appendOnce(inbox, keyed('a', 'b', 'a'));
      expect(await store.messages.appendOnce(inbox, keyed('b', 'a'))).toBe(0);
      await expect(store.messages.appendOnce(inbox, keyed('a', 'c'))).rejects.toMatchObject(OVER);
      expect(await used()).toEqual({ octets: 2 * SIZE, messages: 2 });
    });

    it('let nobody have a delivery where one has no room for it', async () => {
      const bob = await addAccount();
      await limit({ messages: 0 });
      const delivery = store.messages.deliver([bob.id, alice.id], { raw: RAW });
      await expect(delivery).rejects.toMatchObject(OVER);
      expect((await store.quotas.read(bob.id)).used.messages).toBe(0);
      await limit({ messages: 1 });
      // once to each, however often it is named
      await store.messages.deliver([bob.id, alice.id, alice.id], { raw: RAW });
      expect(await used()).toEqual({ octets: SIZE, messages: 1 });
    });

    it('stand in the way of nothing that takes no more room, even when they are exceeded', async () => {
      await append('INBOX', RAW, RAW, HALF);
      await limit({ octets: 10, messages: 1 });
      const [inbox, sent] = [await idOf('INBOX'), await idOf('Sent')];
      await store.messages.changeFlags(inbox, [1], 'add', ['\\Seen', 'keyword']);
      expect(await store.messages.move(inbox, [1, 2], sent)).toMatchObject({ to: [1, 2] });
      await store.messages.replace(sent, 1, inbox, { raw: RAW });
      await store.messages.replace(sent, 2, sent, { raw: HALF });
      await expect(store.messages.replace(sent, 3, sent, { raw: RAW })).rejects.toMatchObject(OVER);
      await store.mailboxes.rename(alice.id, 'INBOX', 'Old');
      await store.messages.copy(sent, [99], inbox);
      await store.messages.append(inbox, []);
      expect(await used()).toEqual({ octets: 2 * SIZE, messages: 3 });
      await store.messages.expunge(sent, [3]);
      await store.accounts.remove(alice.id);
    });

    it('count what is moved to another account', async () => {
      const bob = await addAccount();
      await append('INBOX', RAW);
      await store.quotas.change(bob.id, { octets: SIZE - 1 });
      const [from, to] = [await idOf('INBOX'), await idOf('INBOX', bob)];
      await expect(store.messages.move(from, [1], to)).rejects.toMatchObject(OVER);
      await expect(store.messages.replace(from, 1, to, { raw: RAW })).rejects.toMatchObject(OVER);
      await store.quotas.change(bob.id, { octets: SIZE });
      await store.messages.move(from, [1], to);
      expect(await used()).toEqual({ octets: 0, messages: 0 });
    });

    it('are never exceeded, whoever comes at once', async () => {
      const bob = await addAccount();
      const FITS = 7;
      await limit({ octets: FITS * SIZE });
      await store.quotas.change(bob.id, { messages: FITS });
      const [inbox, sent] = [await idOf('INBOX'), await idOf('Sent')];
      await append('INBOX', RAW);
      const attempts = Array.from({ length: 40 }, (_, index) => {
        const { messages } = index % 2 === 0 ? store : other;
        switch (index % 4) {
          case 0:
            return messages.append(inbox, [{ raw: RAW }]);
          case 1:
            return messages.append(sent, [{ raw: RAW }]);
          case 2:
            return messages.copy(inbox, [1], sent);
          default:
            return messages.deliver([bob.id, alice.id], { raw: RAW });
        }
      });
      for (const attempt of await Promise.allSettled(attempts)) {
        if (attempt.status === 'rejected') expect(attempt.reason).toMatchObject(OVER);
      }
      expect(await used()).toEqual({ octets: FITS * SIZE, messages: FITS });
    });

    it('agree with a sum, whatever the order', async () => {
      const sizes = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 3 });
      const act = fc.oneof(
        fc.record({ kind: fc.constant('append' as const), sizes }),
        fc.record({ kind: fc.constant('copy' as const), count: fc.integer({ min: 1, max: 4 }) }),
        fc.record({ kind: fc.constant('expunge' as const), count: fc.integer({ min: 1, max: 4 }) }),
      );
      await fc.assert(
        fc.asyncProperty(
          fc.array(act, { maxLength: 12 }),
          fc.integer({ min: 0, max: 200 }),
          fc.integer({ min: 0, max: 6 }),
          async (acts, octets, messages) => {
            alice = await addAccount();
            await limit({ octets, messages });
            const inbox = await idOf('INBOX');
            const held = new Map<number, number>();
            let next = 1;
            const sum = (sizes: Iterable<number>) => [...sizes].reduce((a, b) => a + b, 0);
            const come = async (coming: number[], doing: Promise<unknown>) => {
              const fits =
                coming.length === 0 ||
                (sum(held.values()) + sum(coming) <= octets &&
                  held.size + coming.length <= messages);
              const refused = await doing.then(
                () => false,
                (error: unknown) => {
                  if (error instanceof StoreError && error.code === 'over-quota') return true;
                  throw error;
                },
              );
              expect(refused).toBe(!fits);
              if (refused) return;
              for (const size of coming) {
                held.set(next, size);
                next += 1;
              }
            };
            for (const each of acts) {
              const some = [...held].slice(0, 'count' in each ? each.count : 0);
              const uids = some.map(([uid]) => uid);
              if (each.kind === 'append') {
                const raws = each.sizes.map((size) => ({ raw: RAW.subarray(0, size) }));
                await come(each.sizes, store.messages.append(inbox, raws));
              } else if (each.kind === 'copy') {
                await come(
                  some.map(([, size]) => size),
                  store.messages.copy(inbox, uids, inbox),
                );
              } else {
                await store.messages.expunge(inbox, uids);
                for (const uid of uids) held.delete(uid);
              }
            }
            expect(await used()).toEqual({ octets: sum(held.values()), messages: held.size });
          },
        ),
        { numRuns: 15 },
      );
    });

    it('tell what expunging would free', async () => {
      await append('INBOX', RAW, HALF, RAW);
      const inbox = await idOf('INBOX');
      expect(await store.mailboxes.deletedSize(inbox)).toBe(0);
      await store.messages.changeFlags(inbox, [1, 2], 'add', ['\\Deleted']);
      expect(await store.mailboxes.deletedSize(inbox)).toBe(SIZE + SIZE / 2);
      await expect(store.mailboxes.deletedSize(999_999)).rejects.toMatchObject({
        code: 'no-such-mailbox',
      });
    });
  });
}
