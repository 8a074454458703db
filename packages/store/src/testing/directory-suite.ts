/** What every engine's store must do with domains and aliases, and whom an address leads to. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { MailStore } from '../mail-store.ts';
import type { DatabaseUnderTest } from './database-under-test.ts';

export function directorySuite(engine: string, create: () => Promise<DatabaseUnderTest>): void {
  describe(`the directory in ${engine}`, () => {
    let database: DatabaseUnderTest;
    let store: MailStore;

    beforeAll(async () => {
      database = await create();
      store = await database.open();
    });
    afterEach(async () => {
      for (const { name } of await store.directory.domains.list()) {
        await store.directory.domains.change(name, { catchAll: null });
      }
      for (const { address } of await store.directory.aliases.list()) {
        await store.directory.aliases.remove(address);
      }
      for (const { id } of await store.accounts.list()) await store.accounts.remove(id);
      for (const { name } of await store.directory.domains.list()) {
        await store.directory.domains.remove(name);
      }
    });
    afterAll(async () => {
      await store.close();
      await database.dispose();
    });

    const addAccounts = async (...addresses: string[]): Promise<void> => {
      for (const address of addresses) await store.accounts.add(address, 'hash');
    };
    const resolve = async (address: string): Promise<string[] | string> => {
      const found = await store.directory.resolve(address);
      return typeof found === 'string' ? found : found.map((account) => account.address).sort();
    };
    const targetsOf = async (alias: string) =>
      (await store.directory.aliases.list())
        .find(({ address }) => address === alias)
        ?.targets.map(({ address, reachable }) => `${address}${reachable ? '' : ' (gone)'}`);

    describe('domains', () => {
      it('come with their first account, or alone, and go when nothing is in them', async () => {
        const { domains } = store.directory;
        await addAccounts('alice@One.test', 'bob@one.test');
        expect(await domains.add('Zwei.test')).toMatchObject({
          name: 'zwei.test',
          catchAll: undefined,
          limits: { octets: undefined, messages: undefined },
        });
        await store.directory.aliases.add('sales@zwei.test', ['alice@one.test']);
        expect(await domains.list()).toMatchObject([
          { name: 'one.test', accounts: 2, aliases: 0 },
          { name: 'zwei.test', accounts: 0, aliases: 1 },
        ]);
        const unreachable = domains.add('drei.test', { catchAll: 'nobody@one.test' });
        await expect(unreachable).rejects.toMatchObject({ code: 'no-such-target' });
        await expect(domains.add('one.test')).rejects.toMatchObject({ code: 'domain-exists' });
        await expect(domains.add('a domain')).rejects.toMatchObject({ code: 'bad-domain' });
        await expect(domains.remove('no.test')).rejects.toMatchObject({ code: 'no-such-domain' });
        await expect(domains.remove('ONE.test')).rejects.toMatchObject({
          code: 'domain-in-use',
          message: 'one.test still has the accounts alice@one.test, bob@one.test',
        });
        await expect(domains.remove('zwei.test')).rejects.toMatchObject({
          code: 'domain-in-use',
          message: 'zwei.test still has the alias sales@zwei.test',
        });
        for (const { id } of await store.accounts.list()) await store.accounts.remove(id);
        await domains.remove('one.test');
        expect((await domains.list()).map(({ name }) => name)).toEqual(['zwei.test']);
      });

      it('are made once by accounts that come together', async () => {
        const other = await database.open();
        await Promise.all(
          Array.from({ length: 8 }, (_, index) =>
            (index % 2 === 0 ? store : other).accounts.add(`user${index}@new.test`, 'hash'),
          ),
        );
        await other.close();
        expect(await store.directory.domains.list()).toMatchObject([
          { name: 'new.test', accounts: 8 },
        ]);
      });

      it('keep what is not changed of them', async () => {
        const { domains } = store.directory;
        await addAccounts('alice@x.test');
        await domains.change('x.test', { catchAll: 'Alice@x.test', octets: 5_000 });
        expect(await domains.change('x.test', { messages: 7 })).toMatchObject({
          catchAll: 'Alice@x.test',
          limits: { octets: 5_000, messages: 7 },
        });
        expect(await domains.change('x.test', { octets: 'none', catchAll: null })).toMatchObject({
          catchAll: undefined,
          limits: { octets: undefined, messages: 7 },
        });
        for (const [catchAll, code] of [
          ['nobody@x.test', 'no-such-target'],
          ['no address', 'no-such-target'],
          ['someone@elsewhere.test', 'target-not-local'],
        ] as const) {
          await expect(domains.change('x.test', { catchAll })).rejects.toMatchObject({ code });
        }
        await expect(domains.change('no.test', {})).rejects.toMatchObject({
          code: 'no-such-domain',
        });
      });
    });

    describe('aliases', () => {
      it('lead to accounts and aliases, each account once', async () => {
        const { aliases } = store.directory;
        await addAccounts('alice@x.test', 'bob@x.test', 'carol@y.test');
        await aliases.add('Sales@X.test', ['Alice@x.test', 'bob@x.test']);
        await aliases.add('all@y.test', ['sales@x.test', 'carol@y.test', 'bob@x.test']);
        expect(await resolve('SALES@x.test')).toEqual(['alice@x.test', 'bob@x.test']);
        expect(await resolve('all@y.test')).toEqual(['alice@x.test', 'bob@x.test', 'carol@y.test']);
        expect(await targetsOf('all@y.test')).toEqual([
          'bob@x.test',
          'carol@y.test',
          'sales@x.test',
        ]);
      });

      it('gain and lose targets, and go with the last', async () => {
        const { aliases } = store.directory;
        await addAccounts('alice@x.test', 'bob@x.test');
        await aliases.add('sales@x.test', ['alice@x.test']);
        await aliases.add('sales@x.test', ['bob@x.test', 'ALICE@x.test']);
        expect(await targetsOf('sales@x.test')).toEqual(['alice@x.test', 'bob@x.test']);
        const wrong = aliases.remove('sales@x.test', ['bob@x.test', 'carol@x.test']);
        await expect(wrong).rejects.toMatchObject({ code: 'no-such-target' });
        await aliases.remove('sales@x.test', ['Alice@x.test']);
        expect(await resolve('sales@x.test')).toEqual(['bob@x.test']);
        await aliases.remove('sales@x.test', ['bob@x.test']);
        expect(await aliases.list()).toEqual([]);
        const gone = aliases.remove('sales@x.test');
        await expect(gone).rejects.toMatchObject({ code: 'no-such-alias' });
      });

      it.each([
        ['no address', 'alice@x.test', 'bad-address'],
        ['sales@x.test', 'no address', 'bad-address'],
        ['sales@elsewhere.test', 'alice@x.test', 'no-such-domain'],
        ['alice@x.test', 'alice@x.test', 'account-exists'],
        ['sales@x.test', 'someone@elsewhere.test', 'target-not-local'],
        ['sales@x.test', 'nobody@x.test', 'no-such-target'],
        ['sales@x.test', 'sales@x.test', 'no-such-target'],
        ['sales@x.test', 'sales+tag@x.test', 'no-such-target'],
      ])('%s to %s are refused: %s', async (address, target, code) => {
        await addAccounts('alice@x.test');
        const added = store.directory.aliases.add(address, [target]);
        await expect(added).rejects.toMatchObject({ code });
        expect(await store.directory.aliases.list()).toEqual([]);
      });

      it('and accounts do not share an address', async () => {
        await addAccounts('alice@x.test');
        await store.directory.aliases.add('sales@x.test', ['alice@x.test']);
        await expect(store.accounts.add('Sales@x.test', 'hash')).rejects.toMatchObject({
          code: 'alias-exists',
        });
        const race = await Promise.allSettled([
          store.accounts.add('info@x.test', 'hash'),
          store.directory.aliases.add('info@x.test', ['alice@x.test']),
        ]);
        expect(race.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
      });

      it('that lead to a removed account pass it by, until it is there again', async () => {
        await addAccounts('alice@x.test', 'bob@x.test');
        await store.directory.aliases.add('sales@x.test', ['alice@x.test', 'bob@x.test']);
        const alice = await store.accounts.find('alice@x.test');
        await store.accounts.remove(alice?.id ?? 0);
        expect(await resolve('sales@x.test')).toEqual(['bob@x.test']);
        expect(await targetsOf('sales@x.test')).toEqual(['alice@x.test (gone)', 'bob@x.test']);
        const bob = await store.accounts.find('bob@x.test');
        await store.accounts.remove(bob?.id ?? 0);
        expect(await resolve('sales@x.test')).toBe('no-such-address');
        await addAccounts('alice@x.test');
        expect(await resolve('sales@x.test')).toEqual(['alice@x.test']);
      });

      it('may go round, and end', async () => {
        const { aliases } = store.directory;
        await addAccounts('alice@x.test');
        await aliases.add('a@x.test', ['alice@x.test']);
        await aliases.add('b@x.test', ['a@x.test']);
        await aliases.add('a@x.test', ['b@x.test']);
        expect(await resolve('b+tag@x.test')).toEqual(['alice@x.test']);
      });

      it('are stacked so high and no higher', async () => {
        const { aliases } = store.directory;
        await addAccounts('alice@x.test');
        await aliases.add('a1@x.test', ['alice@x.test']);
        for (let level = 2; level <= 10; level += 1) {
          await aliases.add(`a${level}@x.test`, [`a${level - 1}@x.test`]);
        }
        expect(await resolve('a10@x.test')).toEqual(['alice@x.test']);
        await expect(aliases.add('a11@x.test', ['a10@x.test'])).rejects.toMatchObject({
          code: 'alias-too-large',
        });
        // in the middle nobody looks at what leads there: mail must wait for the operator
        await aliases.add('z1@x.test', ['alice@x.test']);
        await aliases.add('z2@x.test', ['z1@x.test']);
        await aliases.add('a1@x.test', ['z2@x.test']);
        const tooHigh = store.directory.resolve('a10@x.test');
        await expect(tooHigh).rejects.toMatchObject({ code: 'alias-too-large' });
      });
    });

    describe('addresses', () => {
      const EXPECTED: readonly (readonly [string, string | string[]])[] = [
        ['ALICE@X.test', ['alice@x.test']],
        ['alice+lists+dev@x.test', ['alice@x.test']],
        ['alice+own@x.test', ['alice+own@x.test']],
        ['alice+own+more@x.test', ['alice@x.test']],
        ['sales+tag@x.test', ['bob@x.test']],
        ['sales+now@x.test', ['alice@x.test']],
        ['+alice@x.test', 'no-such-address'],
        ['nobody@x.test', 'no-such-address'],
        ['nobody+alice@x.test', 'no-such-address'],
        ['"a b"@x.test', 'no-such-address'],
        ['anybody@all.test', ['bob@x.test']],
        ['"a b"@all.test', ['bob@x.test']],
        ['carol@all.test', ['carol@all.test']],
        ['alice@elsewhere.test', 'not-local'],
        ['"a b"@elsewhere.test', 'not-local'],
        ['alice@[192.0.2.1]', 'not-local'],
        ['alice', 'not-local'],
        ['', 'not-local'],
      ];

      it('are for an account, an alias, either with a tag, or the catch-all', async () => {
        await addAccounts('alice@x.test', 'alice+own@x.test', 'bob@x.test', 'carol@all.test');
        await store.directory.aliases.add('sales@x.test', ['bob@x.test']);
        await store.directory.aliases.add('sales+now@x.test', ['alice@x.test']);
        await store.directory.domains.change('all.test', { catchAll: 'sales@x.test' });
        for (const [address, expected] of EXPECTED) {
          expect(await resolve(address), address).toEqual(expected);
        }
      });

      it('whose catch-all is gone are nobody’s', async () => {
        await addAccounts('alice@x.test', 'bob@all.test');
        await store.directory.domains.change('all.test', { catchAll: 'alice@x.test' });
        const alice = await store.accounts.find('alice@x.test');
        await store.accounts.remove(alice?.id ?? 0);
        expect(await resolve('anybody@all.test')).toBe('no-such-address');
      });
    });

    it('takes over the domains of a store from before it', async () => {
      await addAccounts('alice@one.test', 'bob@one.test', 'carol@two.test');
      const gone = await store.accounts.find('carol@two.test');
      await store.close();
      for (const sql of [
        `update accounts set address_key = null where id = ${gone?.id}`,
        'drop table alias_targets',
        'drop table aliases',
        'drop table domains',
        'alter table accounts drop column quota_octets',
        'alter table accounts drop column quota_messages',
        // and what came behind it
        'drop table mailbox_rights',
        'drop table annotations',
        'alter table accounts drop column modseq',
        `delete from schema_migrations where number >= (select number from schema_migrations where name = 'directory')`,
      ]) {
        await database.query(sql);
      }
      store = await database.open();
      expect(await store.directory.domains.list()).toMatchObject([
        { name: 'one.test', accounts: 2, limits: { octets: undefined } },
      ]);
    });
  });
}
