import { describe, expect, test } from 'vitest';
import { ImapSyntaxError } from '../errors.ts';
import { Lexer, literalHead } from './lexer.ts';

const lexerOf = (line: string, ...rest: [literal: string, line: string][]): Lexer =>
  new Lexer({
    lines: [line, ...rest.map(([, next]) => next)],
    literals: rest.map(([literal]) => [Buffer.from(literal, 'latin1')]),
  });

describe('literalHead', () => {
  test.each([
    ['a APPEND x {12}', { octets: 12, binary: false, synchronising: true }],
    ['a APPEND x {12+}', { octets: 12, binary: false, synchronising: false }],
    ['{0}', { octets: 0, binary: false, synchronising: true }],
    ['a {9999999999}', { octets: 9_999_999_999, binary: false, synchronising: true }],
    ['a APPEND x ~{12+}', { octets: 12, binary: true, synchronising: false }],
    ['a APPEND x ~{9999999999999999999+}', expect.objectContaining({ binary: true })],
    ['a NOOP', undefined],
    ['a {12} ', undefined],
    ['a {-1}', undefined],
    ['a {1-}', undefined],
    ['a {99999999999}', { octets: 99_999_999_999, binary: false, synchronising: true }],
    ['a {99999999999999999999}', undefined],
  ])('%s', (line, head) => expect(literalHead(line)).toEqual(head));
});

describe('strings', () => {
  test.each([
    ['atom', 'atom'],
    ['with]bracket', 'with]bracket'],
    ['"quoted text"', 'quoted text'],
    [String.raw`"a \"b\" \\c"`, String.raw`a "b" \c`],
    ['""', ''],
    ['"\xe9"', '\xe9'],
  ])('astring %s', (text, value) => {
    const lexer = lexerOf(text);
    expect(lexer.astring()).toBe(value);
    lexer.end();
  });

  test('a literal goes on with the next line', () => {
    const lexer = lexerOf('{5}', ['ab\r\nc', ' rest']);
    expect(lexer.astring()).toBe('ab\r\nc');
    lexer.space();
    expect(lexer.atom()).toBe('rest');
    lexer.end();
  });

  test.each(['"open', String.raw`"bad \escape"`, '"nul \0"', '(', '', '%', '{5}'])(
    'no astring: %j',
    (text) => expect(() => lexerOf(text).astring()).toThrow(ImapSyntaxError),
  );

  test('a literal with NUL is refused', () => {
    expect(() => lexerOf('{1}', ['\0', '']).literalPieces()).toThrow('NUL');
  });

  test('nstring', () => {
    expect(lexerOf('NIL').nstring()).toBeUndefined();
    expect(lexerOf('nil').nstring()).toBeUndefined();
    expect(lexerOf('"NIL"').nstring()).toBe('NIL');
  });
});

describe('numbers', () => {
  test.each(['4294967296', '99999999999999999999', 'x', ''])('no number: %s', (text) =>
    expect(() => lexerOf(text).number()).toThrow(ImapSyntaxError),
  );
  test('the largest', () => expect(lexerOf('4294967295').number()).toBe(4_294_967_295));
  test('zero is not positive', () => expect(() => lexerOf('0').positive()).toThrow());
});

describe('limits', () => {
  test.each([
    ['tag', 'a'.repeat(65), (lexer: Lexer) => lexer.tag()],
    ['atom', 'a'.repeat(1025), (lexer: Lexer) => lexer.atom()],
  ])('%s too long', (_, text, read) =>
    expect(() => read(lexerOf(text))).toThrow(expect.objectContaining({ code: 'too-long' })),
  );
  test('line too long', () => {
    expect(() => lexerOf('a'.repeat(65_537))).toThrow(
      expect.objectContaining({ code: 'too-long' }),
    );
  });
  test('list too long', () => {
    const lexer = lexerOf(`(${'a '.repeat(1000)}a)`);
    expect(() => lexer.list(() => lexer.atom())).toThrow(
      expect.objectContaining({ code: 'too-many' }),
    );
  });
  test('too deep', () => {
    const lexer = lexerOf('('.repeat(1000));
    const nest = (): unknown => lexer.list(nest);
    expect(nest).toThrow(expect.objectContaining({ code: 'too-deep' }));
  });
});

test('"+" is no tag: it would look like a go-ahead', () => {
  expect(() => lexerOf('+ NOOP').tag()).toThrow(ImapSyntaxError);
});
