import type { Account } from '@mail/store';
import { expect, test } from 'vitest';
import { findRecipient } from './recipient.ts';

const addresses = ['root@one.test', 'alice@one.test', 'bob@two.test', 'Postmaster@three.test'];
const all = addresses.map((address, id): Account => ({ id, address, createdAt: new Date(0) }));
const accounts = {
  find: async (address: string) =>
    all.find((account) => account.address.toLowerCase() === address.toLowerCase()),
  findOldest: async (domain?: string) =>
    all.find((account) => domain === undefined || account.address.endsWith(`@${domain}`)),
};

test.each([
  ['alice@one.test', undefined, 'alice@one.test'],
  ['ALICE@one.test', undefined, 'alice@one.test'],
  ['carol@one.test', undefined, undefined],
  ['PostMaster@one.test', undefined, 'root@one.test'],
  ['postmaster@two.test', undefined, 'bob@two.test'],
  ['postmaster@three.test', undefined, 'Postmaster@three.test'],
  ['postmaster@mail.test', undefined, 'root@one.test'],
  ['postmaster@elsewhere.test', undefined, undefined],
  ['postmaster@two.test', 'alice@one.test', 'alice@one.test'],
  ['postmaster@mail.test', 'alice@one.test', 'alice@one.test'],
  ['postmaster@three.test', 'alice@one.test', 'Postmaster@three.test'],
  ['postmaster@elsewhere.test', 'alice@one.test', undefined],
  // removed since it was configured: somebody must hear
  ['postmaster@two.test', 'gone@one.test', 'bob@two.test'],
])('%s with postmaster %s is %s', async (path, postmaster, expected) => {
  const found = await findRecipient(path, accounts, { hostname: 'Mail.test', postmaster });
  expect(found?.address).toBe(expected);
});
