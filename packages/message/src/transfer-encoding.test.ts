import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  createTransferDecoder,
  decodeQuotedPrintable,
  decodeTransfer,
} from './transfer-encoding.ts';

it.each([
  ['a=3D=c3=BC', 'a=ü'],
  ['soft=\r\nbreak', 'softbreak'],
  ['soft= \t\nbreak', 'softbreak'],
  ['=', '='],
  ['=4', '=4'],
  ['==41', '=A'],
  ['=zz=\r', '=zz=\r'],
  ['ends with a break=\r\n', 'ends with a break'],
  [`far${'='.padEnd(999)}\r\nbreak`, 'farbreak'],
  [`no${'='.padEnd(1000)}\r\nbreak`, `no${'='.padEnd(1000)}\r\nbreak`],
])('quoted-printable %j', (text, expected) => {
  expect(decodeQuotedPrintable(Buffer.from(text)).toString()).toBe(expected);
});

it('quoted-printable of any octets comes back', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), (octets, other) => {
      const encoded = [...octets].map((octet) => `=${octet.toString(16).padStart(2, '0')}`);
      expect(decodeQuotedPrintable(Buffer.from(encoded.join('')))).toEqual(Buffer.from(octets));
      expect(decodeQuotedPrintable(Buffer.from(other)).length).toBeLessThanOrEqual(other.length);
    }),
  );
});

it.each([
  ['base64', 'w7w=', 'ü'],
  ['8bit', 'a=41', 'a=41'],
  ['x-unknown', 'a=41', 'a=41'],
])('%s', (encoding, text, expected) => {
  expect(decodeTransfer(Buffer.from(text), encoding).toString()).toBe(expected);
});

describe('piece by piece', () => {
  function decodePieces(encoding: string, octets: Buffer, sizes: readonly number[]): Buffer {
    let decoder = createTransferDecoder(encoding);
    if (decoder === undefined) throw new Error('an encoding that is known');
    const decoded: Buffer[] = [];
    let at = 0;
    for (const size of sizes) {
      const before = decoder;
      decoder = decoder.copy();
      // goes its own way from here
      before.decode(Buffer.from('=4QUJD='));
      decoded.push(decoder.decode(octets.subarray(at, at + size)));
      at += size;
    }
    return Buffer.concat([...decoded, decoder.decode(octets.subarray(at)), decoder.end()]);
  }

  // what matters to the encodings, and what should not
  const pieces = fc.oneof(
    fc.constantFrom(
      '=',
      ' ',
      '\t',
      '\r',
      '\n',
      '\r\n',
      '=\r\n',
      '=3D',
      '=c3',
      'QUJD',
      '==',
      '\0',
      '\xff',
    ),
    fc.constantFrom('='.padEnd(998), '='.padEnd(999), '='.padEnd(1000)),
    fc.string({ unit: fc.constantFrom(...'AbZ09+/-_'), maxLength: 9 }),
  );
  const texts = fc
    .array(pieces, { maxLength: 30 })
    .map((all) => Buffer.from(all.join(''), 'latin1'));
  const sizes = fc.array(fc.nat(12), { maxLength: 40 });

  it.each(['7bit', '8bit', 'binary', 'base64', 'quoted-printable'])('%s', (encoding) => {
    fc.assert(
      fc.property(texts, sizes, (octets, cuts) => {
        expect(decodePieces(encoding, octets, cuts)).toEqual(decodeTransfer(octets, encoding));
      }),
      { numRuns: 1000 },
    );
  });

  it('holds no more than a line', () => {
    const decoder = createTransferDecoder('quoted-printable');
    const blanks = Buffer.from('='.padEnd(100_000));
    expect(decoder?.decode(blanks).length).toBe(100_000);
    const noise = createTransferDecoder('base64');
    expect(noise?.decode(Buffer.from('QU\r\n'.padEnd(100_000, '*'))).length).toBe(0);
    expect(noise?.decode(Buffer.from('JDRA')).toString()).toBe('ABC');
    expect(noise?.end().toString()).toBe('D');
  });

  it('knows the five encodings of RFC 2045 and no other', () => {
    expect(createTransferDecoder('x-uuencode')).toBeUndefined();
  });
});
