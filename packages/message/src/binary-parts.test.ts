import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BASE64_PIECE_OCTETS, encodeBase64Lines, encodeBinaryParts } from './binary-parts.ts';
import { parseMessage } from './structure.ts';
import { CORPUS } from './testing/corpus/index.ts';
import { everyPart } from './testing/sound-structure.ts';
import { decodeTransfer } from './transfer-encoding.ts';

/** Characters are octets; "|" is CRLF. */
const octets = (text: string): Buffer => Buffer.from(text.replaceAll('|', '\r\n'), 'latin1');

/** The message with its changes made. */
function change(raw: Buffer): Buffer | undefined {
  const changes = encodeBinaryParts(raw);
  if (changes === undefined) return undefined;
  let at = 0;
  const pieces: Uint8Array[] = [];
  for (const { start, end, text } of changes) {
    expect(start).toBeGreaterThanOrEqual(at);
    const instead = text === undefined ? encodeBase64Lines(raw.subarray(start, end)) : octets(text);
    pieces.push(raw.subarray(at, start), instead);
    at = end;
  }
  return Buffer.concat([...pieces, raw.subarray(at)]);
}

const changed = (text: string) => change(octets(text))?.toString('latin1').replaceAll('\r\n', '|');

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

describe('in any message', () => {
  const leavesOf = (raw: Buffer) =>
    everyPart(parseMessage(raw).root).filter((part) => part.kind === 'leaf');
  /** Leaves that have a header, with its blank line, and a body. */
  const DIVIDED = Object.values(CORPUS)
    .flat()
    .filter(({ raw }) => raw.length < 4_000)
    .flatMap(({ name, raw }) => leavesOf(raw).map((leaf, number) => ({ name, raw, leaf, number })))
    .filter(({ raw, leaf }) =>
      /(^|\r\n)\r\n$/.test(raw.toString('latin1', leaf.headerStart, leaf.bodyStart)),
    );

  test('a part that is made binary comes back as it was, and the others too', () => {
    const octet = fc.oneof(fc.constantFrom(0, 10, 13), fc.nat(255));
    fc.assert(
      fc.property(
        fc.constantFrom(...DIVIDED),
        fc.array(octet, { maxLength: 100 }),
        (one, added) => {
          const { raw, leaf, number } = one;
          const binary = Buffer.concat([
            raw.subarray(0, leaf.headerStart),
            octets(BINARY),
            raw.subarray(leaf.headerStart, leaf.bodyStart),
            Buffer.from(added),
            raw.subarray(leaf.bodyStart),
          ]);
          const before = leavesOf(binary);
          const stored = change(binary);
          if (stored === undefined) return;
          const after = leavesOf(stored);
          expect(after).toHaveLength(before.length);
          for (const [at, { bodyStart, bodyEnd, encoding }] of after.entries()) {
            const was = before[at];
            const body = binary.subarray(was?.bodyStart, was?.bodyEnd);
            const now = stored.subarray(bodyStart, bodyEnd);
            expect(at === number ? decodeTransfer(now, encoding) : now).toEqual(body);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});
