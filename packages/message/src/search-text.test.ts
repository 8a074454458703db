import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeWords } from './encoded-words.ts';
import {
  fieldHas,
  foldedPiece,
  foldText,
  headerTexts,
  type SearchedPiece,
  searchedPieces,
  searchTexts,
} from './search-text.ts';
import { parseMessage } from './structure.ts';

describe('RFC 2047 words', () => {
  it.each([
    ['plain', 'plain'],
    ['=?utf-8?q?J=C3=BCrgen?=', 'Jürgen'],
    ['=?ISO-8859-1?Q?a_b=E4?= <x@y>', 'a bä <x@y>'],
    ['=?utf-8?b?w7w=?= =?utf-8?B?w7w=?=', 'üü'],
    ['=?utf-8?b?4oI=?= =?utf-8?b?rA==?=', '€'],
    ['=?utf-8?q?a?= b =?utf-8?q?c?=', 'a b c'],
    ['=?utf-8*en?q?a?=', 'a'],
    ['=?no-such-charset?q?a?=', '=?no-such-charset?q?a?='],
    ['=?koi8-r?b?0NLJ18XU?=', 'привет'],
    ['=?utf-8?x?a?= =?', '=?utf-8?x?a?= =?'],
  ])('%s', (text, expected) => {
    expect(decodeWords(text)).toBe(expected);
  });

  it('round-trip', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }), (text) => {
        const word = `=?utf-8?b?${Buffer.from(text).toString('base64')}?=`;
        expect(decodeWords(word)).toBe(text);
      }),
    );
    fc.assert(fc.property(fc.string(), (text) => typeof decodeWords(text) === 'string'));
  });
});

describe('searchable text', () => {
  const raw = Buffer.from(
    [
      'Subject: =?utf-8?q?Gr=C3=BCn?=',
      'Content-Type: multipart/mixed; boundary=x',
      '',
      '--x',
      'Content-Type: text/plain; charset=iso-8859-1',
      'Content-Transfer-Encoding: quoted-printable',
      '',
      'soft=',
      'line =E4',
      '--x',
      'Content-Type: text/plain; charset=utf-8',
      'Content-Transfer-Encoding: base64',
      '',
      Buffer.from('Überall').toString('base64'),
      '--x',
      'Content-Type: application/octet-stream',
      '',
      'not text',
      '--x',
      'Content-Type: message/delivery-status',
      '',
      'Final-Recipient: rfc822; ada@example.test',
      '--x',
      'Content-Type: message/rfc822',
      '',
      'Subject: within',
      '',
      'innermost',
      '--x--',
    ].join('\r\n'),
  );

  const textOf = (octets: Buffer, piece: SearchedPiece): string =>
    foldedPiece(octets.subarray(piece.start, piece.end), piece);

  it('is decoded, of parts with their headers and of messages within, in their order', () => {
    const pieces = searchedPieces(parseMessage(raw));
    expect(pieces.map((piece) => [piece.kind, textOf(raw, piece)])).toEqual([
      ['header', '\x1fsubject: grün\x1fcontent-type: multipart/mixed; boundary=x'],
      [
        'header',
        '\x1fcontent-type: text/plain; charset=iso-8859-1\x1fcontent-transfer-encoding: quoted-printable',
      ],
      ['text', 'softline ä'],
      [
        'header',
        '\x1fcontent-type: text/plain; charset=utf-8\x1fcontent-transfer-encoding: base64',
      ],
      ['text', 'überall'],
      ['header', '\x1fcontent-type: application/octet-stream'],
      ['header', '\x1fcontent-type: message/delivery-status'],
      ['text', 'final-recipient: rfc822; ada@example.test'],
      ['header', '\x1fcontent-type: message/rfc822'],
      ['header', '\x1fsubject: within'],
      ['text', 'innermost'],
    ]);
  });

  it('gives the fields of a header', () => {
    const header = Buffer.from('Subject: =?utf-8?q?Gr=C3=BCn?=\r\nX: 1\r\nsubject: 2\r\n\r\n');
    expect([...headerTexts(header)]).toEqual([
      ['subject', ['Grün', '2']],
      ['x', ['1']],
    ]);
  });

  it('is bounded, headers and texts each', () => {
    const header = `Subject: ${'s'.repeat(300_000)}\r\n`;
    const parts = Array.from({ length: 3 }, () => `--x\r\n\r\n${'t'.repeat(2_000_000)}\r\n`);
    const type = 'Content-Type: multipart/mixed; boundary=x\r\n\r\n';
    const large = Buffer.from(`${header}${type}${parts.join('')}--x--\r\n`);
    const lengths = searchedPieces(parseMessage(large)).map(({ kind, start, end }) => [
      kind,
      end - start,
    ]);
    expect(lengths).toEqual([
      ['header', 262_144],
      ['text', 2_000_000],
      ['text', 2_000_000],
      ['text', 194_304],
    ]);
  });

  it('takes any octets', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (octets) => {
        const [first, ...rest] = searchedPieces(parseMessage(octets));
        expect(first?.kind).toBe('header');
        for (const piece of rest) {
          expect(() => textOf(Buffer.from(octets), piece)).not.toThrow();
        }
      }),
    );
  });
});

describe('folded text', () => {
  it.each([
    ['Grüße', 'grüße'],
    ['ΟΔΟΣ', 'οδοσ'],
    ['İ', 'i\u0307'],
    ['a\0b\x1ec\x1fd', 'a\ufffdb\ufffdc\ufffdd'],
    ['\ud83d', '\ufffd'],
  ])('%j', (text, folded) => {
    expect(foldText(text)).toBe(folded);
  });

  it('of a part is part of the whole', () => {
    const text = fc.string({ unit: 'binary' });
    fc.assert(
      fc.property(text, text, text, (before, part, after) => {
        expect(foldText(before + part + after)).toBe(
          foldText(before) + foldText(part) + foldText(after),
        );
      }),
    );
  });
});

describe('what SEARCH looks through', () => {
  const textsOf = (raw: string) => {
    const octets = Buffer.from(raw);
    return searchTexts(parseMessage(octets), ({ start, end }) => octets.subarray(start, end));
  };
  const forwarded = [
    'Subject: =?utf-8?q?Gr=C3=9Cn_=1Ffrom:_me?=',
    'X-A: One',
    'x-a: Two',
    'Content-Type: message/rfc822',
    '',
    'From: Me',
    '',
    'Body',
  ].join('\r\n');

  it('is each field behind a mark, and each piece before one', () => {
    expect(textsOf(forwarded)).toEqual({
      header:
        '\x1fsubject: grün \ufffdfrom: me\x1fx-a: one\x1fx-a: two' +
        '\x1fcontent-type: message/rfc822\x1e\x1ffrom: me\x1e',
      body: 'body\x1e',
      headerIsCut: false,
      bodyIsCut: false,
    });
  });

  it.each([
    ['subject', 'grün', true],
    ['subject', 'one', false],
    ['x-a', 'two', true],
    ['x-a', 'one\x1fx-a: two', false],
    ['a', 'one', false],
    ['from', '', false],
    ['x-a', '', true],
  ])('has in %s %j: %s', (name, value, has) => {
    expect(fieldHas(textsOf(forwarded).header, name, value)).toBe(has);
  });

  it('is cut where it is long, and says so', () => {
    const long = textsOf(`X: ${'x'.repeat(10)}\r\n\r\n${'y'.repeat(300_000)}`);
    expect(long).toMatchObject({ headerIsCut: false, bodyIsCut: true });
    expect(long.body).toHaveLength(262_144);
    const fields = textsOf(`${`X: ${'x'.repeat(50_000)}\r\n`.repeat(2)}\r\nbody`);
    expect(fields).toMatchObject({ headerIsCut: true, bodyIsCut: false, body: 'body\x1e' });
    expect(fields.header).toHaveLength(65_536);
  });
});
