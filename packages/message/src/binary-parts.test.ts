import { describe, expect, test } from 'vitest';
import { BASE64_PIECE_OCTETS, encodeBase64Lines, encodeBinaryParts } from './binary-parts.ts';

/** Characters are octets; "|" is CRLF. */
const octets = (text: string): Buffer => Buffer.from(text.replaceAll('|', '\r\n'), 'latin1');

/** The message with its changes made. */
function changed(text: string): string | undefined {
  const raw = octets(text);
  const changes = encodeBinaryParts(raw);
  if (changes === undefined) return undefined;
  let at = 0;
  const pieces: string[] = [];
  for (const { start, end, text } of changes) {
    expect(start).toBeGreaterThanOrEqual(at);
    const instead = text ?? encodeBase64Lines(raw.subarray(start, end)).toString();
    pieces.push(raw.toString('latin1', at, start), instead);
    at = end;
  }
  return [...pieces, raw.toString('latin1', at)].join('').replaceAll('\r\n', '|');
}

const BINARY = 'Content-Transfer-Encoding: binary|';
const BASE64 = 'Content-Transfer-Encoding: base64|';
const MIXED = 'Content-Type: multipart/mixed; boundary=x|';
const SIGNED = 'Content-Type: multipart/signed; boundary=s|';

describe('goes into base64', () => {
  test.each([
    ['a message with NUL', `${BINARY}|a\0b`, `${BASE64}|YQBi|`],
    ['with bare line feeds', `${BINARY}|a\nb|`, `${BASE64}|YQpiDQo=|`],
    ['with one at its beginning', `${BINARY}|\na`, `${BASE64}|CmE=|`],
    [
      'with fields around, and two encodings',
      `A: b|Content-Transfer-Encoding:|\tBinary (really)|C: d|content-transfer-encoding: 8bit|E: f||\0`,
      `A: b|${BASE64}C: d|E: f||AA==|`,
    ],
    [
      'a part',
      `${MIXED}${BINARY}|--x||text|--x|Content-Type: a/b|${BINARY}|\0\n|--x--|`,
      `${MIXED}${BINARY}|--x||text|--x|Content-Type: a/b|${BASE64}|AAo=||--x--|`,
    ],
    [
      'a part of a message in a part, and one behind it',
      `${MIXED}|--x|Content-Type: message/rfc822|${BINARY}|${BINARY}|\0|--x|${BINARY}|\0\0|--x--|`,
      `${MIXED}|--x|Content-Type: message/rfc822|${BINARY}|${BASE64}|AA==||--x|${BASE64}|AAA=||--x--|`,
    ],
    [
      'what is beside something signed',
      `${MIXED}|--x|${SIGNED}|--s||text|--s|Content-Type: a/b||sig|--s--|--x|${BINARY}|\0|--x--|`,
      `${MIXED}|--x|${SIGNED}|--s||text|--s|Content-Type: a/b||sig|--s--|--x|${BASE64}|AA==||--x--|`,
    ],
    [
      'what is encrypted',
      `Content-Type: application/pkcs7-mime|${BINARY}|\0`,
      `Content-Type: application/pkcs7-mime|${BASE64}|AA==|`,
    ],
  ])('%s', (_, text, expected) => expect(changed(text)).toBe(expected));
});

describe('stays as it is', () => {
  test.each([
    ['binary that is text', `${BINARY}|a|b|`],
    ['binary with bare carriage returns', `${BINARY}|a\rb|`],
    ['what says it is something else', 'Content-Transfer-Encoding: 8bit||a\0b|'],
    ['what says nothing', '|a\0b|'],
    ['headers and what is around parts', `${MIXED}${BINARY}|\0|--x||text|--x--|\0|`],
    ['what is signed and binary in name only', `${SIGNED}|--s|${BINARY}|text|--s||sig|--s--|`],
  ])('%s', (_, text) => expect(changed(text)).toBe(text));
});

describe('may not be changed', () => {
  test.each([
    ['what is signed', `${SIGNED}|--s|${BINARY}|\0|--s||sig|--s--|`],
    [
      'in a message that is signed',
      `${SIGNED}|--s|Content-Type: message/rfc822||${BINARY}|\0|--s||sig|--s--|`,
    ],
    [
      'a multipart that cannot be divided',
      `Content-Type: multipart/mixed|${BINARY}|--x||\0|--x--|`,
    ],
    ['a piece of a message', `Content-Type: message/partial; id=1|${BINARY}|\0`],
  ])('%s', (_, text) => expect(changed(text)).toBeUndefined());

  test('what is nested too deep', () => {
    const nested = 'Content-Type: message/rfc822|Content-Transfer-Encoding: binary||'.repeat(50);
    expect(changed(`${nested}${BINARY}|\0`)).toBeUndefined();
  });
});

describe('base64', () => {
  test.each([0, 1, 56, 57, 58, 114, BASE64_PIECE_OCTETS])('of %i octets', (length) => {
    const octets = Buffer.from(Uint8Array.from({ length }, (_, at) => at));
    const lines = encodeBase64Lines(octets).toString();
    expect(Buffer.from(lines, 'base64')).toEqual(octets);
    expect(lines === '' || lines.endsWith('\r\n')).toBe(true);
    expect(Math.max(...lines.split('\r\n').map((line) => line.length))).toBeLessThanOrEqual(76);
  });

  test('of pieces is that of the whole', () => {
    const octets = Buffer.alloc(BASE64_PIECE_OCTETS + 5, 'piece');
    const pieces = [octets.subarray(0, BASE64_PIECE_OCTETS), octets.subarray(BASE64_PIECE_OCTETS)];
    expect(Buffer.concat(pieces.map(encodeBase64Lines))).toEqual(encodeBase64Lines(octets));
  });
});
