import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeCharset } from './charsets.ts';
import { decodeText, headerTexts, searchedPieces } from './search-text.ts';
import { parseMessage } from './structure.ts';
import { CHARSETS } from './testing/corpus/index.ts';

describe('the text of a message', () => {
  test.each(CHARSETS)('in $name', ({ raw, text }) => {
    const texts = searchedPieces(parseMessage(raw)).flatMap((piece) =>
      piece.kind === 'text' ? decodeText(raw.subarray(piece.start, piece.end), piece.part) : [],
    );
    expect(texts.join('').replace(/\s+$/, '')).toBe(text);
  });
});

describe('a word in a header', () => {
  test.each([
    ['=?utf-7?Q?Gr+APwA3w-e?=', 'Grüße'],
    ['=?UTF-16?B?/v8ARwByAPw=?=', 'Grü'],
    ['=?cp850?Q?Gr=81=E1e?=', 'Grüße'],
    ['=?iso-2022-jp?B?GyRCRnxLXDhsGyhC?=', '日本語'],
    ['=?gb18030?B?1tDOxA==?=', '中文'],
    ['=?koi8-r*ru?Q?=F0=D2=C9?=', 'При'],
    ['=?x-unheard-of?Q?a?=', '=?x-unheard-of?Q?a?='],
    ['=?base64?Q?a?=', '=?base64?Q?a?='],
  ])('%s', (word, text) => {
    const texts = headerTexts(Buffer.from(`Subject: ${word}\r\n\r\n`));
    expect(texts.get('subject')).toEqual([text]);
  });
});

test.each(['hex', 'binary', 'utf-7-imap', '__proto__', 'constructor', '', ' ', '\0', '_sbcs'])(
  '%j is no charset',
  (charset) => expect(decodeCharset(Buffer.from('00'), charset)).toBeUndefined(),
);

test('no octets are too bad for any charset', () => {
  const names = [
    ...CHARSETS.map(({ raw }) => /charset="?([\w-]+)/.exec(raw.toString('latin1'))?.[1]),
  ];
  const charset = fc.oneof(
    fc.constantFrom(...names.filter((name) => name !== undefined)),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), charset, (octets, name) => {
      expect(decodeCharset(octets, name) ?? '').toBeTypeOf('string');
    }),
    { numRuns: 2_000 },
  );
});
