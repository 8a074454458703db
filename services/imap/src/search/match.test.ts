import { fieldHas, foldText, parseMessage, searchTexts } from '@mail/message';
import { type MessageSummary, type SoughtText, UidSet } from '@mail/store';
import { describe, expect, test } from 'vitest';
import { MailboxView } from '../mailbox-view.ts';
import { Lexer } from '../parser/lexer.ts';
import { parseSearch } from '../parser/search.ts';
import { type Candidate, compileSearch } from './match.ts';

const RAW = Buffer.from(
  [
    'Date: Tue, 3 Mar 2026 23:59:59 -0800',
    'From: =?utf-8?q?J=C3=B6rg?= <joerg@example.test>',
    'Subject: =?utf-8?q?Bericht_f=C3=BCr_M=C3=A4rz?=',
    'Content-Type: text/plain; charset=iso-8859-1',
    'Content-Transfer-Encoding: quoted-printable',
    '',
    'Stra=DFe',
    '',
  ].join('\r\n'),
);
const structure = parseMessage(RAW);
const { header, body } = searchTexts(structure, ({ start, end }) => RAW.subarray(start, end));
const has = ({ value, within }: SoughtText): boolean => {
  const text = foldText(value);
  if (typeof within !== 'string') return fieldHas(header, within.field.toLowerCase(), text);
  return (within === 'body' ? body : header + body).includes(text);
};
const message: MessageSummary = {
  uid: 7,
  flags: ['\\Seen', 'Work'],
  modSeq: 1,
  size: RAW.length,
  internalDate: new Date('2026-03-05T00:30:00Z'),
  savedAt: Date.parse('2026-03-06T23:59:59Z'),
};
const uids = new UidSet();
uids.add(7);
const view = new MailboxView({
  uids,
  uidNext: 8,
  highestModSeq: 1,
  firstUnseen: undefined,
  keywords: [],
});
const known: Candidate = { sequence: 1, uid: 7, message, emailId: 'm' };

const NOW = Date.UTC(2026, 10, 24);
const keyOf = (text: string) => {
  const wire = Buffer.from(` CHARSET UTF-8 ${text}`).toString('latin1');
  return parseSearch(new Lexer({ lines: [wire], literals: [] })).key;
};
/** By what the summary says, by what the store has found in texts, and by the structure. */
const verdicts = (text: string) => {
  const compiled = compileSearch(keyOf(text), view, NOW);
  if (compiled === 'no-such-number') return compiled;
  const texts = compiled.texts.map((sought) => new Set(has(sought) ? [7] : []));
  return [known, { ...known, texts }, { ...known, texts, structure }].map(compiled.matches);
};

test.each([
  ['ALL', true],
  ['UID 7', true],
  ['NOT 1', false],
  ['SEEN', undefined],
  ['OR ALL SEEN', true],
  ['LARGER 1', undefined],
  ['EMAILID m', undefined],
])('by its numbers alone: %s %s', (text, verdict) => {
  const compiled = compileSearch(keyOf(text), view, NOW);
  if (compiled === 'no-such-number') throw new Error('there is');
  expect(compiled.matches({ sequence: 1, uid: 7 })).toBe(verdict);
});

test.each([
  ['ALL', {}],
  ['UNSEEN', { mark: 'unseen' }],
  ['SUBJECT x NOT SEEN', { mark: 'unseen' }],
  ['DELETED 1', { mark: 'deleted', selection: expect.anything() }],
  ['UNDELETED', {}],
  ['OR UNSEEN DELETED', {}],
  ['NOT UID 7', {}],
  ['(UID 7:9)', { selection: expect.anything() }],
])('where a search begins: %s', (text, start) => {
  expect(compileSearch(keyOf(text), view, NOW)).toMatchObject({ start });
  expect(compileSearch(keyOf(text), view, NOW)).toHaveProperty('start', start);
});

describe('as little as will do is read', () => {
  test.each([
    ['ALL', [true, true, true]],
    ['SEEN KEYWORD work', [true, true, true]],
    ['UNSEEN SUBJECT "x"', [false, false, false]],
    ['SEEN SUBJECT "märz"', [undefined, true, true]],
    ['OR SEEN SUBJECT "x"', [true, true, true]],
    ['OR UNSEEN SUBJECT "x"', [undefined, false, false]],
    ['NOT FROM "jÖRG"', [undefined, false, false]],
    ['BODY "straße"', [undefined, true, true]],
    ['NOT TEXT "nowhere"', [undefined, true, true]],
    ['BODY "bericht"', [undefined, false, false]],
    ['TEXT "bericht für"', [undefined, true, true]],
    ['FROM "nobody" BODY "straße"', [undefined, false, false]],
    ['SENTON 3-Mar-2026', [undefined, undefined, true]],
    ['SENTON 3-Mar-2026 SUBJECT "x"', [undefined, false, false]],
    ['ON 5-Mar-2026', [true, true, true]],
    ['SINCE 6-Mar-2026', [false, false, false]],
    ['SAVEDON 6-Mar-2026', [true, true, true]],
    ['SAVEDSINCE 7-Mar-2026', [false, false, false]],
    ['SAVEDBEFORE 7-Mar-2026 SAVEDATESUPPORTED', [true, true, true]],
    ['HEADER X-None ""', [undefined, false, false]],
    ['HEADER subject ""', [undefined, true, true]],
    ['BODY ""', [undefined, true, true]],
    ['1 UID 7', [true, true, true]],
    ['UID 8', [false, false, false]],
    ['RECENT', [false, false, false]],
  ])('%s', (text, expected) => {
    expect(verdicts(text)).toEqual(expected);
  });
});

test('a number that is not in use', () => {
  expect(verdicts('OR ALL NOT 2')).toBe('no-such-number');
});

test.each([
  [
    'OR SEEN (NOT CC "x")',
    {
      looksAtFlags: true,
      looksAtSummary: false,
      texts: [{ value: 'x', within: { field: 'Cc' } }],
    },
  ],
  ['OR SEEN LARGER 5', { looksAtFlags: true, looksAtSummary: true, texts: [] }],
  [
    'BODY "X" (NOT TEXT "Y")',
    {
      looksAtSummary: false,
      texts: [
        { value: 'X', within: 'body' },
        { value: 'Y', within: 'text' },
      ],
    },
  ],
])('what %s looks at', (text, expected) => {
  expect(compileSearch(keyOf(text), view, NOW)).toMatchObject(expected);
});
