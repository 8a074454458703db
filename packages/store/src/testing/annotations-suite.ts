/** What annotations, and the watch over an account, must do on every engine. */
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  MAX_ANNOTATION_NAME_OCTETS,
  MAX_ANNOTATION_OCTETS,
  MAX_ANNOTATIONS,
} from '../annotations.ts';
import { StoreError, type StoreErrorCode } from '../errors.ts';
import type { Account, Mailbox, MailboxId, MailStore } from '../mail-store.ts';
import type { DatabaseUnderTest } from './database-under-test.ts';

const COMMENT = '/private/comment';
const USE = '/private/specialuse';

async function codeOf(promise: Promise<unknown>): Promise<StoreErrorCode | undefined> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    if (error instanceof StoreError) return error.code;
    throw error;
  }
}

export function annotationsSuite(engine: string, create: () => Promise<DatabaseUnderTest>): void {
  describe(`annotations on ${engine}`, () => {
    let database: DatabaseUnderTest;
    let store: MailStore;
    let account: Account;
    let work: Mailbox;
    let accounts = 0;

    beforeAll(async () => {
      database = await create();
      store = await database.open();
    });
    beforeEach(async () => {
      accounts += 1;
      account = await store.accounts.add(`user${accounts}@x.test`, 'hash');
      work = await store.mailboxes.create(account.id, 'Work');
    });
    afterAll(async () => {
      try {
        await store?.close();
        await database?.check();
      } finally {
        await database?.dispose();
      }
    });

    const set = (
      owner: MailboxId | undefined,
      ...values: [string, string | Buffer | undefined][]
    ) =>
      store.annotations.set(
        account.id,
        owner,
        values.map(([name, value]) => [name, value === undefined ? value : Buffer.from(value)]),
      );
    const read = async (owner: MailboxId | undefined): Promise<Record<string, string>> => {
      const summaries = await store.annotations.list(account.id, owner);
      const names = summaries.map(({ name }) => name);
      const values = await store.annotations.read(account.id, owner, names);
      for (const { name, size } of summaries) expect(values.get(name)?.length).toBe(size);
      return Object.fromEntries(
        names.map((name) => [name, Buffer.from(values.get(name) ?? []).toString('latin1')]),
      );
    };
    const inboxId = async (): Promise<MailboxId> =>
      (await store.mailboxes.find(account.id, 'INBOX'))?.id ?? 0;
    const changedSince = async (modSeq: number) =>
      (await store.overview(account.id, modSeq)).annotations.map(({ mailboxId, name }) => [
        mailboxId,
        name,
      ]);

    it('are kept of mailboxes and of the account, whatever octets they have', async () => {
      const octets = Buffer.from(Array.from({ length: 256 }, (_, octet) => octet));
      await set(work.id, [COMMENT, 'one'], ['/shared/vendor/x/y', octets], ['/shared/comment', '']);
      await set(undefined, [COMMENT, 'of the account']);
      expect(await read(work.id)).toEqual({
        [COMMENT]: 'one',
        '/shared/comment': '',
        '/shared/vendor/x/y': octets.toString('latin1'),
      });
      expect(await read(undefined)).toEqual({ [COMMENT]: 'of the account' });
      expect(await read(await inboxId())).toEqual({});
      await set(
        work.id,
        [COMMENT, 'two'],
        ['/shared/comment', undefined],
        ['/private/x', undefined],
      );
      expect(await read(work.id)).toEqual({
        [COMMENT]: 'two',
        '/shared/vendor/x/y': octets.toString('latin1'),
      });
      const values = await store.annotations.read(account.id, work.id, [COMMENT, '/private/x']);
      expect([...values.keys()]).toEqual([COMMENT]);
    });

    it.each([
      '',
      '/',
      'private/x',
      '/private',
      '/private/',
      '/other/x',
      '/private/x/',
      '/private//x',
      '/private/X',
      '/private/*',
      '/private/a%b',
      '/private/ä',
      '/private/\n',
      `/private/${'x'.repeat(MAX_ANNOTATION_NAME_OCTETS)}`,
    ])('have no such name: %j', async (name) => {
      expect(await codeOf(set(work.id, [name, 'x']))).toBe('bad-annotation');
    });

    it.each(['/private/a b', '/shared/(x)"\\', '/private/vendor/a/b/c/d'])(
      'may be named %j',
      async (name) => {
        await set(work.id, [name, 'x']);
        expect(await read(work.id)).toEqual({ [name]: 'x' });
      },
    );

    it('are changed all or none', async () => {
      const large = Buffer.alloc(MAX_ANNOTATION_OCTETS + 1);
      expect(await codeOf(set(work.id, [COMMENT, 'x'], ['/private/y', large]))).toBe(
        'annotation-too-large',
      );
      expect(await codeOf(set(work.id, [COMMENT, 'x'], [USE, '\\All']))).toBe('bad-special-use');
      expect(await read(work.id)).toEqual({});
      await set(work.id, ['/private/y', large.subarray(1)]);
      expect((await store.annotations.list(account.id, work.id))[0]?.size).toBe(
        MAX_ANNOTATION_OCTETS,
      );
    });

    it('are no more than there is room for', async () => {
      const many = Array.from({ length: MAX_ANNOTATIONS }, (_, index): [string, string] => [
        `/private/x/${index}`,
        'x',
      ]);
      await set(work.id, ...many);
      expect(await codeOf(set(work.id, [COMMENT, 'x']))).toBe('too-many-annotations');
      // in the place of another
      await set(work.id, [COMMENT, 'x'], ['/private/x/0', undefined]);
      await set(undefined, [COMMENT, 'x']);
      expect(Object.keys(await read(work.id))).toHaveLength(MAX_ANNOTATIONS);
    });

    it('are forgotten once enough others were removed', async () => {
      for (let round = 0; round < 3; round += 1) {
        const names = Array.from({ length: 60 }, (_, index) => `/private/${round}/${index}`);
        await set(work.id, ...names.map((name): [string, string] => [name, 'x']));
        await set(work.id, ...names.map((name): [string, undefined] => [name, undefined]));
      }
      const left = await changedSince(0);
      expect(left).toHaveLength(MAX_ANNOTATIONS);
      expect(left.filter(([, name]) => String(name).startsWith('/private/2/'))).toHaveLength(60);
    });

    it('stay through a renaming, and go with their mailbox', async () => {
      await set(work.id, [COMMENT, 'x']);
      await store.mailboxes.rename(account.id, 'Work', 'Play');
      expect(await read(work.id)).toEqual({ [COMMENT]: 'x' });
      await store.mailboxes.delete(work.id);
      expect(await codeOf(read(work.id))).toBe('no-such-mailbox');
      expect(await codeOf(set(work.id, [COMMENT, 'x']))).toBe('no-such-mailbox');
      const again = await store.mailboxes.create(account.id, 'Play');
      expect(await read(again.id)).toEqual({});
    });

    it('of INBOX are copied to what it is renamed to', async () => {
      await set(await inboxId(), [COMMENT, 'x'], ['/shared/comment', 'gone']);
      await set(await inboxId(), ['/shared/comment', undefined]);
      await store.mailboxes.rename(account.id, 'INBOX', 'Old');
      const old = await store.mailboxes.find(account.id, 'Old');
      expect(await read(await inboxId())).toEqual({ [COMMENT]: 'x' });
      expect(await read(old?.id)).toEqual({ [COMMENT]: 'x' });
    });

    it('are nobody else’s', async () => {
      await set(work.id, [COMMENT, 'x']);
      const other = await store.accounts.add(`other${accounts}@x.test`, 'hash');
      const { annotations } = store;
      expect(await codeOf(annotations.list(other.id, work.id))).toBe('no-such-mailbox');
      expect(await codeOf(annotations.read(other.id, work.id, [COMMENT]))).toBe('no-such-mailbox');
      expect(await codeOf(annotations.set(other.id, work.id, []))).toBe('no-such-mailbox');
      await store.accounts.remove(other.id);
      expect(await codeOf(annotations.list(other.id, undefined))).toBe('no-such-account');
      expect(await codeOf(annotations.set(other.id, undefined, []))).toBe('no-such-account');
    });

    it('have the use of a mailbox among them', async () => {
      const useOf = async (name: string) =>
        (await store.mailboxes.find(account.id, name))?.specialUse;
      const sent = await store.mailboxes.find(account.id, 'Sent');
      expect(await read(sent?.id)).toEqual({ [USE]: '\\Sent' });
      const { modSeq } = await store.overview(account.id);
      await set(work.id, [COMMENT, 'x'], [USE, '\\archive'], ['/shared/comment', 'y']);
      expect(await useOf('Work')).toBe('\\Archive');
      expect(await read(work.id)).toEqual({
        [COMMENT]: 'x',
        [USE]: '\\Archive',
        '/shared/comment': 'y',
      });
      await set(work.id, [USE, undefined]);
      expect(await useOf('Work')).toBeUndefined();
      expect(await changedSince(modSeq)).toContainEqual([work.id, USE]);
      const refused = [await inboxId(), work.id].map((id) =>
        codeOf(set(id, [USE, id === work.id ? '\\Sent \\Trash' : '\\Sent'])),
      );
      expect(await Promise.all(refused)).toEqual(['bad-special-use', 'bad-special-use']);
    });

    it('that have changed are told in order, those that are gone too', async () => {
      await set(work.id, [COMMENT, 'x']);
      const { modSeq } = await store.overview(account.id);
      expect(await changedSince(modSeq)).toEqual([]);
      const first = await set(undefined, ['/shared/comment', 'x']);
      const second = await set(work.id, [COMMENT, undefined], ['/private/a', 'x']);
      expect((await store.overview(account.id, modSeq)).annotations).toEqual([
        { mailboxId: undefined, name: '/shared/comment', modSeq: first },
        { mailboxId: work.id, name: '/private/a', modSeq: second },
        { mailboxId: work.id, name: COMMENT, modSeq: second },
      ]);
      expect((await store.overview(account.id)).annotations).toEqual([]);
      expect(await changedSince(second)).toEqual([]);
    });

    it('and all else of an account are seen at one glance', async () => {
      await store.messages.append(work.id, [{ raw: Buffer.from('a: b\r\n\r\n') }]);
      await store.mailboxes.subscribe(account.id, 'Nowhere', true);
      const { mailboxes, subscriptions } = await store.overview(account.id);
      for (const { status, ...mailbox } of mailboxes) {
        expect(mailbox).toEqual(await store.mailboxes.find(account.id, mailbox.name));
        expect(status).toEqual(await store.mailboxes.status(mailbox.id));
      }
      expect(mailboxes).toHaveLength(7);
      expect(subscriptions).toEqual(await store.mailboxes.subscriptions(account.id));
      await store.accounts.remove(account.id);
      expect(await codeOf(store.overview(account.id))).toBe('no-such-account');
    });

    it('of an account wake who watches it, whatever changes', async () => {
      const other = await store.accounts.add(`other${accounts}@x.test`, 'hash');
      const called = vi.fn();
      const stop = store.watchAccount(account.id, called);
      const inbox = await inboxId();
      const raw = Buffer.from('a: b\r\n\r\n');
      const changes: (() => Promise<unknown>)[] = [
        () => store.messages.deliver([account.id], { raw }),
        () => store.messages.changeFlags(inbox, [1], 'add', ['\\Seen']),
        () => store.messages.copy(inbox, [1], work.id),
        () => store.messages.expunge(inbox, [1]),
        () => store.mailboxes.create(account.id, 'New/er'),
        () => store.mailboxes.rename(account.id, 'New', 'Old'),
        () => store.mailboxes.delete(work.id),
        () => store.mailboxes.subscribe(account.id, 'Junk', false),
        () => set(inbox, [COMMENT, 'x']),
        () => store.accounts.remove(account.id),
      ];
      for (const change of changes) {
        called.mockClear();
        await store.messages.deliver([other.id], { raw });
        await change();
        await vi.waitFor(() => expect(called, String(change)).toHaveBeenCalled(), { interval: 2 });
      }
      stop();
    });

    it('wake nobody where nothing changes', async () => {
      await store.mailboxes.subscribe(account.id, 'Work', true);
      const { modSeq } = await store.overview(account.id);
      await store.mailboxes.subscribe(account.id, 'Work', true);
      await store.mailboxes.subscribe(account.id, 'Nowhere', false);
      expect((await store.overview(account.id)).modSeq).toBe(modSeq);
    });
  });
}
