import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ListPattern } from './list-pattern.ts';

const matchesPattern = (name: string, pattern: string, folded?: number): boolean =>
  new ListPattern(pattern).matches(name, folded);

test.each([
  ['INBOX', '*', true],
  ['INBOX', '%', true],
  ['a/b', '%', false],
  ['a/b', '*', true],
  ['a/b', 'a/%', true],
  ['a/b/c', 'a/%', false],
  ['a/b/c', 'a/*', true],
  ['a/b/c', '%/%/c', true],
  ['a/b/c', '*%', true],
  ['a', '', false],
  ['', '', true],
  ['', '%', true],
  ['ab', 'a', false],
  ['a.b', 'a?b', false],
  ['a/b', '%%', false],
  ['a/b', '%*%', true],
  ['a/b', 'a%%*%b', true],
])('%s by %s: %s', (name, pattern, matches) => {
  expect(matchesPattern(name, pattern)).toBe(matches);
});

test.each([
  ['INBOX', 'inbox', true],
  ['INBOX/sub', 'inBox/%', true],
  ['INBOX/sub', 'i*sub', true],
  ['INBOX/sub', 'inbox/SUB', false],
  ['INBOX/INBOX', 'inbox/inbox', false],
])('%s by %s, INBOX in any case: %s', (name, pattern, matches) => {
  expect(matchesPattern(name, pattern, 5)).toBe(matches);
});

/** The definition, word for word. */
function reference(name: string, pattern: string): boolean {
  if (pattern === '') return name === '';
  const [first, rest] = [pattern[0], pattern.slice(1)];
  if (first !== '*' && first !== '%') return name[0] === first && reference(name.slice(1), rest);
  if (reference(name, rest)) return true;
  return name !== '' && (first === '*' || name[0] !== '/') && reference(name.slice(1), pattern);
}

test('agrees with the definition', () => {
  const names = fc.string({ unit: fc.constantFrom('a', 'b', '/'), maxLength: 8 });
  const patterns = fc.string({ unit: fc.constantFrom('a', 'b', '/', '*', '%'), maxLength: 8 });
  fc.assert(
    fc.property(names, patterns, (name, pattern) => {
      expect(matchesPattern(name, pattern)).toBe(reference(name, pattern));
    }),
    { numRuns: 2000 },
  );
});

test('is made once for many names', () => {
  const pattern = new ListPattern('a%*%b');
  expect(['a/b', 'a', 'ab', 'b', 'a/bc/b'].filter((name) => pattern.matches(name))).toEqual([
    'a/b',
    'ab',
    'a/bc/b',
  ]);
  expect(pattern.length).toBe(3);
});

test('a hostile pattern takes no longer than its length allows', () => {
  // by backtracking this would not end in our lifetimes
  expect(matchesPattern('a'.repeat(500), `${'*a'.repeat(250)}*b`)).toBe(false);
});
