import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ImapSyntaxError } from '../errors.ts';
import { Lexer } from './lexer.ts';
import {
  commonRanges,
  formatSet,
  lowerBound,
  parseSequenceSet,
  rangesHold,
  rangesOf,
  resolveSet,
  type SequenceSet,
  type SetNumber,
} from './sequence-set.ts';

const parse = (text: string): SequenceSet => {
  const lexer = new Lexer({ lines: [text], literals: [] });
  const set = parseSequenceSet(lexer);
  lexer.end();
  return set;
};

describe('parseSequenceSet', () => {
  test.each([
    ['1', [{ from: 1, to: 1 }]],
    ['*', [{ from: '*', to: '*' }]],
    [
      '2,4:7,12:*',
      [
        { from: 2, to: 2 },
        { from: 4, to: 7 },
        { from: 12, to: '*' },
      ],
    ],
    ['*:4', [{ from: '*', to: 4 }]],
    ['4294967295', [{ from: 4_294_967_295, to: 4_294_967_295 }]],
  ])('%s', (text, set) => expect(parse(text)).toEqual(set));

  test.each(['0', '01', '4294967296', '1,', ',1', '1:', ':1', '1:2:3', '1::2', '**', '$', ''])(
    'refuses %s',
    (text) => expect(() => parse(text)).toThrow(ImapSyntaxError),
  );

  test('bounds the ranges', () => {
    const text = Array.from({ length: 10_001 }, () => '1').join(',');
    expect(() => parse(text)).toThrow(expect.objectContaining({ code: 'too-many' }));
  });
});

const setNumber = fc.oneof(
  fc.integer({ min: 1, max: 60 }),
  fc.constant<SetNumber>('*'),
) satisfies fc.Arbitrary<SetNumber>;
const sets = fc.array(fc.record({ from: setNumber, to: setNumber }), { minLength: 1 });
const write = (set: SequenceSet): string =>
  set.map(({ from, to }) => (from === to ? `${from}` : `${from}:${to}`)).join(',');

test('what is written is read again', () => {
  fc.assert(
    fc.property(sets, (set) => {
      expect(parse(write(set))).toEqual(set);
    }),
  );
});

test('resolved ranges hold just what the set names', () => {
  fc.assert(
    fc.property(sets, fc.integer({ min: 1, max: 60 }), (set, largest) => {
      const ranges = resolveSet(set, largest);
      const value = (number: SetNumber): number => (number === '*' ? largest : number);
      for (let number = 1; number <= 61; number += 1) {
        const named = set.some(({ from, to }) => {
          const [low, high] = [value(from), value(to)].sort((a, b) => a - b);
          return number >= (low ?? 0) && number <= (high ?? 0);
        });
        expect(rangesHold(ranges, number)).toBe(named);
      }
      for (const [index, { first }] of ranges.entries()) {
        expect(first).toBeGreaterThan((ranges[index - 1]?.last ?? -1) + 1);
      }
    }),
  );
});

const ascending = fc
  .uniqueArray(fc.integer({ min: 1, max: 100 }))
  .map((numbers) => numbers.sort((a, b) => a - b));

test('a formatted set names the numbers again', () => {
  fc.assert(
    fc.property(
      ascending.filter((numbers) => numbers.length > 0),
      (numbers) => {
        const ranges = resolveSet(parse(formatSet(numbers)), 100);
        const again = ranges.flatMap(({ first, last }) =>
          Array.from({ length: last - first + 1 }, (_, index) => first + index),
        );
        expect(again).toEqual(numbers);
      },
    ),
  );
});

test('lowerBound', () => {
  fc.assert(
    fc.property(ascending, fc.integer({ min: 0, max: 101 }), (numbers, wanted) => {
      const index = numbers.findIndex((number) => number >= wanted);
      expect(lowerBound(numbers, wanted)).toBe(index === -1 ? numbers.length : index);
    }),
  );
});

test('what two lists of ranges have in common', () => {
  fc.assert(
    fc.property(ascending, ascending, (some, others) => {
      const both = some.filter((number) => others.includes(number));
      const numbers = commonRanges(rangesOf(some), rangesOf(others)).flatMap(({ first, last }) =>
        Array.from({ length: last - first + 1 }, (_, index) => first + index),
      );
      expect(numbers).toEqual(both);
    }),
  );
});
