import fc from 'fast-check';
import { expect, it } from 'vitest';
import { decodeQuotedPrintable, decodeTransfer } from './transfer-encoding.ts';

it.each([
  ['a=3D=c3=BC', 'a=ü'],
  ['soft=\r\nbreak', 'softbreak'],
  ['soft= \t\nbreak', 'softbreak'],
  ['=', '='],
  ['=4', '=4'],
  ['==41', '=A'],
  ['=zz=\r', '=zz=\r'],
  ['ends with a break=\r\n', 'ends with a break'],
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
