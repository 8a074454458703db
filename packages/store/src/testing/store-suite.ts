/**
 * What every engine's store must do: one suite, run against each engine. It knows the store by its
 * interface alone.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { StoreError, type StoreErrorCode } from '../errors.ts';
import type {
  Account,
  ListedMessage,
  Mailbox,
  MailStore,
  MessageSummary,
  ModSeq,
  Uid,
} from '../mail-store.ts';
import type { DatabaseUnderTest } from './database-under-test.ts';
import { type ModelMailbox, StoreModel } from './store-model.ts';

const RAW = Buffer.from('From: a@x.test\r\nTo: b@x.test\r\nSubject: one\r\n\r\nhello\r\n');

async function codeOf(promise: Promise<unknown>): Promise<StoreErrorCode | undefined> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    if (error instanceof StoreError) return error.code;
    throw error;
  }
}

const uidsOf = (messages: readonly { readonly uid: Uid }[]): Uid[] =>
  messages.map(({ uid }) => uid);

/** Runs the suite; `create` makes the database that all of it shares. */
export function storeSuite(engine: string, create: () => Promise<DatabaseUnderTest>): void {
  describe(`the store on ${engine}`, () => {
    let database: DatabaseUnderTest;
    let store: MailStore;
    let account: Account;
    let inbox: Mailbox;
    let accounts = 0;

    const addAccount = (): Promise<Account> => {
      accounts += 1;
      return store.accounts.add(`user${accounts}@x.test`, `hash ${accounts}`);
    };
    const mailboxOf = async (owner: Account, name: string): Promise<Mailbox> => {
      const found = await store.mailboxes.find(owner.id, name);
      if (found === undefined) throw new Error(`no ${name}`);
      return found;
    };
    const append = async (mailbox: Mailbox, count: number, flags: string[] = []) => {
      const messages = Array.from({ length: count }, () => ({ raw: RAW, flags }));
      return (await store.messages.append(mailbox.id, messages)).map(({ uid }) => uid);
    };

    beforeAll(async () => {
      database = await create();
      store = await database.open();
    });
    beforeEach(async () => {
      account = await addAccount();
      inbox = await mailboxOf(account, 'INBOX');
    });
    afterAll(async () => {
      try {
        await store?.close();
        await database?.check();
      } finally {
        await database?.dispose();
      }
    });

    describe('accounts', () => {
      it('are found by address, whatever its case', async () => {
        const added = await store.accounts.add('Änne.B@Bücher.example', 'secret');
        expect(added.address).toBe('Änne.B@xn--bcher-kva.example');
        expect(await store.accounts.find('änne.b@BÜCHER.example')).toEqual(added);
        expect(await store.accounts.find('änne.b@xn--bcher-kva.example')).toEqual(added);
        expect(await store.accounts.find('nobody@x.test')).toBeUndefined();
        expect(await store.accounts.find('no address')).toBeUndefined();
        expect(await store.accounts.list()).toContainEqual(added);
      });

      it('have one that is the oldest of its domain', async () => {
        const first = await store.accounts.add('first@oldest.test', 'x');
        const second = await store.accounts.add('second@OLDEST.test', 'x');
        expect(await store.accounts.findOldest('oldest.test')).toEqual(first);
        await store.accounts.remove(first.id);
        expect(await store.accounts.findOldest('oldest.test')).toEqual(second);
        expect(await store.accounts.findOldest('none.test')).toBeUndefined();
        const all = (await store.accounts.list()).toSorted((a, b) => a.id - b.id);
        expect(await store.accounts.findOldest()).toEqual(all[0]);
      });

      it('give their password hash to those who ask for it alone', async () => {
        const credentials = await store.accounts.credentials(account.address.toUpperCase());
        expect(credentials).toEqual({ account, passwordHash: `hash ${accounts}` });
        await store.accounts.setPassword(account.id, { passwordHash: 'other' });
        const hashOf = async () =>
          (await store.accounts.credentials(account.address))?.passwordHash;
        expect(await hashOf()).toBe('other');
        // a renewal that began before the password was changed
        await store.accounts.renewPassword(account.id, `hash ${accounts}`, {
          passwordHash: 'renewed',
        });
        expect(await hashOf()).toBe('other');
        await store.accounts.renewPassword(account.id, 'other', { passwordHash: 'renewed' });
        expect(await hashOf()).toBe('renewed');
        expect(JSON.stringify(await store.accounts.list())).not.toContain('hash');
        expect(await store.accounts.credentials('nobody@x.test')).toBeUndefined();
        expect(await store.accounts.credentials('')).toBeUndefined();
      });

      it('have the default folders, subscribed', async () => {
        const mailboxes = await store.mailboxes.list(account.id);
        expect(
          mailboxes.map(({ name, specialUse, subscribed }) => [name, specialUse, subscribed]),
        ).toEqual([
          ['INBOX', undefined, true],
          ['Archive', '\\Archive', true],
          ['Drafts', '\\Drafts', true],
          ['Junk', '\\Junk', true],
          ['Sent', '\\Sent', true],
          ['Trash', '\\Trash', true],
        ]);
      });

      it('are refused twice, and without an address', async () => {
        const address = account.address.toUpperCase();
        expect(await codeOf(store.accounts.add(address, 'x'))).toBe('account-exists');
        expect(await codeOf(store.accounts.add('nobody', 'x'))).toBe('bad-address');
        const password = { passwordHash: 'x' };
        expect(await codeOf(store.accounts.setPassword(999_999, password))).toBe('no-such-account');
        expect(await codeOf(store.accounts.remove(999_999))).toBe('no-such-account');
      });

      it('go with their mail, and come back empty and with other numbers', async () => {
        const other = await addAccount();
        await append(inbox, 3);
        await store.messages.deliver([account.id, other.id], { raw: RAW });
        await store.accounts.remove(account.id);
        expect(await store.accounts.find(account.address)).toBeUndefined();
        expect(await store.accounts.credentials(account.address)).toBeUndefined();
        expect(await codeOf(store.accounts.remove(account.id))).toBe('no-such-account');
        expect(await codeOf(store.mailboxes.list(account.id))).toBe('no-such-account');
        expect(await codeOf(store.messages.list(inbox.id))).toBe('no-such-mailbox');
        const [left] = (await store.messages.list((await mailboxOf(other, 'INBOX')).id)).messages;
        expect(left?.size).toBe(RAW.length);

        const again = await store.accounts.add(account.address, 'x');
        expect(again.id).not.toBe(account.id);
        const newInbox = await mailboxOf(again, 'INBOX');
        expect(newInbox.uidValidity).toBeGreaterThan(inbox.uidValidity);
        expect((await store.mailboxes.status(newInbox.id)).messages).toBe(0);
      });
    });

    describe('mailboxes', () => {
      it('are made with their superiors', async () => {
        const made = await store.mailboxes.create(account.id, 'A/B/C/');
        expect(made).toMatchObject({ name: 'A/B/C', subscribed: false, specialUse: undefined });
        const names = (await store.mailboxes.list(account.id)).map(({ name }) => name);
        expect(names).toEqual(expect.arrayContaining(['A', 'A/B', 'A/B/C']));
        expect(await store.mailboxes.create(account.id, 'inbox/x', '\\Junk')).toMatchObject({
          name: 'INBOX/x',
          specialUse: '\\Junk',
        });
      });

      it.each([
        ['Inbox', 'mailbox-exists'],
        ['Sent', 'mailbox-exists'],
        ['', 'bad-mailbox-name'],
        ['/', 'bad-mailbox-name'],
        ['a//', 'bad-mailbox-name'],
        ['a//b', 'bad-mailbox-name'],
        ['a*', 'bad-mailbox-name'],
      ] as const)('named %j are refused: %s', async (name, code) => {
        expect(await codeOf(store.mailboxes.create(account.id, name))).toBe(code);
      });

      it('are not made for views, nor for nobody', async () => {
        const view = store.mailboxes.create(account.id, 'All', '\\All');
        expect(await codeOf(view)).toBe('bad-mailbox-name');
        expect(await codeOf(store.mailboxes.create(999_999, 'A'))).toBe('no-such-account');
        expect(await store.mailboxes.find(account.id, 'All')).toBeUndefined();
        expect(await store.mailboxes.find(account.id, 'a//b')).toBeUndefined();
        expect(await codeOf(store.mailboxes.status(999_999))).toBe('no-such-mailbox');
      });

      it('go at once, keep their inferiors, and return with a greater UIDVALIDITY', async () => {
        const first = await store.mailboxes.create(account.id, 'A');
        await store.mailboxes.create(account.id, 'A/B');
        await append(first, 2);
        await store.mailboxes.delete(first.id);
        expect(await store.mailboxes.find(account.id, 'A')).toBeUndefined();
        expect(await store.mailboxes.find(account.id, 'A/B')).toBeDefined();
        expect(await codeOf(store.mailboxes.delete(first.id))).toBe('no-such-mailbox');
        expect(await codeOf(store.messages.list(first.id))).toBe('no-such-mailbox');
        expect(await codeOf(store.messages.read(first.id, 1))).toBe('no-such-mailbox');
        const second = await store.mailboxes.create(account.id, 'A');
        expect(second.uidValidity).toBeGreaterThan(first.uidValidity);
        expect((await store.mailboxes.status(second.id)).messages).toBe(0);
        expect(await codeOf(store.mailboxes.delete(inbox.id))).toBe('mailbox-not-deletable');
      });

      it('are renamed with their inferiors, and stay what they are', async () => {
        const parent = await store.mailboxes.create(account.id, 'A');
        const child = await store.mailboxes.create(account.id, 'A/B');
        await store.mailboxes.create(account.id, 'AB');
        await append(child, 1);
        await store.mailboxes.rename(account.id, 'A', 'X/Y');
        expect(await mailboxOf(account, 'X/Y')).toEqual({ ...parent, name: 'X/Y' });
        expect(await mailboxOf(account, 'X/Y/B')).toEqual({ ...child, name: 'X/Y/B' });
        expect(await store.mailboxes.find(account.id, 'X')).toBeDefined();
        expect(await store.mailboxes.find(account.id, 'AB')).toBeDefined();
        expect(await store.mailboxes.find(account.id, 'A')).toBeUndefined();
        expect((await store.mailboxes.status(child.id)).messages).toBe(1);
        // the superior is free once it is gone itself
        await store.mailboxes.delete(parent.id);
        await store.mailboxes.rename(account.id, 'X/Y/B', 'X/Y');
        expect((await mailboxOf(account, 'X/Y')).id).toBe(child.id);
      });

      it('are renamed by a superior name that has no mailbox', async () => {
        const parent = await store.mailboxes.create(account.id, 'A');
        const child = await store.mailboxes.create(account.id, 'A/B');
        await store.mailboxes.delete(parent.id);
        await store.mailboxes.rename(account.id, 'A', 'X');
        expect(await mailboxOf(account, 'X/B')).toEqual({ ...child, name: 'X/B' });
        expect(await store.mailboxes.find(account.id, 'X')).toBeUndefined();
        expect(await codeOf(store.mailboxes.rename(account.id, 'A', 'Y'))).toBe('no-such-mailbox');
      });

      it('are renamed to free and good names alone', async () => {
        await store.mailboxes.create(account.id, 'A/B');
        await store.mailboxes.create(account.id, 'C/B');
        await store.mailboxes.delete((await mailboxOf(account, 'C')).id);
        const rename = (from: string, to: string) =>
          codeOf(store.mailboxes.rename(account.id, from, to));
        expect(await rename('none', 'D')).toBe('no-such-mailbox');
        expect(await rename('A', 'inbox')).toBe('mailbox-exists');
        expect(await rename('A', 'A')).toBe('mailbox-exists');
        expect(await rename('A', 'C')).toBe('mailbox-exists');
        expect(await rename('A', 'A/D')).toBe('bad-mailbox-name');
        expect(await rename('A', 'a%')).toBe('bad-mailbox-name');
        expect(await rename('A', 'x'.repeat(999))).toBe('bad-mailbox-name');
        expect(await codeOf(store.mailboxes.rename(999_999, 'A', 'D'))).toBe('no-such-account');
        // nothing of it was done
        const names = (await store.mailboxes.list(account.id)).map(({ name }) => name);
        expect(names.filter((name) => /^[A-Z](\/|$)/.test(name))).toEqual(['A', 'A/B', 'C/B']);
      });

      it('leave INBOX behind, empty, when it is renamed', async () => {
        await store.mailboxes.create(account.id, 'INBOX/x');
        const before = (await store.messages.list(inbox.id)).highestModSeq;
        await append(inbox, 3, ['\\Seen']);
        await store.mailboxes.rename(account.id, 'inbox', 'Old/Mail');
        expect((await store.mailboxes.status(inbox.id)).messages).toBe(0);
        expect((await store.messages.changesSince(inbox.id, before)).expunged).toEqual([1, 2, 3]);
        const old = await mailboxOf(account, 'Old/Mail');
        expect(await store.mailboxes.status(old.id)).toMatchObject({ messages: 3, unseen: 0 });
        expect(await store.mailboxes.find(account.id, 'INBOX/x')).toBeDefined();
      });

      it('are subscribed by name, whether there is one or not', async () => {
        await store.mailboxes.subscribe(account.id, 'Later', true);
        await store.mailboxes.subscribe(account.id, 'Later', true);
        await store.mailboxes.subscribe(account.id, 'Trash', false);
        await store.mailboxes.subscribe(account.id, 'Never', false);
        expect(await store.mailboxes.subscriptions(account.id)).toEqual([
          'INBOX',
          'Archive',
          'Drafts',
          'Junk',
          'Later',
          'Sent',
        ]);
        expect((await store.mailboxes.create(account.id, 'Later')).subscribed).toBe(true);
        expect((await mailboxOf(account, 'Trash')).subscribed).toBe(false);
        await store.mailboxes.delete((await mailboxOf(account, 'Later')).id);
        expect(await store.mailboxes.subscriptions(account.id)).toContain('Later');
        const bad = store.mailboxes.subscribe(account.id, '', true);
        expect(await codeOf(bad)).toBe('bad-mailbox-name');
        const nobody = store.mailboxes.subscribe(999_999, 'A', true);
        expect(await codeOf(nobody)).toBe('no-such-account');
        expect(await codeOf(store.mailboxes.subscriptions(999_999))).toBe('no-such-account');
      });
    });

    describe('messages', () => {
      it('come in with what is known of them', async () => {
        const internalDate = new Date('2026-01-02T03:04:05.000Z');
        const [first, second] = await store.messages.append(inbox.id, [
          { raw: RAW, flags: ['\\seen', 'Work'], internalDate },
          { raw: Buffer.alloc(0), flags: ['\\Deleted'] },
        ]);
        expect([first?.uid, second?.uid]).toEqual([1, 2]);
        expect(first?.uidValidity).toBe(inbox.uidValidity);
        const { messages, highestModSeq } = await store.messages.list(inbox.id);
        expect(messages[0]).toEqual({
          uid: 1,
          flags: ['\\Seen', 'Work'],
          modSeq: highestModSeq,
          size: RAW.length,
          endsInCrlf: true,
          internalDate,
          savedAt: expect.any(Number),
          emailId: expect.stringMatching(/^M[A-Za-z0-9_-]{22}$/),
        });
        expect(Math.abs(Date.now() - (messages[0]?.savedAt ?? 0))).toBeLessThan(60_000);
        expect(messages[1]?.emailId).not.toBe(messages[0]?.emailId);
        expect(await store.mailboxes.status(inbox.id)).toEqual({
          messages: 2,
          unseen: 1,
          deleted: 1,
          uidNext: 3,
          uidValidity: inbox.uidValidity,
          highestModSeq,
          size: RAW.length,
        });
        expect(await store.messages.read(inbox.id, 1)).toEqual(RAW);
        expect(await store.messages.read(inbox.id, 2)).toEqual(Buffer.alloc(0));
        expect(await store.messages.append(inbox.id, [])).toEqual([]);
      });

      it.each([
        ['a\r\n', true],
        ['', true],
        ['a', false],
        ['a\n', false],
        ['a\r', false],
        ['\n', false],
        [`${'x'.repeat(256 * 1024 - 1)}\r\n`, true],
      ])('are known to end in CRLF or not, however they are cut: %#', async (text, endsInCrlf) => {
        await store.messages.append(inbox.id, [{ raw: Buffer.from(text) }]);
        const { messages } = await store.messages.list(inbox.id);
        expect(messages[0]?.endsInCrlf).toBe(endsInCrlf);
      });

      it('are appended all or none', async () => {
        const bad = [{ raw: RAW }, { raw: RAW, flags: ['not a keyword'] }];
        expect(await codeOf(store.messages.append(inbox.id, bad))).toBe('bad-flag');
        expect((await store.messages.list(inbox.id)).messages).toEqual([]);
        const nowhere = store.messages.append(999_999, [{ raw: RAW }]);
        expect(await codeOf(nowhere)).toBe('no-such-mailbox');
      });

      it('keep the octets they came with, though the caller goes on with the memory', async () => {
        const raw = Buffer.from(RAW);
        const appended = store.messages.append(inbox.id, [{ raw }]);
        raw.fill(0);
        await appended;
        expect(await store.messages.read(inbox.id, 1)).toEqual(RAW);
      });

      it('may come in pieces', async () => {
        const pieces = [RAW.subarray(0, 10), Buffer.alloc(0), RAW.subarray(10)];
        await store.messages.append(inbox.id, [{ raw: pieces }]);
        await store.messages.deliver([account.id], { raw: pieces });
        expect(await store.messages.read(inbox.id, 1)).toEqual(RAW);
        expect(await store.messages.read(inbox.id, 2)).toEqual(RAW);
        const { messages } = await store.messages.list(inbox.id);
        expect(messages.map(({ size }) => size)).toEqual([RAW.length, RAW.length]);
      });

      it('are refused when they are larger than the store takes', async () => {
        const raw = new Uint8Array(256 * 1024 * 1024 + 1);
        expect(await codeOf(store.messages.deliver([account.id], { raw }))).toBe('too-large');
        expect(await codeOf(store.messages.append(inbox.id, [{ raw }]))).toBe('too-large');
        const pieces = [raw.subarray(1), raw.subarray(0, 1)];
        expect(await codeOf(store.messages.append(inbox.id, [{ raw: pieces }]))).toBe('too-large');
      });

      it('are delivered to all or nobody, once to each', async () => {
        const other = await addAccount();
        const otherInbox = await mailboxOf(other, 'INBOX');
        await store.messages.deliver([account.id, other.id, account.id], { raw: RAW });
        const [mine] = (await store.messages.list(inbox.id)).messages;
        const theirs = (await store.messages.list(otherInbox.id)).messages;
        expect(theirs).toHaveLength(1);
        expect(theirs[0]?.emailId).toBe(mine?.emailId);
        const half = store.messages.deliver([account.id, 999_999], { raw: RAW });
        expect(await codeOf(half)).toBe('no-such-account');
        expect((await store.mailboxes.status(inbox.id)).messages).toBe(1);
        await store.messages.deliver([], { raw: RAW });
      });

      it('are read in part, as a slice of the whole', async () => {
        const raw = Buffer.alloc(700_000, 'From: a@x.test\r\n\r\n0123456789abcdef\r\n');
        await store.messages.append(inbox.id, [{ raw }]);
        expect((await store.messages.read(inbox.id, 1)).equals(raw)).toBe(true);
        const offset = fc.oneof(
          fc.nat(800_000),
          fc.constantFrom(0, 262_143, 262_144, 262_145, 524_288, 699_999, 700_000),
        );
        await fc.assert(
          fc.asyncProperty(offset, offset, async (start, end) => {
            const read = await store.messages.read(inbox.id, 1, start, end);
            expect(read.equals(raw.subarray(start, Math.max(start, end)))).toBe(true);
          }),
        );
        expect(await codeOf(store.messages.read(inbox.id, 2))).toBe('no-such-message');
        expect(await codeOf(store.messages.read(999_999, 1))).toBe('no-such-mailbox');
      });

      it('have a structure, in the order it is asked for', async () => {
        const uids = await append(inbox, 3);
        await store.messages.expunge(inbox.id, [2]);
        const structures = await store.messages.structures(inbox.id, [...uids, 77]);
        expect([...structures.keys()]).toEqual([1, 3]);
        expect(structures.get(1)).toMatchObject({ size: RAW.length, root: { kind: 'leaf' } });
        expect(await codeOf(store.messages.structures(999_999, [1]))).toBe('no-such-mailbox');
      });

      it('change their flags, and their sequence only with them', async () => {
        await append(inbox, 3, ['Work']);
        const { highestModSeq: previousModSeq } = await store.messages.list(inbox.id);
        const changed = await store.messages.changeFlags(inbox.id, [3, 1, 9, 1], 'add', [
          '\\Seen',
          'work',
        ]);
        expect(uidsOf(changed)).toEqual([1, 3]);
        const since = await store.messages.changesSince(inbox.id, previousModSeq);
        const { highestModSeq: modSeq } = since;
        expect(modSeq).toBeGreaterThan(previousModSeq);
        const flags = ['\\Seen', 'Work'];
        expect(changed).toEqual([1, 3].map((uid) => ({ uid, flags, modSeq, previousModSeq })));
        expect(since.changed).toMatchObject([1, 3].map((uid) => ({ uid, flags, modSeq })));
        expect(since.expunged).toEqual([]);
        const without = await store.messages.changesSince(inbox.id, previousModSeq, [modSeq]);
        expect(without).toEqual({ changed: [], expunged: [], highestModSeq: modSeq });
        const again = await store.messages.changeFlags(inbox.id, [1, 3], 'add', ['\\Seen']);
        expect(again).toEqual(changed.map((one) => ({ ...one, previousModSeq: modSeq })));
        expect((await store.mailboxes.status(inbox.id)).highestModSeq).toBe(since.highestModSeq);
        const change = (uids: Uid[], flags: string[]) =>
          store.messages.changeFlags(inbox.id, uids, 'replace', flags);
        expect(await change([], ['\\Seen'])).toEqual([]);
        expect(await codeOf(change([1], ['\\Nonsense']))).toBe('bad-flag');
        const nowhere = store.messages.changeFlags(999_999, [1], 'add', []);
        expect(await codeOf(nowhere)).toBe('no-such-mailbox');
      });

      it('leave a trace when they are expunged', async () => {
        await append(inbox, 4, ['\\Deleted']);
        const { highestModSeq } = await store.messages.list(inbox.id);
        expect(await store.messages.expunge(inbox.id, [4, 2, 2, 9])).toEqual([2, 4]);
        expect(await store.messages.expunge(inbox.id, [2])).toEqual([]);
        const changes = await store.messages.changesSince(inbox.id, highestModSeq);
        expect(changes.expunged).toEqual([2, 4]);
        expect(changes.changed).toEqual([]);
        expect(changes.highestModSeq).toBeGreaterThan(highestModSeq);
        const between = (after: ModSeq, upTo: ModSeq) =>
          store.messages.expungedBetween(inbox.id, after, upTo);
        expect(await between(highestModSeq, changes.highestModSeq)).toEqual([
          { first: 2, last: 2 },
          { first: 4, last: 4 },
        ]);
        expect(await between(0, highestModSeq)).toEqual([]);
        const later = await store.messages.changesSince(inbox.id, changes.highestModSeq);
        expect(later).toEqual({ changed: [], expunged: [], highestModSeq: changes.highestModSeq });
        expect(await store.mailboxes.status(inbox.id)).toMatchObject({ messages: 2, deleted: 2 });
        // a UID never comes back (RFC 9051 §2.3.1.1)
        expect(await append(inbox, 1)).toEqual([5]);
        expect(await codeOf(store.messages.expunge(999_999, [1]))).toBe('no-such-mailbox');
        expect(await codeOf(store.messages.changesSince(999_999, 1))).toBe('no-such-mailbox');
        expect(await codeOf(store.messages.expungedBetween(999_999, 0, 1))).toBe('no-such-mailbox');
      });

      it('can be read to their end though somebody expunges or moves them meanwhile', async () => {
        const other = await database.open();
        await append(inbox, 2);
        expect(await store.messages.read(inbox.id, 1, 0, 10)).toEqual(RAW.subarray(0, 10));
        await other.messages.expunge(inbox.id, [1]);
        await other.messages.move(inbox.id, [2], (await mailboxOf(account, 'Trash')).id);
        // removing an account waits for all sweeping
        await other.accounts.remove((await addAccount()).id);
        expect(await store.messages.read(inbox.id, 1, 10)).toEqual(RAW.subarray(10));
        expect(await store.messages.read(inbox.id, 2)).toEqual(RAW);
        expect((await store.messages.list(inbox.id)).messages).toEqual([]);
        await other.close();
      });

      it('stay when somebody has undeleted them, where only deleted ones are to go', async () => {
        const other = await database.open();
        await append(inbox, 3, ['\\Deleted']);
        await append(inbox, 1);
        await other.messages.changeFlags(inbox.id, [2], 'remove', ['\\Deleted']);
        const gone = await store.messages.expunge(inbox.id, [1, 2, 3, 4], { onlyDeleted: true });
        expect(gone).toEqual([1, 3]);
        expect(uidsOf((await store.messages.list(inbox.id)).messages)).toEqual([2, 4]);
        await other.close();
      });

      it('are replaced in one step, by one in any mailbox', async () => {
        await append(inbox, 2, ['\\Draft']);
        const sent = await mailboxOf(account, 'Sent');
        const { emailId } = (await store.messages.list(inbox.id)).messages[0] ?? {};
        const message = { raw: Buffer.from('Subject: two\r\n\r\n'), flags: ['\\Seen'] };
        expect(await store.messages.replace(inbox.id, 1, inbox.id, message)).toEqual({
          uid: 3,
          uidValidity: inbox.uidValidity,
        });
        const { messages, highestModSeq } = await store.messages.list(inbox.id);
        expect(messages.map(({ uid, flags }) => [uid, flags])).toEqual([
          [2, ['\\Draft']],
          [3, ['\\Seen']],
        ]);
        expect(messages[1]?.emailId).not.toBe(emailId);
        const { uid } = await store.messages.replace(inbox.id, 2, sent.id, message);
        expect(await store.messages.read(sent.id, uid)).toEqual(message.raw);
        expect(await store.messages.changesSince(inbox.id, highestModSeq)).toMatchObject({
          changed: [],
          expunged: [2],
        });
        const counts = async (mailbox: Mailbox) => {
          const { messages, unseen, size } = await store.mailboxes.status(mailbox.id);
          return { messages, unseen, size };
        };
        expect(await counts(inbox)).toEqual({ messages: 1, unseen: 0, size: message.raw.length });
        expect(await counts(sent)).toEqual({ messages: 1, unseen: 0, size: message.raw.length });
        // what is gone is not replaced, and then nothing is appended
        const again = store.messages.replace(inbox.id, 2, sent.id, message);
        expect(await codeOf(again)).toBe('no-such-message');
        expect((await counts(sent)).messages).toBe(1);
        const nowhere = store.messages.replace(inbox.id, 3, 999_999, message);
        expect(await codeOf(nowhere)).toBe('no-such-mailbox');
        expect((await counts(inbox)).messages).toBe(1);
      });

      it('are copied with flags, date and identity', async () => {
        const internalDate = new Date('2020-02-02T00:00:00.000Z');
        await store.messages.append(inbox.id, [{ raw: RAW, flags: ['\\Flagged'], internalDate }]);
        await append(inbox, 1);
        const archive = await mailboxOf(account, 'Archive');
        await append(archive, 4);
        expect(await store.messages.copy(inbox.id, [2, 1, 7], archive.id)).toEqual({
          from: [1, 2],
          to: [5, 6],
          uidValidity: archive.uidValidity,
        });
        const [original] = (await store.messages.list(inbox.id)).messages;
        const copy = (await store.messages.list(archive.id)).messages.at(-2);
        expect(copy).toEqual({ ...original, uid: 5, modSeq: copy?.modSeq, savedAt: copy?.savedAt });
        expect(copy?.savedAt).toBeGreaterThanOrEqual(original?.savedAt ?? Number.NaN);
        await store.messages.expunge(inbox.id, [1]);
        expect(await store.messages.read(archive.id, 5)).toEqual(RAW);
        const nothing = await store.messages.copy(inbox.id, [1], archive.id);
        expect(nothing).toEqual({ from: [], to: [], uidValidity: archive.uidValidity });
        const copyTo = store.messages.copy(inbox.id, [2], 999_999);
        expect(await codeOf(copyTo)).toBe('no-such-mailbox');
        const copyFrom = store.messages.copy(999_999, [2], inbox.id);
        expect(await codeOf(copyFrom)).toBe('no-such-mailbox');
      });

      it('are moved in one step', async () => {
        await append(inbox, 3);
        const trash = await mailboxOf(account, 'Trash');
        const { messages, highestModSeq } = await store.messages.list(inbox.id);
        expect(await store.messages.move(inbox.id, [1, 3], trash.id)).toEqual({
          from: [1, 3],
          to: [1, 2],
          uidValidity: trash.uidValidity,
        });
        expect(uidsOf((await store.messages.list(inbox.id)).messages)).toEqual([2]);
        const moved = (await store.messages.list(trash.id)).messages;
        expect(moved[0]?.emailId).toBe(messages[0]?.emailId);
        const changes = await store.messages.changesSince(inbox.id, highestModSeq);
        expect(changes.expunged).toEqual([1, 3]);
        const within = await store.messages.move(trash.id, [1], trash.id);
        expect(within).toMatchObject({ from: [1], to: [3] });
        expect(uidsOf((await store.messages.list(trash.id)).messages)).toEqual([2, 3]);
        const moveTo = store.messages.move(inbox.id, [2], 999_999);
        expect(await codeOf(moveTo)).toBe('no-such-mailbox');
        expect(uidsOf((await store.messages.list(inbox.id)).messages)).toEqual([2]);
      });

      it('are handled by the thousand', async () => {
        const uids = await append(inbox, 1_500);
        expect(uids).toEqual(uids.map((_, index) => index + 1));
        const archive = await mailboxOf(account, 'Archive');
        const flagged = await store.messages.changeFlags(inbox.id, uids, 'add', ['\\Seen']);
        expect(uidsOf(flagged)).toEqual(uids);
        const { to } = await store.messages.move(inbox.id, uids, archive.id);
        expect(to).toEqual(uids);
        expect(await store.messages.expunge(archive.id, uids.slice(1))).toEqual(uids.slice(1));
        expect((await store.messages.structures(archive.id, uids)).size).toBe(1);
        expect(await store.mailboxes.status(archive.id)).toMatchObject({ messages: 1, unseen: 0 });
      });
    });

    describe('maildrop locks', () => {
      it('are held by one session at a time, over all stores', async () => {
        const other = await database.open();
        const lock = await store.lockMaildrop(account.id);
        expect(await codeOf(store.lockMaildrop(account.id))).toBe('maildrop-locked');
        expect(await codeOf(other.lockMaildrop(account.id))).toBe('maildrop-locked');
        const another = await addAccount();
        await (await other.lockMaildrop(another.id)).release();
        await lock.release();
        await lock.release();
        const next = await other.lockMaildrop(account.id);
        expect(await codeOf(store.lockMaildrop(account.id))).toBe('maildrop-locked');
        // a store that closes lets go of what it holds
        await other.close();
        await (await store.lockMaildrop(account.id)).release();
        await next.release();
        expect(await codeOf(store.lockMaildrop(999_999))).toBe('no-such-account');
      });
    });

    describe('watching', () => {
      const called = () => {
        const { promise, resolve } = Promise.withResolvers<void>();
        return { promise, callback: () => resolve() };
      };

      it('calls on every change of that mailbox, by whichever store', async () => {
        const other = await database.open();
        for (const through of [store, other]) {
          const owner = await addAccount();
          const { id } = await mailboxOf(owner, 'INBOX');
          const archive = await mailboxOf(owner, 'Archive');
          const { messages } = through;
          const changes: (() => Promise<unknown>)[] = [
            () => messages.append(id, [{ raw: RAW }]),
            () => messages.deliver([owner.id], { raw: RAW }),
            () => messages.changeFlags(id, [1], 'add', ['x']),
            () => messages.expunge(id, [1]),
            () => messages.copy(id, [2], id),
            () => messages.replace(id, 2, id, { raw: RAW }),
            () => messages.move(id, [3], archive.id),
            () => through.mailboxes.rename(owner.id, 'INBOX', 'Old'),
          ];
          for (const change of changes) {
            const { promise, callback } = called();
            const stop = store.watch(id, callback);
            await store.messages.list(id);
            await change();
            await promise;
            stop();
          }
        }
        await other.close();
      });

      it('says that a mailbox is gone', async () => {
        const mailbox = await store.mailboxes.create(account.id, 'A');
        const { promise, callback } = called();
        const stop = store.watch(mailbox.id, callback);
        await store.mailboxes.delete(mailbox.id);
        await promise;
        stop();
      });

      it('calls all who watch, though one of them fails, and nobody who stopped', async () => {
        const first = called();
        const second = called();
        let stopped = 0;
        const stops = [
          store.watch(inbox.id, () => {
            throw new Error('a watcher fails');
          }),
          store.watch(inbox.id, first.callback),
          store.watch(inbox.id, second.callback),
        ];
        store.watch(inbox.id, () => {
          stopped += 1;
        })();
        await append(inbox, 1);
        await Promise.all([first.promise, second.promise]);
        for (const stop of stops) stop();
        expect(stopped).toBe(0);
      });
    });

    it('closes once, and then refuses everything', async () => {
      const other = await database.open();
      const written = other.messages.append(inbox.id, [{ raw: RAW }]);
      await Promise.all([other.close(), other.close()]);
      expect((await written)[0]?.uid).toBe(1);
      expect(await codeOf(other.accounts.list())).toBe('closed');
      expect(await codeOf(other.messages.append(inbox.id, [{ raw: RAW }]))).toBe('closed');
      expect(await codeOf(other.lockMaildrop(account.id))).toBe('closed');
      expect(await store.messages.read(inbox.id, 1)).toEqual(RAW);
    });

    it('does what a model in memory does, whatever the order', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(operation, { minLength: 1, maxLength: 24 }),
          async (operations) => {
            const owner = await addAccount();
            const replay = new Replay(store, owner, new StoreModel());
            for (const step of operations) await replay.step(step);
            await replay.compareAll();
          },
        ),
        { numRuns: 40, interruptAfterTimeLimit: 20_000 },
      );
    }, 30_000);
  });
}

const NAMES = ['INBOX', 'Sent', 'A', 'A/B', 'C'];
const FLAGS = ['\\Seen', '\\Deleted', '\\Flagged', 'k1', 'k2'];

const flagList = fc.uniqueArray(fc.constantFrom(...FLAGS), { maxLength: 3 });
const place = fc.nat(NAMES.length - 1);
const uidList = fc.array(fc.integer({ min: 1, max: 8 }), { maxLength: 5 });

const operation = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      at: place,
      flags: flagList,
      count: fc.integer({ min: 1, max: 3 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('deliver' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('flags' as const),
      at: place,
      uids: uidList,
      change: fc.constantFrom('add' as const, 'remove' as const, 'replace' as const),
      flags: flagList,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('expunge' as const), at: place, uids: uidList }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('copy' as const),
      at: place,
      uids: uidList,
      to: place,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('move' as const),
      at: place,
      uids: uidList,
      to: place,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('replace' as const),
      at: place,
      uid: fc.integer({ min: 1, max: 8 }),
      to: place,
      flags: flagList,
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('create' as const), at: place }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('delete' as const), at: place }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('rename' as const), at: place, to: place }),
  },
);
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

/** Does the same to a store and to its model, and compares them. */
class Replay {
  readonly #store: MailStore;
  readonly #owner: Account;
  readonly #model: StoreModel;
  #messages = 0;
  /** The store's EMAILID for each content of the model. */
  readonly #emailIds = new Map<number, string>();

  constructor(store: MailStore, owner: Account, model: StoreModel) {
    this.#store = store;
    this.#owner = owner;
    this.#model = model;
    for (const name of ['INBOX', 'Archive', 'Drafts', 'Junk', 'Sent', 'Trash']) model.create(name);
  }

  async step(step: Operation): Promise<void> {
    const { mailboxes, messages } = this.#store;
    const model = this.#model;
    if (step.kind === 'deliver') {
      const raw = this.#newRaw();
      await messages.deliver([this.#owner.id], { raw: Buffer.from(raw) });
      model.append('INBOX', raw, []);
      return this.#compare('INBOX');
    }
    const name = NAMES[step.at] ?? '';
    const mailbox = await mailboxes.find(this.#owner.id, name);
    expect(mailbox !== undefined).toBe(model.mailboxes.has(name));
    if (step.kind === 'create') {
      const code = await codeOf(mailboxes.create(this.#owner.id, name));
      expect(code).toBe(mailbox === undefined ? undefined : 'mailbox-exists');
      return model.create(name);
    }
    if (mailbox === undefined) return;
    switch (step.kind) {
      case 'append': {
        const raws = Array.from({ length: step.count }, () => this.#newRaw());
        const appended = await messages.append(
          mailbox.id,
          raws.map((raw) => ({ raw: Buffer.from(raw), flags: step.flags })),
        );
        const expected = raws.map((raw) => model.append(name, raw, step.flags));
        expect(appended.map(({ uid }) => uid)).toEqual(expected);
        break;
      }
      case 'flags': {
        await messages.changeFlags(mailbox.id, step.uids, step.change, step.flags);
        model.changeFlags(name, step.uids, step.change, step.flags);
        break;
      }
      case 'expunge':
        await messages.expunge(mailbox.id, step.uids);
        model.expunge(name, step.uids);
        break;
      case 'copy':
      case 'move': {
        const to = NAMES[step.to] ?? '';
        const target = await mailboxes.find(this.#owner.id, to);
        if (target === undefined) return;
        const done = await messages[step.kind](mailbox.id, step.uids, target.id);
        expect(done).toMatchObject(model[step.kind](name, step.uids, to));
        await this.#compare(to);
        break;
      }
      case 'replace': {
        const to = NAMES[step.to] ?? '';
        const target = await mailboxes.find(this.#owner.id, to);
        if (target === undefined) return;
        const raw = this.#newRaw();
        const { uid, flags } = step;
        const message = { raw: Buffer.from(raw), flags };
        const done = messages.replace(mailbox.id, uid, target.id, message);
        if (model.mailbox(name).messages.has(uid)) {
          expect((await done).uid).toBe(model.append(to, raw, flags));
          model.expunge(name, [uid]);
        } else {
          expect(await codeOf(done)).toBe('no-such-message');
        }
        await this.#compare(to);
        break;
      }
      case 'delete': {
        const code = await codeOf(mailboxes.delete(mailbox.id));
        expect(code).toBe(name === 'INBOX' ? 'mailbox-not-deletable' : undefined);
        if (code === undefined) model.mailboxes.delete(name);
        return;
      }
      case 'rename': {
        const to = NAMES[step.to] ?? '';
        const code = await codeOf(mailboxes.rename(this.#owner.id, name, to));
        if (code === undefined) {
          model.rename(name, to);
          await this.#compare(to);
        }
        if (!model.mailboxes.has(name)) return;
        break;
      }
    }
    await this.#compare(name);
  }

  async compareAll(): Promise<void> {
    const listed = await this.#store.mailboxes.list(this.#owner.id);
    expect(new Set(listed.map(({ name }) => name))).toEqual(new Set(this.#model.mailboxes.keys()));
    for (const { name } of listed) {
      await this.#compare(name);
      await this.#compareContents(name);
    }
  }

  #newRaw(): string {
    this.#messages += 1;
    return `Subject: ${this.#messages}\r\n\r\n${'x'.repeat(this.#messages)}\r\n`;
  }

  async #compare(name: string): Promise<void> {
    const model = this.#model.mailbox(name);
    const mailbox = await this.#store.mailboxes.find(this.#owner.id, name);
    if (mailbox === undefined) throw new Error(`the store has no ${name}`);
    const { messages, highestModSeq } = await this.#store.messages.list(mailbox.id);
    const expected = [...model.messages].sort(([a], [b]) => a - b);
    expect(messages.map(({ uid, flags, size }) => [uid, new Set(flags), size])).toEqual(
      expected.map(([uid, { flags, raw }]) => [uid, flags, raw.length]),
    );
    const count = (flag: string) => expected.filter(([, { flags }]) => flags.has(flag)).length;
    expect(await this.#store.mailboxes.status(mailbox.id)).toEqual({
      messages: expected.length,
      unseen: expected.length - count('\\Seen'),
      deleted: count('\\Deleted'),
      uidNext: model.uidNext,
      uidValidity: mailbox.uidValidity,
      highestModSeq,
      size: expected.reduce((sum, [, { raw }]) => sum + raw.length, 0),
    });
    for (const [index, [, { content }]] of expected.entries()) {
      const emailId = messages[index]?.emailId ?? '';
      const known = this.#emailIds.get(content) ?? emailId;
      expect(emailId).toBe(known);
      this.#emailIds.set(content, known);
    }
    expect(new Set(this.#emailIds.values()).size).toBe(this.#emailIds.size);
    await this.#compareOpened(mailbox, messages, highestModSeq);
    await this.#compareChanges(model, mailbox, messages, highestModSeq);
  }

  /** What a session begins with says what the rows say. */
  async #compareOpened(
    mailbox: Mailbox,
    listed: readonly ListedMessage[],
    highestModSeq: number,
  ): Promise<void> {
    const { messages } = this.#store;
    const opened = await messages.open(mailbox.id);
    const uids = uidsOf(listed);
    const without = (flag: string) => listed.filter(({ flags }) => !flags.includes(flag));
    expect(opened.uids.slice(0, opened.uids.size)).toEqual(uids);
    expect(opened.highestModSeq).toBe(highestModSeq);
    expect(opened.firstUnseen).toBe(without('\\Seen')[0]?.uid);
    const keywords = listed.flatMap(({ flags }) => flags.filter((flag) => !flag.startsWith('\\')));
    expect(opened.keywords).toEqual(expect.arrayContaining(keywords));
    expect(await messages.marked(mailbox.id, 'unseen')).toEqual(uidsOf(without('\\Seen')));
    const deleted = listed.filter(({ flags }) => flags.includes('\\Deleted'));
    expect(await messages.marked(mailbox.id, 'deleted')).toEqual(uidsOf(deleted));
    const summaries = listed.map(({ emailId: _, endsInCrlf: __, ...summary }) => summary);
    expect(await messages.summaries(mailbox.id, uids)).toEqual(summaries);
    const flags = listed.map(({ flags }) => flags);
    expect(await messages.flags(mailbox.id, uids)).toEqual(flags);
    expect(await messages.flags(mailbox.id, [opened.uidNext])).toEqual([undefined]);
    const envelopes = await messages.rendered(mailbox.id, [...uids, opened.uidNext], 'envelope');
    expect(envelopes).toEqual([...uids.map(() => expect.stringMatching(/^\(.*\)$/)), undefined]);
    const emailIds = new Map(listed.map(({ uid, emailId }) => [uid, emailId]));
    expect(await messages.emailIds(mailbox.id, uids)).toEqual(emailIds);
  }

  /** Who was disconnected at any earlier state and takes the changes has the present one. */
  async #compareChanges(
    model: ModelMailbox,
    mailbox: Mailbox,
    messages: readonly MessageSummary[],
    highestModSeq: number,
  ): Promise<void> {
    const now = new Map(messages.map(({ uid, flags }) => [uid, new Set(flags)] as const));
    const same = model.seenAt.get(highestModSeq);
    if (same !== undefined) expect(now).toEqual(same);
    model.seenAt.set(highestModSeq, now);
    for (const [modSeq, then] of model.seenAt) {
      const changes = await this.#store.messages.changesSince(mailbox.id, modSeq);
      expect(changes.highestModSeq).toBe(highestModSeq);
      const resynced = new Map(then);
      for (const uid of changes.expunged) {
        expect(now.has(uid)).toBe(false);
        resynced.delete(uid);
      }
      for (const { uid, flags, modSeq: changedAt } of changes.changed) {
        expect(changedAt).toBeGreaterThan(modSeq);
        resynced.set(uid, new Set(flags));
      }
      expect(resynced).toEqual(now);
    }
  }

  async #compareContents(name: string): Promise<void> {
    const mailbox = await this.#store.mailboxes.find(this.#owner.id, name);
    if (mailbox === undefined) throw new Error(`the store has no ${name}`);
    for (const [uid, { raw }] of this.#model.mailbox(name).messages) {
      expect((await this.#store.messages.read(mailbox.id, uid)).toString()).toBe(raw);
    }
  }
}
