import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AuthError } from '../errors.ts';
import { parsePlain } from './plain.ts';
import { decodeResponse } from './response.ts';

const plain = (text: string) => parsePlain(Buffer.from(text, 'utf8'));

describe('PLAIN (RFC 4616)', () => {
  it.each([
    ['\0alice@example.test\0secret', 'alice@example.test', 'secret', undefined],
    ['root\0alice@example.test\0secret', 'alice@example.test', 'secret', 'root'],
    ['\0jürgen@example.test\0pä ß wörd', 'jürgen@example.test', 'pä ß wörd', undefined],
  ])('reads %j', (text, address, password, authorizationId) => {
    expect(plain(text)).toEqual({ address, password, authorizationId });
  });

  it.each([
    ['nothing', ''],
    ['one field', 'alice'],
    ['two fields', 'alice\0secret'],
    ['four fields', '\0alice\0secret\0'],
    ['no name', '\0\0secret'],
    ['no password', '\0alice\0'],
    ['a long field', `\0alice\0${'x'.repeat(511)}`],
  ])('refuses %s', (_, text) => {
    expect(() => plain(text)).toThrow(expect.objectContaining({ code: 'malformed-response' }));
  });

  it('refuses what is no UTF-8', () => {
    expect(() => parsePlain(Buffer.from([0, 0x61, 0, 0xff]))).toThrow(AuthError);
  });

  it('round-trips and throws nothing but AuthError', () => {
    const word = fc
      .string({ minLength: 1, maxLength: 80, unit: 'grapheme' })
      .filter((text) => !text.includes('\0'));
    fc.assert(
      fc.property(word, word, (address, password) => {
        const authorizationId = undefined;
        expect(plain(`\0${address}\0${password}`)).toEqual({
          address,
          password,
          authorizationId,
        });
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (octets) => {
        try {
          parsePlain(octets);
        } catch (error) {
          expect(error).toBeInstanceOf(AuthError);
        }
      }),
    );
  });
});

describe('decodeResponse', () => {
  it('round-trips base64 and takes "=" for nothing', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 1024 }), (octets) => {
        expect(decodeResponse(Buffer.from(octets).toString('base64'))).toEqual(Buffer.from(octets));
      }),
    );
    expect(decodeResponse('=')).toEqual(Buffer.alloc(0));
    expect(decodeResponse('')).toEqual(Buffer.alloc(0));
  });

  it.each(['a', 'abc', 'ab==cd==', 'ab c', 'a===', 'YWJj!', 'A'.repeat(12_292)])(
    'refuses %s',
    (text) => {
      expect(() => decodeResponse(text)).toThrow(
        expect.objectContaining({ code: 'malformed-response' }),
      );
    },
  );

  it('knows when the client gives up', () => {
    expect(() => decodeResponse('*')).toThrow(expect.objectContaining({ code: 'cancelled' }));
  });
});
