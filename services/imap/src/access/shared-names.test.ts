import { parseMailboxName } from '@mail/store';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatSharedName, parseSharedName } from './shared-names.ts';

const local = fc.string({ unit: fc.constantFrom(...'aZ0=/%*+-_ü'), minLength: 1, maxLength: 8 });

describe('a name of another user’s mailbox', () => {
  test('is read as it was written, whatever the address', () => {
    fc.assert(
      fc.property(local, fc.constantFrom('Work', 'INBOX', 'a/b c', ''), (user, name) => {
        const owner = `${user}@example.org`;
        const written = formatSharedName({ owner, name });
        expect(parseSharedName(written)).toEqual({ owner, name });
        if (name !== '') expect(parseMailboxName(written)).toBe(written);
      }),
    );
  });

  test('is of one owner alone', () => {
    fc.assert(
      fc.property(local, local, (one, another) => {
        fc.pre(one !== another);
        const [first, second] = [one, another].map((user) =>
          formatSharedName({ owner: `${user}@example.org`, name: 'Work' }),
        );
        expect(first).not.toBe(second);
      }),
    );
  });

  test.each([
    '',
    'INBOX',
    'Users',
    'Users/',
    'Users/Guests',
    'Users/Guests/Work',
    'users/bob@example.org/Work',
    'Users/bob@/Work',
    'Work/Users/bob@example.org/Work',
  ])('%j is none', (name) => {
    expect(parseSharedName(name)).toBeUndefined();
  });

  test('may have nothing behind the owner', () => {
    const owner = 'bob@example.org';
    expect(parseSharedName(`Users/${owner}`)).toEqual({ owner, name: '' });
  });
});
