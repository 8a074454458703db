/** What every engine's store must do about mailboxes that several accounts have. */
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { StoreError, type StoreErrorCode } from '../errors.ts';
import type { Account, FlagChange, FlagKind, Mailbox, MailStore } from '../mail-store.ts';
import { MAX_GRANTS, RIGHTS } from '../rights.ts';
import type { DatabaseUnderTest } from './database-under-test.ts';

const RAW = Buffer.from('Subject: one\r\n\r\none\r\n');

async function codeOf(promise: Promise<unknown>): Promise<StoreErrorCode | undefined> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    if (error instanceof StoreError) return error.code;
    throw error;
  }
}

export function rightsSuite(engine: string, create: () => Promise<DatabaseUnderTest>): void {
  describe(`rights on ${engine}`, () => {
    let database: DatabaseUnderTest;
    let store: MailStore;
    let owner: Account;
    let reader: Account;
    let work: Mailbox;
    let accounts = 0;

    const add = (): Promise<Account> => {
      accounts += 1;
      return store.accounts.add(`User${accounts}@x.test`, 'hash');
    };

    beforeAll(async () => {
      database = await create();
      store = await database.open();
    });
    beforeEach(async () => {
      [owner, reader] = [await add(), await add()];
      work = await store.mailboxes.create(owner.id, 'Work');
    });
    afterAll(async () => {
      try {
        await store?.close();
        await database?.check();
      } finally {
        await database?.dispose();
      }
    });

    const change = (kind: FlagChange, rights: string, mailbox = work, account = reader) =>
      store.sharing.change(mailbox.id, account.id, kind, rights);
    const shared = async (account = reader) =>
      (await store.sharing.list(account.id)).map(({ owner: of, mailbox, rights }) => [
        of.address,
        mailbox.name,
        rights,
      ]);
    const grants = async (mailbox = work) =>
      (await store.sharing.grants(mailbox.id)).map(({ account, rights }) => [account.id, rights]);
    const rows = async (): Promise<number> =>
      (await database.query('select * from mailbox_rights')).length;

    it('are told to who has them, and by the mailbox', async () => {
      expect(await shared()).toEqual([]);
      await change('replace', 'rl');
      await change('replace', 'i', (await store.mailboxes.find(owner.id, 'INBOX')) ?? work);
      expect(await shared()).toEqual([
        [owner.address, 'INBOX', 'i'],
        [owner.address, 'Work', 'lr'],
      ]);
      expect(await grants()).toEqual([[reader.id, 'lr']]);
      const { sharing } = store;
      const status = await store.mailboxes.status(work.id);
      const found = { mailbox: { ...work, status }, owner, rights: 'lr' };
      const upper = owner.address.replace('User', 'USER');
      expect(await sharing.find(reader.id, upper, 'Work')).toEqual(found);
      expect(await sharing.read(reader.id, work.id)).toEqual(found);
      expect((await sharing.find(reader.id, owner.address, 'inbox'))?.rights).toBe('i');
    });

    it('are none where none were given, and the owner’s are not told', async () => {
      const { sharing } = store;
      const status = await store.mailboxes.status(work.id);
      const found = { mailbox: { ...work, status }, owner, rights: '' };
      expect(await sharing.find(reader.id, owner.address, 'Work')).toEqual(found);
      expect(await sharing.find(reader.id, owner.address, 'Play')).toBeUndefined();
      expect(await sharing.find(reader.id, owner.address, 'a//b')).toBeUndefined();
      expect(await sharing.find(reader.id, 'nobody@x.test', 'Work')).toBeUndefined();
      expect(await sharing.find(reader.id, 'no address', 'Work')).toBeUndefined();
      expect(await sharing.find(owner.id, owner.address, 'Work')).toBeUndefined();
      expect(await sharing.read(owner.id, work.id)).toBeUndefined();
      expect(await sharing.read(reader.id, 1_000_000)).toBeUndefined();
      expect(await shared(owner)).toEqual([]);
    });

    it('are changed as sets are', async () => {
      const letters = fc.string({ unit: fc.constantFrom(...RIGHTS), maxLength: 6 });
      const kind = fc.constantFrom<FlagChange>('replace', 'add', 'remove');
      await fc.assert(
        fc.asyncProperty(fc.array(fc.tuple(kind, letters), { maxLength: 4 }), async (changes) => {
          await change('replace', '');
          let expected = new Set<string>();
          for (const [how, given] of changes) {
            await change(how, given);
            if (how === 'replace') expected = new Set();
            for (const right of given) {
              if (how === 'remove') expected.delete(right);
              else expected.add(right);
            }
          }
          const told = [...RIGHTS].filter((right) => expected.has(right)).join('');
          expect((await store.sharing.read(reader.id, work.id))?.rights).toBe(told);
          expect(await grants()).toEqual(told === '' ? [] : [[reader.id, told]]);
        }),
        { numRuns: 20 },
      );
    });

    it('are never less than all for the owner', async () => {
      expect(await codeOf(change('remove', 'a', work, owner))).toBe('rights-of-owner');
      expect(await codeOf(change('replace', 'lr', work, owner))).toBe('rights-of-owner');
      await change('add', 'a', work, owner);
      await change('replace', RIGHTS, work, owner);
      expect(await grants()).toEqual([]);
    });

    it('are of mailboxes and accounts that there are, and of letters that mean something', async () => {
      await expect(change('add', 'lq')).rejects.toThrow('no such right');
      await store.mailboxes.delete(work.id);
      expect(await codeOf(change('add', 'l'))).toBe('no-such-mailbox');
      expect(await codeOf(store.sharing.grants(work.id))).toBe('no-such-mailbox');
      const play = await store.mailboxes.create(owner.id, 'Play');
      await store.accounts.remove(reader.id);
      expect(await codeOf(change('add', 'l', play))).toBe('no-such-account');
    });

    it('are given to so many and no more', async () => {
      const many = await Promise.all(Array.from({ length: MAX_GRANTS }, add));
      for (const account of many) await change('add', 'l', work, account);
      expect(await codeOf(change('add', 'l'))).toBe('too-many-rights');
      const [first = reader] = many;
      await change('add', 'r', work, first);
      await change('remove', 'lr', work, first);
      await change('add', 'l');
      expect(await grants()).toHaveLength(MAX_GRANTS);
    });

    it('stay when the mailbox is renamed, and go when it is deleted', async () => {
      const before = await rows();
      await change('replace', 'lr');
      await store.mailboxes.rename(owner.id, 'Work', 'Play');
      expect(await shared()).toEqual([[owner.address, 'Play', 'lr']]);
      expect(await rows()).toBe(before + 1);
      await store.mailboxes.delete(work.id);
      expect(await shared()).toEqual([]);
      expect(await store.sharing.read(reader.id, work.id)).toBeUndefined();
      expect(await rows()).toBe(before);
    });

    it('come with a mailbox from the one above', async () => {
      await change('replace', 'lrk');
      await store.mailboxes.create(owner.id, 'Work/2026/Plans');
      await store.mailboxes.create(owner.id, 'Elsewhere/Plans');
      await store.mailboxes.rename(owner.id, 'INBOX', 'Work/Old');
      await store.mailboxes.rename(owner.id, 'Elsewhere', 'Work/Deep/Elsewhere');
      expect(await shared()).toEqual([
        [owner.address, 'Work', 'lrk'],
        [owner.address, 'Work/2026', 'lrk'],
        [owner.address, 'Work/2026/Plans', 'lrk'],
        [owner.address, 'Work/Deep', 'lrk'],
        [owner.address, 'Work/Old', 'lrk'],
      ]);
    });

    it('go with the account that has them, and with the one that gave them', async () => {
      const before = await rows();
      const third = await add();
      await change('replace', 'lr');
      await change('replace', 'lr', work, third);
      await store.annotations.set(third.id, work.id, [['/private/comment', Buffer.from('x')]]);
      await store.accounts.remove(third.id);
      expect(await grants()).toEqual([[reader.id, 'lr']]);
      await store.accounts.remove(owner.id);
      expect(await shared()).toEqual([]);
      expect(await store.sharing.find(reader.id, owner.address, 'Work')).toBeUndefined();
      expect(await rows()).toBe(before);
    });

    it('count as a change of the mailbox and of the account where they change', async () => {
      const modSeq = async () => (await store.mailboxes.status(work.id)).highestModSeq;
      const changed = vi.fn();
      const given = vi.fn();
      const stops = [store.watch(work.id, changed), store.watchAccount(reader.id, given)];
      const before = await modSeq();
      await change('replace', 'lr');
      await vi.waitFor(() => {
        expect(changed).toHaveBeenCalled();
        expect(given).toHaveBeenCalled();
      });
      expect(await modSeq()).toBe(before + 1);
      await change('add', 'l');
      await change('remove', 'x');
      expect(await modSeq()).toBe(before + 1);
      expect((await store.messages.changesSince(work.id, before)).changed).toEqual([]);
      for (const stop of stops) stop();
    });

    it('may keep one from some flags', async () => {
      const kinds = fc.subarray<FlagKind>(['seen', 'deleted', 'other']);
      const flags = fc.subarray(['\\Seen', '\\Deleted', '\\Flagged', '$Junk']);
      const kindOf = (flag: string): FlagKind =>
        flag === '\\Seen' ? 'seen' : flag === '\\Deleted' ? 'deleted' : 'other';
      const play = await store.mailboxes.create(owner.id, 'Play');
      await fc.assert(
        fc.asyncProperty(
          flags,
          flags,
          kinds,
          fc.constantFrom<FlagChange>('replace', 'add', 'remove'),
          fc.boolean(),
          async (before, given, only, how, moves) => {
            const [appended] = await store.messages.append(work.id, [{ raw: RAW, flags: before }]);
            const uid = appended?.uid ?? 0;
            const [changed] = await store.messages.changeFlags(work.id, [uid], how, given, {
              only,
            });
            const may = (flag: string) => only.includes(kindOf(flag));
            const kept = before.filter((flag) => !may(flag));
            const asked = given.filter(may);
            const had = before.filter(may);
            const now =
              how === 'replace'
                ? asked
                : how === 'add'
                  ? [...new Set([...had, ...asked])]
                  : had.filter((flag) => !asked.includes(flag));
            expect(new Set(changed?.flags)).toEqual(new Set([...kept, ...now]));

            const { messages } = store;
            const carry = moves ? messages.move : messages.copy;
            const { to } = await carry(work.id, [uid], play.id, only);
            const [copy] = await messages.flags(play.id, to);
            expect(new Set(copy)).toEqual(new Set(changed?.flags.filter(may)));
            const [summary] = await messages.summaries(play.id, to);
            expect(new Set(summary?.flags)).toEqual(new Set(copy));
          },
        ),
        { numRuns: 30 },
      );
    });

    it('let annotations be shared, or each one’s own', async () => {
      const { annotations } = store;
      const value = (text: string) => Buffer.from(text);
      const read = async (account: Account) => {
        const summaries = await annotations.list(account.id, work.id);
        const names = summaries.map(({ name }) => name);
        const values = await annotations.read(account.id, work.id, names);
        return names.map((name) => [name, Buffer.from(values.get(name) ?? []).toString()]);
      };
      await change('replace', 'lr');
      await annotations.set(owner.id, work.id, [
        ['/private/comment', value('mine')],
        ['/private/specialuse', value('\\Archive')],
      ]);
      const since = (await store.overview(owner.id)).modSeq;
      await annotations.set(reader.id, work.id, [
        ['/private/comment', value('the reader’s')],
        ['/shared/comment', value('everybody’s')],
      ]);
      expect(await read(owner)).toEqual([
        ['/private/comment', 'mine'],
        ['/private/specialuse', '\\Archive'],
        ['/shared/comment', 'everybody’s'],
      ]);
      expect(await read(reader)).toEqual([
        ['/private/comment', 'the reader’s'],
        ['/shared/comment', 'everybody’s'],
      ]);
      const heard = (await store.overview(owner.id, since)).annotations;
      expect(heard.map(({ name }) => name)).toEqual(['/shared/comment']);
      const use = annotations.set(reader.id, work.id, [['/private/specialuse', undefined]]);
      expect(await codeOf(use)).toBe('bad-special-use');
      await change('replace', '');
      expect(await codeOf(annotations.list(reader.id, work.id))).toBe('no-such-mailbox');
      await store.mailboxes.delete(work.id);
      await vi.waitFor(async () => {
        const left = `select * from annotations where mailbox_id = ${work.id}`;
        expect(await database.query(left)).toEqual([]);
      });
    });
  });
}
