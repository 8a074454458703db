import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AuthError } from './errors.ts';
import {
  deriveScramKeys,
  formatScramKeys,
  parseScramKeys,
  SCRAM_ITERATIONS,
  scramSalt,
  unknownScramKeys,
} from './scram-keys.ts';

const secret = Buffer.alloc(32, 1);
const octets = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((found) => Buffer.from(found));

describe('stored SCRAM keys (RFC 5803)', () => {
  it('are read as they were written', () => {
    const keys = fc.record({
      iterations: fc.integer({ min: 4_096, max: 10_000_000 }),
      salt: octets(16),
      storedKey: octets(32),
      serverKey: octets(32),
    });
    fc.assert(
      fc.property(keys, (given) => {
        expect(parseScramKeys(formatScramKeys(given))).toEqual(given);
      }),
    );
  });

  it.each(['', 'SCRAM-SHA-1$4096:c2FsdHNhbHQ=$a:b', 'SCRAM-SHA-256$1:x$y:z'])(
    'are refused as %j',
    (stored) => {
      expect(() => parseScramKeys(stored)).toThrow(AuthError);
    },
  );

  it('do not show in the error', () => {
    const stored = formatScramKeys(unknownScramKeys(secret, 'a')).replace(
      `$${SCRAM_ITERATIONS}`,
      '$1000',
    );
    expect(() => parseScramKeys(stored)).toThrow(/^stored SCRAM keys are not what RFC 5803 says$/);
  });
});

describe('derived keys', () => {
  it.each([
    // RFC 4013 §3
    ['I­X', 'IX'],
    ['ª', 'a'],
    ['Ⅸ', 'IX'],
  ])('are of the prepared password: %j', async (one, other) => {
    const salt = scramSalt(secret, 'a');
    expect(await deriveScramKeys(one, salt, 4096)).toEqual(
      await deriveScramKeys(other, salt, 4096),
    );
  });

  it('are none for what cannot be prepared, and take what is younger than the RFC', async () => {
    const salt = scramSalt(secret, 'a');
    expect(await deriveScramKeys('bell\u0007', salt, 4096)).toBeUndefined();
    expect(await deriveScramKeys('­', salt, 4096)).toBeUndefined();
    expect(await deriveScramKeys('\u{1F980} crab', salt, 4096)).toBeDefined();
  });
});

describe('the salt', () => {
  it('is an account’s own, always the same, and another for another secret', () => {
    expect(scramSalt(secret, 'a')).toEqual(scramSalt(secret, 'a'));
    expect(scramSalt(secret, 'a')).toHaveLength(16);
    expect(scramSalt(secret, 'b')).not.toEqual(scramSalt(secret, 'a'));
    expect(scramSalt(Buffer.alloc(32, 2), 'a')).not.toEqual(scramSalt(secret, 'a'));
  });

  it('of an account that does not exist is what it would be if it did', async () => {
    const known = await deriveScramKeys('pencil', scramSalt(secret, 'a'));
    const unknown = unknownScramKeys(secret, 'a');
    expect(known).toMatchObject({ salt: unknown.salt, iterations: SCRAM_ITERATIONS });
    expect(known?.storedKey).not.toEqual(unknown.storedKey);
  });
});
