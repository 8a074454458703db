/** What comes once must come once on every engine, whoever brings it and however often. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { MailStore } from '../mail-store.ts';
import type { DatabaseUnderTest } from './database-under-test.ts';
import { numberedMessage, numberOf } from './numbered-message.ts';

export function appendOnceSuite(engine: string, create: () => Promise<DatabaseUnderTest>): void {
  describe(`messages that come once into a store on ${engine}`, () => {
    let database: DatabaseUnderTest;
    let store: MailStore;
    let inbox: number;
    let archive: number;

    beforeEach(async () => {
      database = await create();
      store = await database.open();
      const { id } = await store.accounts.add('alice@x.test', 'hash');
      inbox = (await store.mailboxes.find(id, 'INBOX'))?.id ?? 0;
      archive = (await store.mailboxes.find(id, 'Archive'))?.id ?? 0;
    });
    afterEach(async () => {
      await store.close();
      await database.dispose();
    });

    const keyed = (...numbers: number[]) =>
      numbers.map((number) => ({ key: `k${number}`, raw: numberedMessage(number) }));
    const numbersIn = async (mailbox: number): Promise<(number | undefined)[]> => {
      const { messages } = await store.messages.list(mailbox);
      return Promise.all(
        messages.map(async ({ uid }) => numberOf(await store.messages.read(mailbox, uid))),
      );
    };

    it('are those whose key has not come before, in their order', async () => {
      expect(await store.messages.appendOnce(inbox, keyed(1, 2))).toBe(2);
      expect(await store.messages.appendOnce(inbox, keyed(2, 3, 1, 3))).toBe(1);
      expect(await store.messages.appendOnce(inbox, [])).toBe(0);
      expect(await numbersIn(inbox)).toEqual([1, 2, 3]);
      await database.check();
    });

    it('stay known where they are moved, and are not known in another mailbox', async () => {
      await store.messages.appendOnce(inbox, keyed(1));
      await store.messages.move(inbox, [1], archive);
      expect(await store.messages.appendOnce(inbox, keyed(1))).toBe(0);
      expect(await store.messages.appendOnce(archive, keyed(1))).toBe(1);
      expect(await numbersIn(archive)).toEqual([1, 1]);
    });

    it('keep flags and date, and are all or none', async () => {
      const internalDate = new Date('2020-02-02T02:02:02.345Z');
      const [first] = keyed(1);
      if (first === undefined) throw new Error('one message');
      const bad = { ...first, key: 'bad', flags: ['not a keyword'] };
      await expect(store.messages.appendOnce(inbox, [first, bad])).rejects.toMatchObject({
        code: 'bad-flag',
      });
      expect(await numbersIn(inbox)).toEqual([]);
      await store.messages.appendOnce(inbox, [{ ...first, flags: ['\\Seen', 'x'], internalDate }]);
      const { messages } = await store.messages.list(inbox);
      expect(messages).toMatchObject([{ flags: ['\\Seen', 'x'], internalDate }]);
    });

    it('come once though two bring them at the same time', async () => {
      const other = await database.open();
      try {
        const numbers = Array.from({ length: 60 }, (_, number) => number);
        const bring = async (by: MailStore): Promise<number> => {
          let count = 0;
          for (let start = 0; start < numbers.length; start += 7) {
            count += await by.messages.appendOnce(inbox, keyed(...numbers.slice(start, start + 7)));
          }
          return count;
        };
        const counts = await Promise.all([bring(store), bring(other)]);
        expect(counts.reduce((a, b) => a + b)).toBe(numbers.length);
        expect((await numbersIn(inbox)).sort((a, b) => (a ?? 0) - (b ?? 0))).toEqual(numbers);
      } finally {
        await other.close();
      }
      await database.check();
    });
  });
}
