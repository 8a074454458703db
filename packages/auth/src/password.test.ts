import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { AuthError } from './errors.ts';
import { PasswordHasher, parseStoredHash } from './password.ts';

const computed = vi.hoisted((): { memory: number; passes: number }[] => []);
vi.mock('node:crypto', async (importOriginal) => {
  const original = await importOriginal<typeof import('node:crypto')>();
  const argon2: typeof original.argon2 = (algorithm, parameters, done) => {
    computed.push(parameters);
    original.argon2(algorithm, parameters, done);
  };
  return { ...original, argon2 };
});

const cheap = { memoryKiB: 64, passes: 1, parallelism: 1 };
const hasher = new PasswordHasher({ cost: cheap });

describe('argon2id', () => {
  it('agrees with the reference implementation', async () => {
    // argon2 password-hashing-competition test vector: argon2id, v=19, m=65536, t=2, p=1
    const stored =
      '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc';
    const other = new PasswordHasher({ cost: cheap });
    expect(await other.verify(stored, 'password')).toEqual({ correct: true, outdated: true });
    expect(await other.verify(stored, 'passwore')).toEqual({ correct: false, outdated: false });
  });

  it('verifies what it made and nothing else', async () => {
    const password = fc.string({ minLength: 1, maxLength: 60, unit: 'grapheme' });
    await fc.assert(
      fc.asyncProperty(password, password, async (right, other) => {
        const stored = await hasher.hash(right);
        const again = await hasher.verify(stored, right);
        const wrong = await hasher.verify(stored, other);
        expect(again).toEqual({ correct: true, outdated: false });
        expect(wrong.correct).toBe(other.normalize('NFC') === right.normalize('NFC'));
      }),
      { numRuns: 50 },
    );
  });

  it('takes composed and decomposed letters as the same password', async () => {
    const stored = await hasher.hash('Zu\u0308rich');
    expect((await hasher.verify(stored, 'Z\u00fcrich')).correct).toBe(true);
  });

  it('salts: the same password gives different hashes', async () => {
    expect(await hasher.hash('same')).not.toBe(await hasher.hash('same'));
  });

  it('does for an unknown account what it does for a known one, and is never right', async () => {
    expect(await hasher.verify(undefined, 'anything')).toEqual({ correct: false, outdated: false });
  });

  it('asks for a new hash when the cost has changed', async () => {
    const dearer = new PasswordHasher({ cost: { ...cheap, passes: 2 } });
    const stored = await hasher.hash('pw');
    expect(await dearer.verify(stored, 'pw')).toEqual({ correct: true, outdated: true });
    expect(await dearer.verify(stored, 'px')).toEqual({ correct: false, outdated: false });
  });

  it.each([
    ['', 'empty'],
    ['x'.repeat(1025), 'too long'],
  ])('takes no new password that is %2$s', async (password) => {
    await expect(hasher.hash(password)).rejects.toMatchObject({ code: 'bad-password' });
  });

  it('does not take a long password for its beginning', async () => {
    const stored = await hasher.hash('x'.repeat(1024));
    expect((await hasher.verify(stored, 'x'.repeat(1025))).correct).toBe(false);
  });

  it('bounds what waits', async () => {
    const narrow = new PasswordHasher({ cost: cheap, concurrency: 1, maxWaiting: 2 });
    const outcomes = await Promise.allSettled([1, 2, 3, 4].map(() => narrow.hash('pw')));
    expect(outcomes.map(({ status }) => status)).toEqual([
      'fulfilled',
      'fulfilled',
      'fulfilled',
      'rejected',
    ]);
    expect(outcomes[3]).toMatchObject({ reason: { code: 'busy' } });
    await expect(narrow.hash('pw')).resolves.toMatch(/^\$argon2id\$/);
  });
});

describe('the work of a failure', () => {
  const old = { memoryKiB: 100, passes: 1, parallelism: 1 };
  const odd = { memoryKiB: 333, passes: 3, parallelism: 1 };
  const today = { memoryKiB: 256, passes: 2, parallelism: 1 };

  /** KiB filled by a verification. */
  async function workOf(dated: PasswordHasher, stored: string | undefined, password = 'wrong') {
    computed.length = 0;
    await dated.verify(stored, password);
    return computed.reduce((sum, { memory, passes }) => sum + memory * passes, 0);
  }

  it('is the same with and without an account, when hashes get dearer', async () => {
    const dated = new PasswordHasher({ cost: today });
    const stored = await new PasswordHasher({ cost: old }).hash('right');
    expect(await workOf(dated, undefined)).toBe(512);
    expect(await workOf(dated, stored)).toBe(512);
    expect(await workOf(dated, stored, 'right')).toBe(100);
  });

  it('does not grow without end by one hash', async () => {
    const dated = new PasswordHasher({ cost: old });
    await dated.verify(await new PasswordHasher({ cost: { ...today, passes: 20 } }).hash('a'), 'b');
    expect(await workOf(dated, undefined)).toBe(1_600);
  });

  it('and when they get cheaper, once such a one was seen; in no more memory than today', async () => {
    const dated = new PasswordHasher({ cost: today });
    const stored = await new PasswordHasher({ cost: odd }).hash('right');
    const work = await workOf(dated, stored);
    expect(work).toBe(999);
    for (const hash of [undefined, await dated.hash('right')]) {
      expect(Math.abs((await workOf(dated, hash)) - work)).toBeLessThan(5);
      expect(Math.max(...computed.map(({ memory }) => memory))).toBe(today.memoryKiB);
    }
  });
});

describe('parseStoredHash', () => {
  it.each([
    '',
    'plain',
    '$argon2i$v=19$m=64,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
    '$argon2id$v=16$m=64,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
    '$argon2id$v=19$m=64,t=0,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
    '$argon2id$v=19$m=99999999,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
    '$argon2id$v=19$m=7,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
  ])('refuses %s without showing it', (text) => {
    expect(() => parseStoredHash(text)).toThrow(expect.objectContaining({ code: 'bad-hash' }));
  });

  it('throws nothing but AuthError', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          parseStoredHash(text);
        } catch (error) {
          expect(error).toBeInstanceOf(AuthError);
        }
      }),
    );
  });
});
