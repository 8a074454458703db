/** What logins need of every engine: passwords of programs, and a memory that all processes share. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { MAX_APP_PASSWORDS } from '../app-passwords.ts';
import type { Account, LoginKey, MailStore } from '../mail-store.ts';
import type { DatabaseUnderTest } from './database-under-test.ts';

const HOUR_MS = 3_600_000;
const ALICE: LoginKey = { kind: 'account', key: 'alice' };
const ORIGIN: LoginKey = { kind: 'origin', key: '192.0.2.1' };

export function loginsSuite(engine: string, create: () => Promise<DatabaseUnderTest>): void {
  describe(`logins in ${engine}`, () => {
    let database: DatabaseUnderTest;
    let store: MailStore;
    let other: MailStore;
    let alice: Account;

    beforeAll(async () => {
      database = await create();
      store = await database.open();
      other = await database.open();
    });
    beforeEach(async () => {
      alice = await store.accounts.add('alice@x.test', 'hash', 'keys');
    });
    afterEach(async () => {
      await database.query('delete from login_records');
      for (const { id } of await store.accounts.list()) await store.accounts.remove(id);
    });
    afterAll(async () => {
      await Promise.all([store.close(), other.close()]);
      await database.dispose();
    });

    const refusalOf = (doing: Promise<unknown>) =>
      doing.then(
        () => undefined,
        (error) => error.code,
      );

    it('keep SCRAM keys with the password that they are of', async () => {
      const keys = async () => (await store.accounts.credentials('alice@x.test'))?.scramKeys;
      expect(await keys()).toBe('keys');
      await store.accounts.setPassword(alice.id, { passwordHash: 'other' });
      expect(await keys()).toBeUndefined();
      await store.accounts.renewPassword(alice.id, 'hash', { passwordHash: 'x', scramKeys: 'x' });
      expect(await keys()).toBeUndefined();
      const learned = { passwordHash: 'other', scramKeys: 'learned' };
      await store.accounts.renewPassword(alice.id, 'other', learned);
      expect(await keys()).toBe('learned');
    });

    it('have one secret for salts in all processes, for ever', async () => {
      const secret = await store.logins.saltSecret();
      expect(secret).toHaveLength(32);
      expect(await other.logins.saltSecret()).toEqual(secret);
    });

    it('find application passwords by account and hash', async () => {
      const expiresAt = new Date(2_000_000_000_000);
      const phone = await store.appPasswords.add(alice.id, {
        name: 'phone',
        hash: 'h1',
        expiresAt,
      });
      expect(phone).toMatchObject({ name: 'phone', expiresAt, lastUsedAt: undefined });
      await store.appPasswords.add(alice.id, { name: 'mutt', hash: 'h2', scramKeys: 'k2' });
      expect((await other.appPasswords.list(alice.id)).map(({ name }) => name)).toEqual([
        'mutt',
        'phone',
      ]);
      const found = await other.appPasswords.find('ALICE@x.test', 'h1');
      expect(found).toEqual({ account: alice, appPassword: phone });
      const bob = await store.accounts.add('bob@x.test', 'hash');
      expect(await store.appPasswords.find('bob@x.test', 'h1')).toBeUndefined();
      expect(await store.appPasswords.find('nobody@x.test', 'h1')).toBeUndefined();
      expect(await store.appPasswords.find('', 'h1')).toBeUndefined();
      expect(await store.appPasswords.keys(bob.id)).toEqual([]);
      expect(await store.appPasswords.keys(alice.id)).toEqual([
        { appPassword: expect.objectContaining({ name: 'mutt' }), scramKeys: 'k2' },
      ]);
      await store.appPasswords.noteUse(phone.id);
      const [, used] = await store.appPasswords.list(alice.id);
      expect(used?.lastUsedAt).toBeInstanceOf(Date);
      await store.appPasswords.remove(alice.id, 'phone');
      expect(await store.appPasswords.find('alice@x.test', 'h1')).toBeUndefined();
    });

    it('refuse application passwords that cannot be', async () => {
      const { appPasswords } = store;
      await appPasswords.add(alice.id, { name: 'phone', hash: 'h' });
      const again = appPasswords.add(alice.id, { name: 'phone', hash: 'h2' });
      expect(await refusalOf(again)).toBe('app-password-exists');
      for (const name of ['', ' ', 'two\nlines', 'x'.repeat(65)]) {
        const bad = appPasswords.add(alice.id, { name, hash: name });
        expect(await refusalOf(bad)).toBe('bad-app-password-name');
      }
      const nobody = appPasswords.add(999_999, { name: 'phone', hash: 'h' });
      expect(await refusalOf(nobody)).toBe('no-such-account');
      const gone = appPasswords.remove(alice.id, 'none');
      expect(await refusalOf(gone)).toBe('no-such-app-password');
    });

    it('end with the number of application passwords that an account may have', async () => {
      const names = Array.from({ length: MAX_APP_PASSWORDS + 3 }, (_, at) => `program ${at}`);
      const refusals = await Promise.all(
        names.map((name, at) =>
          refusalOf((at % 2 ? store : other).appPasswords.add(alice.id, { name, hash: name })),
        ),
      );
      expect(refusals.filter((code) => code === 'too-many-app-passwords')).toHaveLength(3);
      expect(await store.appPasswords.list(alice.id)).toHaveLength(MAX_APP_PASSWORDS);
    });

    it('take application passwords away with the account', async () => {
      await store.appPasswords.add(alice.id, { name: 'phone', hash: 'h' });
      await store.accounts.remove(alice.id);
      expect(await database.query('select * from app_passwords')).toEqual([]);
      expect(await store.appPasswords.find('alice@x.test', 'h')).toBeUndefined();
    });

    it('are counted over processes', async () => {
      expect(await store.logins.records([ALICE, ORIGIN])).toEqual([]);
      const once = [
        { ...ALICE, failures: 1 },
        { ...ORIGIN, failures: 2 },
      ];
      await Promise.all([store, other].map(({ logins }) => logins.note(once, HOUR_MS, 100)));
      await other.logins.note([{ kind: 'known', key: 'a', failures: 0 }], HOUR_MS, 100);
      const records = await store.logins.records([ALICE, ORIGIN, { kind: 'known', key: 'b' }]);
      expect(records.toSorted((a, b) => a.failures - b.failures)).toEqual([
        { ...ALICE, failures: 2, lastAt: expect.any(Number) },
        { ...ORIGIN, failures: 4, lastAt: expect.any(Number) },
      ]);
    });

    it('are forgotten in time, and the oldest where there are too many', async () => {
      const note = (key: string) =>
        store.logins.note([{ kind: 'account', key, failures: 1 }], HOUR_MS, 3);
      const keys = async () =>
        (await database.query('select key from login_records order by key')).map(({ key }) => key);
      for (const [at, key] of ['a', 'b', 'c'].entries()) {
        await note(key);
        await database.query(
          `update login_records set last_at = last_at - ${1_000 * (9 - at)} where key = '${key}'`,
        );
      }
      await note('d');
      expect(await keys()).toEqual(['b', 'c', 'd']);
      await database.query(
        `update login_records set last_at = last_at - ${HOUR_MS} where key = 'c'`,
      );
      await note('d');
      expect(await keys()).toEqual(['b', 'd']);
      await database.query(`update login_records set last_at = last_at - ${HOUR_MS}`);
      await note('d');
      const [record] = await store.logins.records([{ kind: 'account', key: 'd' }]);
      expect(record?.failures).toBe(1);
      expect(await keys()).toEqual(['d']);
    });
  });
}
