/** What one account can have of what costs everybody, on every engine. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { StoreError } from '../errors.ts';
import type { MailStore } from '../mail-store.ts';
import { MAX_MAILBOXES, MAX_SUBSCRIPTIONS } from '../mailboxes.ts';
import type { DatabaseUnderTest } from './database-under-test.ts';

/** So many rows of one column, "i". */
const rows = (count: number): string =>
  `with recursive n(i) as (select 1 union all select i + 1 from n where i < ${count})`;

const codeOf = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
  } catch (error) {
    if (error instanceof StoreError) return error.code;
    throw error;
  }
  return 'done';
};

export function boundsSuite(engine: string, create: () => Promise<DatabaseUnderTest>): void {
  describe(`what an account can have in ${engine}`, () => {
    let database: DatabaseUnderTest;
    let store: MailStore;

    beforeAll(async () => {
      database = await create();
      store = await database.open();
    });
    afterAll(async () => {
      await store.close();
      await database.dispose();
    });

    it('is so many mailboxes, with those made for their inferiors', async () => {
      const { id } = await store.accounts.add('alice@x.test', 'hash');
      const { mailboxes } = store;
      const more = MAX_MAILBOXES - (await mailboxes.list(id)).length - 2;
      await database.query(`
        insert into mailboxes (account_id, object_id, name, uid_validity, uid_next, highest_modseq,
          messages, unseen, deleted, size)
        ${rows(more)} select ${id}, 'F' || i, 'm' || i, i, 1, 1, 0, 0, 0, 0 from n`);
      expect(await codeOf(mailboxes.create(id, 'a/b/c'))).toBe('too-many-mailboxes');
      expect(await mailboxes.find(id, 'a')).toBeUndefined();
      const made = await mailboxes.create(id, 'a/b');
      expect(await codeOf(mailboxes.create(id, 'c'))).toBe('too-many-mailboxes');
      expect(await codeOf(mailboxes.rename(id, 'm1', 'c/m1'))).toBe('too-many-mailboxes');
      expect(await codeOf(mailboxes.rename(id, 'INBOX', 'old'))).toBe('too-many-mailboxes');
      expect(await codeOf(mailboxes.rename(id, 'm1', 'c'))).toBe('done');
      await mailboxes.delete(made.id);
      expect(await codeOf(mailboxes.create(id, 'd'))).toBe('done');
    });

    it('is so many subscriptions', async () => {
      const { id } = await store.accounts.add('bob@x.test', 'hash');
      const { mailboxes } = store;
      const more = MAX_SUBSCRIPTIONS - (await mailboxes.subscriptions(id)).length - 1;
      await database.query(`
        insert into subscriptions (account_id, name) ${rows(more)} select ${id}, 's' || i from n`);
      expect(await codeOf(mailboxes.subscribe(id, 'one', true))).toBe('done');
      expect(await codeOf(mailboxes.subscribe(id, 'one', true))).toBe('done');
      expect(await codeOf(mailboxes.subscribe(id, 'two', true))).toBe('too-many-subscriptions');
      expect(await mailboxes.subscriptions(id)).toHaveLength(MAX_SUBSCRIPTIONS);
      expect(await codeOf(mailboxes.subscribe(id, 'one', false))).toBe('done');
      expect(await codeOf(mailboxes.subscribe(id, 'two', true))).toBe('done');
    });
  });
}
