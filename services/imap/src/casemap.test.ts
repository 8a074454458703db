import fc from 'fast-check';
import { expect, test } from 'vitest';
import { collationKey, compareKeys } from './casemap.ts';

test.each([
  ['abc', 'ABC'],
  ['märz', 'MÄRZ'],
  ['a\u0308', 'Ä'],
  ['①', '1'],
  ['ǆ', 'Ǆ'],
  ['ᾳ', 'ᾼ'],
  ['σ', 'ς'],
  ['ⅷ', 'VIII'],
  ['𐐨', '𐐀'],
])('%s is %s', (one, other) => expect(collationKey(one)).toBe(collationKey(other)));

test.each([
  ['straße', 'strasse'],
  // mapped before it is taken apart, and it has no titlecase of its own
  ['ﬁ', 'FI'],
  ['a', 'b'],
  ['ა', 'Ა'],
])('%s is not %s', (one, other) => expect(collationKey(one)).not.toBe(collationKey(other)));

test.each([
  ['', 'a'],
  ['a', 'B'],
  ['Z', '{'],
  ['z', '['],
  // by octets of UTF-8, not by units of UTF-16
  ['\uff5e', '\u{10000}'],
])('%j is before %j', (one, other) => {
  expect(compareKeys(collationKey(one), collationKey(other))).toBe(-1);
  expect(compareKeys(collationKey(other), collationKey(one))).toBe(1);
});

test('a key is its own, but for its octets; case makes no difference to ASCII', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(collationKey(text.toLowerCase())).toBe(collationKey(text));
      expect(collationKey(text).length).toBe(Buffer.byteLength(text));
    }),
  );
});

test('a long text is cut', () => expect(collationKey('x'.repeat(5000))).toHaveLength(1024));
