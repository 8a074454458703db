/** What sweeping must do on every engine: nothing of removed mail is left, and nothing else is gone. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { MailStore } from '../mail-store.ts';
import type { DatabaseUnderTest } from './database-under-test.ts';

const RAW = Buffer.from('Subject: one\r\n\r\nhello\r\n');
const TABLES = [
  'accounts',
  'mailboxes',
  'messages',
  'tombstones',
  'contents',
  'content_chunks',
  'content_texts',
  'subscriptions',
  'annotations',
];

export function sweepSuite(engine: string, create: () => Promise<DatabaseUnderTest>): void {
  describe(`what removed mail leaves in ${engine}`, () => {
    let database: DatabaseUnderTest;
    let store: MailStore;

    beforeEach(async () => {
      database = await create();
      store = await database.open();
    });
    afterEach(async () => {
      await store.close();
      await database.dispose();
    });

    const countRows = async (): Promise<Record<string, number>> => {
      const counts: Record<string, number> = {};
      for (const table of TABLES) {
        const [row] = await database.query(`select count(*) as n from ${table}`);
        counts[table] = Number(row?.['n']);
      }
      return counts;
    };
    /** As if the time for readers were over. Removing an account waits for all sweeping. */
    const sweepAll = async (): Promise<void> => {
      await database.query('update contents set keep_until = 0');
      const { id } = await store.accounts.add('sweep@x.test', 'hash');
      await store.accounts.remove(id);
    };
    const fill = async (address: string, count: number): Promise<number> => {
      const account = await store.accounts.add(address, 'hash');
      const inbox = await store.mailboxes.find(account.id, 'INBOX');
      const messages = Array.from({ length: count }, () => ({ raw: RAW }));
      const uids = (await store.messages.append(inbox?.id ?? 0, messages)).map(({ uid }) => uid);
      await store.messages.expunge(inbox?.id ?? 0, uids.slice(0, count / 2));
      for (const mailboxId of [undefined, inbox?.id]) {
        await store.annotations.set(account.id, mailboxId, [['/private/comment', RAW]]);
      }
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
      expect(await countRows()).toMatchObject({ messages: 4, contents: 1, content_chunks: 1 });
      await store.messages.expunge(inbox, [1, 2]);
      await store.mailboxes.delete(extra.id);
      await sweepAll();
      expect(await countRows()).toMatchObject({ messages: 1, contents: 1, content_chunks: 1 });
      expect(await store.messages.read(otherInbox, 1)).toEqual(RAW);
      await store.messages.expunge(otherInbox, [1]);
      const { id: gone } = await store.accounts.add('gone@x.test', 'hash');
      await store.accounts.remove(gone);
      // somebody may be reading it
      expect(await countRows()).toMatchObject({ messages: 0, contents: 1, content_chunks: 1 });
      await sweepAll();
      expect(await countRows()).toMatchObject({ messages: 0, contents: 0, content_chunks: 0 });
    });

    it('goes in several pieces, to the last row of an account', async () => {
      const empty = await countRows();
      const id = await fill('alice@x.test', 2_500);
      await store.accounts.remove(id);
      await sweepAll();
      expect(await countRows()).toEqual(empty);
    });

    it('is freed by the next process when one dies before', async () => {
      const empty = await countRows();
      const id = await fill('alice@x.test', 20);
      await store.close();
      await database.query('delete from subscriptions');
      await database.query(`update accounts set address_key = null where id = ${id}`);
      await database.query(`update mailboxes set name = null where account_id = ${id}`);
      store = await database.open();
      await sweepAll();
      expect(await countRows()).toEqual(empty);
    });
  });
}
