import type { Account, Limits, Quota } from '@mail/store';
import { expect, test } from 'vitest';
import { lookForRoom } from './room.ts';

const MIB = 1024 * 1024;

const quota = (octets: number, messages: number, limits: Partial<Limits>): Quota => ({
  used: { octets, messages },
  limits: { octets: undefined, messages: undefined, ...limits },
});

/** By the id of the account. */
const QUOTAS: readonly Quota[] = [
  quota(5 * MIB, 5, {}),
  quota(5 * MIB, 5, { octets: 100 * MIB }),
  quota(5 * MIB, 5, { octets: 6 * MIB }),
  quota(6 * MIB, 5, { octets: 6 * MIB }),
  quota(0, 5, { messages: 6 }),
  quota(0, 6, { messages: 6 }),
  quota(0, 0, { octets: 0 }),
];
const UNLIMITED = 0;
const ROOMY = 1;
const NEARLY_FULL = 2;
const FULL = 3;
const ONE_MORE = 4;
const NO_MORE = 5;
const SHUT = 6;

test.each([
  [[UNLIMITED], undefined, 'enough'],
  [[ROOMY], undefined, 'enough'],
  [[NEARLY_FULL], undefined, 'uncertain'],
  [[NEARLY_FULL], 1000, 'enough'],
  [[NEARLY_FULL], MIB - 1000, 'uncertain'],
  [[NEARLY_FULL], MIB + 1, 'none'],
  [[NEARLY_FULL], 7 * MIB, 'too-large'],
  [[FULL], undefined, 'none'],
  [[FULL], 1, 'none'],
  [[ONE_MORE], undefined, 'enough'],
  [[NO_MORE], undefined, 'none'],
  [[SHUT], undefined, 'too-large'],
  [[UNLIMITED, FULL, ROOMY], undefined, 'none'],
  [[NEARLY_FULL, UNLIMITED], undefined, 'uncertain'],
  [[], undefined, 'enough'],
] as const)('accounts %j and a message of %s octets: %s', async (ids, declaredOctets, outlook) => {
  const accounts = ids.map((id): Account => ({ id, address: '', createdAt: new Date(0) }));
  const read = async (id: number) => QUOTAS[id] ?? quota(0, 0, {});
  const expected = { declaredOctets, maxMessageBytes: 50 * MIB };
  expect(await lookForRoom(accounts, expected, { read })).toBe(outlook);
});
