import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Lexer } from './lexer.ts';
import { formatPartialRange, pageOf, parsePartialRange } from './partial.ts';

test.each([
  ['1:2', ['a', 'b']],
  ['2:1', ['a', 'b']],
  ['3:3', ['c']],
  ['3:9', ['c', 'd']],
  ['5:9', []],
  ['-1:-1', ['d']],
  ['-1:-2', ['c', 'd']],
  ['-3:-2', ['b', 'c']],
  ['-3:-9', ['a', 'b']],
  ['-5:-9', []],
  ['1:4294967295', ['a', 'b', 'c', 'd']],
  ['-1:-4294967295', ['a', 'b', 'c', 'd']],
])('%s', (text, page) => {
  const range = parsePartialRange(new Lexer({ lines: [text], literals: [] }));
  expect(formatPartialRange(range)).toBe(text);
  expect(pageOf(range, ['a', 'b', 'c', 'd'])).toEqual(page);
});

test('pages in a row are all of it, from either end', () => {
  const results = fc.array(fc.nat());
  fc.assert(
    fc.property(results, fc.integer({ min: 1, max: 5 }), (all, size) => {
      const starts = Array.from({ length: Math.ceil(all.length / size) }, (_, at) => at * size);
      const pages = starts.map((start) => pageOf({ from: start + 1, to: start + size }, all));
      expect(pages.flat()).toEqual(all);
      const last = starts.map((start) => pageOf({ from: -start - 1, to: -start - size }, all));
      expect(last.reverse().flat()).toEqual(all);
    }),
  );
});
