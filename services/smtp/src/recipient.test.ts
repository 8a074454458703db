import type { Account, Resolution } from '@mail/store';
import { expect, test } from 'vitest';
import { findRecipients } from './recipient.ts';

const addresses = ['root@one.test', 'alice@one.test', 'bob@two.test', 'Postmaster@three.test'];
const all = addresses.map((address, id): Account => ({ id, address, createdAt: new Date(0) }));
const accountless = 'empty.test';
const aliases: Record<string, string[]> = { 'staff@one.test': ['alice@one.test', 'bob@two.test'] };

const store = {
  accounts: {
    findOldest: async (domain?: string) =>
      all.find((account) => domain === undefined || account.address.endsWith(`@${domain}`)),
  },
  directory: {
    resolve: async (address: string): Promise<Resolution> => {
      const wanted = aliases[address] ?? [address.toLowerCase()];
      const found = all.filter((account) => wanted.includes(account.address.toLowerCase()));
      if (found.length > 0) return found;
      const domain = address.slice(address.indexOf('@'));
      const local = domain === `@${accountless}` || addresses.some((each) => each.endsWith(domain));
      return local ? 'no-such-address' : 'not-local';
    },
  },
};

test.each([
  ['alice@one.test', undefined, ['alice@one.test']],
  ['ALICE@one.test', undefined, ['alice@one.test']],
  ['staff@one.test', undefined, ['alice@one.test', 'bob@two.test']],
  ['carol@one.test', undefined, 'no-such-address'],
  ['carol@elsewhere.test', undefined, 'not-local'],
  ['PostMaster@one.test', undefined, ['root@one.test']],
  ['postmaster@two.test', undefined, ['bob@two.test']],
  ['postmaster@three.test', undefined, ['Postmaster@three.test']],
  ['postmaster@empty.test', undefined, ['root@one.test']],
  ['postmaster@mail.test', undefined, ['root@one.test']],
  ['postmaster@elsewhere.test', undefined, 'not-local'],
  ['postmaster@two.test', 'alice@one.test', ['alice@one.test']],
  ['postmaster@two.test', 'staff@one.test', ['alice@one.test', 'bob@two.test']],
  ['postmaster@mail.test', 'alice@one.test', ['alice@one.test']],
  ['postmaster@three.test', 'alice@one.test', ['Postmaster@three.test']],
  ['postmaster@elsewhere.test', 'alice@one.test', 'not-local'],
  // removed since it was configured: somebody must hear
  ['postmaster@two.test', 'gone@one.test', ['bob@two.test']],
])('%s with postmaster %s is %j', async (path, postmaster, expected) => {
  const found = await findRecipients(path, store, { hostname: 'Mail.test', postmaster });
  expect(typeof found === 'string' ? found : found.map(({ address }) => address)).toEqual(expected);
});
