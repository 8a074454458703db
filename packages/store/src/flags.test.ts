import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { applyFlags, decodeFlags, encodeFlags } from './flags.ts';

describe('flags', () => {
  it.each([
    [[], []],
    [
      ['\\draft', '\\SEEN'],
      ['\\Seen', '\\Draft'],
    ],
    [
      ['b', '$Forwarded', 'B', 'a', '\\Deleted'],
      ['\\Deleted', '$Forwarded', 'a', 'b'],
    ],
  ])('%j are stored as %j', (given, stored) => {
    expect(decodeFlags(encodeFlags(given))).toEqual(stored);
  });

  it.each(['', 'a b', '\\Recent', '\\*', '\\', 'a"', 'a(', 'a]', 'ä', 'a\0', 'x'.repeat(101)])(
    '%j is refused',
    (flag) => {
      expect(() => encodeFlags([flag])).toThrow(expect.objectContaining({ code: 'bad-flag' }));
    },
  );

  it('are at most 100 keywords on a message, however they come', () => {
    const many = Array.from({ length: 100 }, (_, index) => `k${index}`);
    expect(() => applyFlags(encodeFlags(many), 'add', encodeFlags(['one-more']))).toThrow(
      expect.objectContaining({ code: 'bad-flag' }),
    );
    expect(decodeFlags(applyFlags(encodeFlags(many), 'add', encodeFlags(['K7'])))).toHaveLength(
      100,
    );
  });

  const flag = fc.constantFrom('\\Seen', '\\Deleted', '\\flagged', 'work', 'Work', '$Junk', 'x');
  const fold = (names: readonly string[]) => new Set(names.map((name) => name.toLowerCase()));

  it('change as sets do, case aside', () => {
    fc.assert(
      fc.property(fc.array(flag), fc.array(flag), (before, given) => {
        const change = (kind: 'add' | 'remove' | 'replace') =>
          fold(decodeFlags(applyFlags(encodeFlags(before), kind, encodeFlags(given))));
        expect(change('add')).toEqual(fold([...before, ...given]));
        const gone = fold(given);
        const left = [...fold(before)].filter((name) => !gone.has(name));
        expect(change('remove')).toEqual(new Set(left));
        expect(change('replace')).toEqual(fold(given));
      }),
    );
  });
});
