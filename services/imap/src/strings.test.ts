import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Lexer, literalHead } from './parser/lexer.ts';
import { parseOneMailbox } from './parser/mailbox.ts';
import { ASCII_STRINGS, encodeString, UTF8_STRINGS } from './strings.ts';

describe('strings in ASCII', () => {
  test.each([
    ['', '""'],
    ['plain', '"plain"'],
    [String.raw`a "b" \c`, String.raw`"a \"b\" \\c"`],
    ['Grüße', '{7}\r\nGrüße'],
    ['line\r\nbreak', '{11}\r\nline\r\nbreak'],
    ['nul\0', '{4}\r\nnul\0'],
    ['x'.repeat(1001), `{1001}\r\n${'x'.repeat(1001)}`],
  ])('%j', (text, wire) => {
    expect(encodeString(text)).toBe(wire);
    expect(ASCII_STRINGS.string(text)).toBe(wire);
  });
});

describe('strings in UTF-8', () => {
  test.each([
    ['plain', '"plain"'],
    ['Grüße "😀"', String.raw`"Grüße \"😀\""`],
    ['line\nbreak ü', '{13}\r\nline\nbreak ü'],
    ['\u0085', '{2}\r\n\u0085'],
  ])('%j', (text, wire) => expect(UTF8_STRINGS.string(text)).toBe(wire));
});

test.each([
  ['INBOX', 'INBOX'],
  ['a]b', '"a]b"'],
  ['with space', '"with space"'],
  ['nil', '"nil"'],
  ['', '""'],
  ['50%', '"50%"'],
])('astring %j', (text, wire) => expect(ASCII_STRINGS.astring(text)).toBe(wire));

test('NIL is no string', () => {
  expect(ASCII_STRINGS.nullable(null)).toBe('NIL');
  expect(ASCII_STRINGS.nullable(undefined)).toBe('NIL');
  expect(ASCII_STRINGS.nullable('NIL')).toBe('"NIL"');
});

test.each([
  ['Entwürfe & Co', '"Entw&APw-rfe &- Co"', '"Entwürfe & Co"'],
  ['R&D', 'R&-D', 'R&D'],
  ['台北', '&U,BTFw-', '"台北"'],
])('mailbox %j', (name, ascii, utf8) => {
  expect(ASCII_STRINGS.mailbox(name)).toBe(ascii);
  expect(UTF8_STRINGS.mailbox(name)).toBe(utf8);
});

test('mailbox names are read as they are written', () => {
  const names = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(names, fc.boolean(), (name, utf8) => {
      const encoder = utf8 ? UTF8_STRINGS : ASCII_STRINGS;
      const wire = Buffer.from(` ${encoder.mailbox(name)}`).toString('latin1');
      const [head = '', rest] = wire.split('\r\n', 2);
      const text =
        literalHead(head) === undefined || rest === undefined
          ? { lines: [wire], literals: [] }
          : { lines: [head, ''], literals: [[Buffer.from(wire.slice(head.length + 2), 'latin1')]] };
      expect(parseOneMailbox(new Lexer(text, { utf8 }))).toBe(name);
    }),
  );
});
