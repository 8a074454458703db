import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CertificateError } from './errors.ts';
import { readPem, writePem } from './pem.ts';

describe('readPem', () => {
  it('passes text between blocks over and keeps order and labels', () => {
    const text = `Bag Attributes\r\n    friendlyName: a\r\n${writePem('ONE', Buffer.from('1'))}subject=CN = x\n\n${writePem('TWO', Buffer.from('2')).replaceAll('\n', '\r\n')}end`;
    expect(readPem(text).map(({ label, der }) => [label, der.toString()])).toEqual([
      ['ONE', '1'],
      ['TWO', '2'],
    ]);
  });

  it('reads the headers of old encrypted keys', () => {
    const [block] = readPem(
      '-----BEGIN X-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00FF\n\nAAEC\n-----END X-----\n',
    );
    expect(Object.fromEntries(block?.headers ?? [])).toEqual({
      'Proc-Type': '4,ENCRYPTED',
      'DEK-Info': 'AES-128-CBC,00FF',
    });
    expect(block?.der).toEqual(Buffer.from([0, 1, 2]));
  });

  it.each([
    ['a block without end', '-----BEGIN A-----\nAAAA\n'],
    ['a block with another end', '-----BEGIN A-----\nAAAA\n-----END B-----'],
    ['an unfinished first line', '-----BEGIN A'],
    ['a label of several lines', '-----BEGIN A\nB-----\nAAAA\n-----END A\nB-----'],
    ['something else than Base64', '-----BEGIN A-----\n<html>\n-----END A-----'],
    ['nothing inside', '-----BEGIN A-----\n-----END A-----'],
    ['headers without end', '-----BEGIN A-----\nDEK-Info: x\nAAAA-----END A-----'],
  ])('refuses %s', (_, text) => {
    expect(() => readPem(text)).toThrow(CertificateError);
  });

  it('reads back what writePem wrote', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), fc.string(), (der, junk) => {
        const text = `${junk}\n${writePem('DATA', der)}`;
        expect(text.split('\n').every((line) => line.length <= Math.max(64, junk.length))).toBe(
          true,
        );
        expect(readPem(text).map((block) => [...block.der])).toEqual([[...der]]);
      }),
    );
  });

  it('is linear on beginnings without end', () => {
    expect(() => readPem('-----BEGIN A-----'.repeat(15_000))).toThrow(CertificateError);
  });
});
