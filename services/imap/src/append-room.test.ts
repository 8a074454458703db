import { type Quota, StoreError } from '@mail/store';
import { expect, test } from 'vitest';
import { hasRoom } from './append-room.ts';

const storeWith = (read: () => Promise<Quota>) => ({
  quotas: { read } as Parameters<typeof hasRoom>[0]['quotas'],
});

test.each([
  [{ octets: undefined, messages: undefined }, true],
  [{ octets: 150, messages: 12 }, true],
  [{ octets: 149, messages: undefined }, false],
  [{ octets: undefined, messages: 11 }, false],
])('two messages of 50 octets beside ten of 100, with limits %j: %s', async (limits, expected) => {
  const store = storeWith(async () => ({ used: { octets: 100, messages: 10 }, limits }));
  expect(await hasRoom(store, 1, { octets: 50, messages: 2 })).toBe(expected);
});

test('a store that does not answer leaves the question to when it does', async () => {
  const store = storeWith(() => Promise.reject(new StoreError('database-unavailable', 'gone')));
  expect(await hasRoom(store, 1, { octets: 50, messages: 2 })).toBe(true);
  const removed = storeWith(() => Promise.reject(new StoreError('no-such-account', 'gone')));
  await expect(hasRoom(removed, 1, { octets: 50, messages: 2 })).rejects.toThrow('gone');
});
