import fc from 'fast-check';
import { expect, test } from 'vitest';
import { columns, createPalette, plain, span, validity, when } from './output.ts';

test('columns are as wide as what stands in them', () => {
  expect(
    columns(
      ['ID', 'NAME'],
      [
        ['1', 'a'],
        ['long', ''],
      ],
    ),
  ).toBe('ID    NAME\n1     a\nlong');
});

test('no text of others drives the terminal', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(plain(text)).not.toMatch(/[\p{Cc}\u202a-\u202e\u2066-\u2069\u2028\u2029]/u);
      expect(columns(['A'], [[text]]).split('\n')).toHaveLength(2);
    }),
  );
});

test.each([
  [0, '0 s'],
  [59_999, '59 s'],
  [60_000, '1 min'],
  [3_600_000, '1 h'],
  [47 * 3_600_000, '47 h'],
  [48 * 3_600_000, '2 days'],
])('%d ms is %s', (ms, text) => expect(span(ms)).toBe(text));

test('validity', () => {
  const now = new Date('2026-11-24T00:00:00Z');
  expect(validity('2026-11-27T00:00:00Z', now)).toBe('3 days left');
  expect(validity('2026-11-21T00:00:00Z', now)).toBe('expired 3 days ago');
  expect(validity(null, now)).toBe('');
  expect(when('2026-11-24T11:42:16.123Z')).toBe('2026-11-24 11:42:16Z');
});

test('colour only where it is wanted', () => {
  expect(createPalette(false).bad('x')).toBe('x');
  expect(createPalette(true).bad('x')).toBe('\x1b[31mx\x1b[0m');
});
