import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ImapSyntaxError } from './errors.ts';
import { decodeMailboxName, encodeMailboxName } from './utf7.ts';

describe('RFC 3501 §5.1.3', () => {
  test.each([
    ['INBOX', 'INBOX'],
    ['Entwürfe', 'Entw&APw-rfe'],
    ['R&D', 'R&-D'],
    ['~peter/mail/台北/日本語', '~peter/mail/&U,BTFw-/&ZeVnLIqe-'],
    ['Hello 😀', 'Hello &2D3eAA-'],
    ['&', '&-'],
    ['a\tb', 'a&AAk-b'],
  ])('%s', (name, wire) => {
    expect(encodeMailboxName(name)).toBe(wire);
    expect(decodeMailboxName(wire)).toBe(name);
  });
});

test.each([
  ['a shift without end', '&Jjo'],
  ['a lone ampersand', 'R&D'],
  ['superfluous shift', '&Jjo-&Jjo-'],
  ['printable ASCII in a shift', '&AGE-'],
  ['8-bit octets', 'Entw\xfcrfe'],
  ['a lone surrogate', '&2D0-'],
  ['half a character', '&AP-'],
  ['bits left over', '&APx-'],
])('refuses %s', (_, wire) => {
  expect(() => decodeMailboxName(wire)).toThrow(ImapSyntaxError);
});

test('every name comes back', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (name) => {
      const wire = encodeMailboxName(name);
      expect(wire).toMatch(/^[\x20-\x7e]*$/);
      expect(decodeMailboxName(wire)).toBe(name);
    }),
  );
});

test('each name has one writing', () => {
  const wires = fc.string({ unit: fc.constantFrom(...'&-aA,/+Zo4') });
  fc.assert(
    fc.property(wires, (wire) => {
      let name: string;
      try {
        name = decodeMailboxName(wire);
      } catch (error) {
        expect(error).toBeInstanceOf(ImapSyntaxError);
        return;
      }
      expect(encodeMailboxName(name)).toBe(wire);
    }),
  );
});
