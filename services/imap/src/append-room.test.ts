import { type Quota, StoreError, type StoreErrorCode } from '@mail/store';
import { expect, test } from 'vitest';
import { hasRoom } from './append-room.ts';

test.each([
  [{ octets: undefined, messages: undefined }, true],
  [{ octets: 150, messages: 12 }, true],
  [{ octets: 149, messages: undefined }, false],
  [{ octets: undefined, messages: 11 }, false],
])('two messages of 50 octets beside ten of 100, with limits %j: %s', async (limits, expected) => {
  const read = async (): Promise<Quota> => ({ used: { octets: 100, messages: 10 }, limits });
  expect(await hasRoom({ read }, 1, { octets: 50, messages: 2 })).toBe(expected);
});

test('a store that does not answer leaves the question to when it does', async () => {
  const failing = (code: StoreErrorCode) => ({
    read: () => Promise.reject(new StoreError(code, '')),
  });
  const coming = { octets: 50, messages: 2 };
  expect(await hasRoom(failing('database-unavailable'), 1, coming)).toBe(true);
  await expect(hasRoom(failing('no-such-account'), 1, coming)).rejects.toThrow(StoreError);
});
