import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Parameter } from './body-structure.ts';
import { decodeParameters } from './parameter-values.ts';

it.each<[string, Parameter[], Parameter[]]>([
  ['plain', [['name', 'a*b']], [['name', 'a*b']]],
  // RFC 2231 §3
  [
    'continuations in any order',
    [
      ['access-type', 'URL'],
      ['url*1', 'cs.utk.edu/pub'],
      ['url*0', 'ftp://'],
    ],
    [
      ['access-type', 'URL'],
      ['url', 'ftp://cs.utk.edu/pub'],
    ],
  ],
  // RFC 2231 §4
  [
    'a charset',
    [['title*', "us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A"]],
    [['title*', 'This is ***fun***']],
  ],
  // RFC 2231 §4.1
  [
    'both',
    [
      ['title*0*', "us-ascii'en'This%20is%20even%20more%20"],
      ['title*1*', '%2A%2A%2Afun%2A%2A%2A%20'],
      ['title*2', "isn't it!"],
    ],
    [['title*', "This is even more ***fun*** isn't it!"]],
  ],
  [
    'a character in two segments',
    [
      ['filename*0*', "utf-8''gr%C3"],
      ['filename*1*', '%BC%C3%9Fe'],
    ],
    [['filename*', 'grüße']],
  ],
  ['another charset', [['filename*', "iso-8859-1'de'gr%FC%DFe"]], [['filename*', 'grüße']]],
  ['no line end, no NUL', [['f*', "utf-8''a%0D%0A%00b"]], [['f*', 'a b']]],
])('%s', (_, parameters, expected) => expect(decodeParameters(parameters)).toEqual(expected));

it.each<[string, Parameter[]]>([
  ['without the first', [['url*1', 'x']]],
  [
    'with one missing',
    [
      ['url*0', 'x'],
      ['url*2', 'y'],
    ],
  ],
  [
    'given twice',
    [
      ['url*0', 'x'],
      ['url*0', 'y'],
    ],
  ],
  ['an unknown charset', [['f*', "x-unheard-of''x"]]],
  ['no charset', [['f*', 'x%41']]],
  [
    'a charset only behind',
    [
      ['f*0', 'x'],
      ['f*1*', "utf-8''x"],
    ],
  ],
])('stays as it is: %s', (_, parameters) =>
  expect(decodeParameters(parameters)).toEqual(parameters),
);

it('gives back what was split', () => {
  const texts = fc
    .string({ unit: 'grapheme', maxLength: 40 })
    .filter((text) => !/[\r\n\0\ufeff]/.test(text));
  fc.assert(
    fc.property(texts, fc.integer({ min: 1, max: 9 }), (text, length) => {
      const encoded = [...Buffer.from(text)].map(
        (octet) => `%${octet.toString(16).padStart(2, '0')}`,
      );
      const parameters: Parameter[] = [];
      for (let at = 0; at < encoded.length; at += length) {
        const value = encoded.slice(at, at + length).join('');
        parameters.push([`f*${parameters.length}*`, at === 0 ? `utf-8''${value}` : value]);
      }
      expect(decodeParameters(parameters)).toEqual(text === '' ? [] : [['f*', text]]);
    }),
  );
});

it('takes anything', () => {
  const names = fc.string({ unit: fc.constantFrom(...'ab*01'), maxLength: 6 });
  const values = fc.string({ unit: fc.constantFrom(..."a%41'é"), maxLength: 8 });
  fc.assert(
    fc.property(fc.array(fc.tuple(names, values), { maxLength: 8 }), (parameters) => {
      expect(decodeParameters(parameters).length).toBeLessThanOrEqual(parameters.length);
    }),
  );
});
