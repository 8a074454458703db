import { describe, expect, test } from 'vitest';
import { encodeAstring, encodeNullable, encodeString } from './response.ts';

describe('encodeString', () => {
  test.each([
    ['', '""'],
    ['plain', '"plain"'],
    [String.raw`a "b" \c`, String.raw`"a \"b\" \\c"`],
    ['Grüße', '{7}\r\nGrüße'],
    ['line\r\nbreak', '{11}\r\nline\r\nbreak'],
    ['nul\0', '{4}\r\nnul\0'],
    ['x'.repeat(1001), `{1001}\r\n${'x'.repeat(1001)}`],
  ])('%j', (text, wire) => expect(encodeString(text)).toBe(wire));
});

test.each([
  ['INBOX', 'INBOX'],
  ['a]b', '"a]b"'],
  ['with space', '"with space"'],
  ['nil', '"nil"'],
  ['', '""'],
  ['50%', '"50%"'],
])('encodeAstring %j', (text, wire) => expect(encodeAstring(text)).toBe(wire));

test('NIL is no string', () => {
  expect(encodeNullable(null)).toBe('NIL');
  expect(encodeNullable(undefined)).toBe('NIL');
  expect(encodeNullable('NIL')).toBe('"NIL"');
});
