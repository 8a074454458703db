import { isDeepStrictEqual } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { ImapStrings } from './imap-strings.ts';
import { renderBodyStructure, renderEnvelope } from './rendering.ts';
import { decodeText } from './search-text.ts';
import { parseMessage } from './structure.ts';
import { CHARSETS, CORPUS, type CorpusEntry } from './testing/corpus/index.ts';
import { askDovecot, hasDovecot } from './testing/dovecot.ts';
import { everySection } from './testing/every-section.ts';
import { type ImapData, ImapReader, readFetches } from './testing/imap-data.ts';
import { askPython, hasPython } from './testing/python-email.ts';

/** Where Dovecot 2.3 tells something else, and why we do not. */
const DIFFERENCES: readonly (readonly [why: string, names: readonly string[]])[] = [
  [
    'texts are told in UTF-8 (RFC 9051 §4.3): Dovecot hands octets on as they are',
    ['8-bit in Latin-1', '8-bit in Shift-JIS', '8-bit in Windows-1252', 'boundary in Latin-1'],
  ],
  [
    'octets are told as they are stored: Dovecot makes LF CRLF and NUL 0x80 as it reads, here APPEND and SMTP do',
    ['NULs', 'bare line feeds', 'line ends of all kinds'],
  ],
  [
    'a type that is none is text/plain (RFC 2045 §5.2): Dovecot tells a type of two empty strings',
    [
      'Content-Type of nonsense',
      'Content-Type of three',
      'Content-Type without subtype',
      'Content-Type without type',
      'empty Content-Type',
    ],
  ],
  [
    'what is meant can be read: Dovecot gives up, or loses what follows',
    [
      'Content-Type in quotes',
      'Content-Type without a semicolon',
      'boundary that needs quotes and has none',
      'brackets that are never closed',
      'brackets that are never opened',
      'brackets twice',
      'group in a group',
      'languages with comments',
      'nothing between',
      'parameters that are hardly any',
      'quote that is never closed',
      'semicolons between',
      'transfer encodings',
    ],
  ],
  [
    "the line break in front of a boundary is the boundary's (RFC 2046 §5.1.1), also behind an inner closing one",
    [
      'apple double',
      'boundary that begins like the inner one',
      'inner boundary that begins like the outer one',
      'message in multipart in message in multipart',
    ],
  ],
  [
    'the blank line is told with its header (RFC 9051 §6.4.5.1), also where it belongs to a boundary as well',
    ['empty parts'],
  ],
  [
    'a multipart has a part (RFC 9051 §9, body-type-mpart); one that has none is text, which can be read: ' +
      'Dovecot tells an empty part that is not there',
    [
      'multipart that ends with its header',
      'multipart that is closed at once',
      'multipart whose boundary is nowhere',
      'multipart without a body',
      'multipart without a boundary parameter',
    ],
  ],
  [
    'no part may have a boundary in front of a line (RFC 2046 §5.1.1), and where one has it all the same that is ' +
      'text: Dovecot ends the part',
    ['lines that only look like boundaries'],
  ],
  [
    'longer boundaries than are allowed: Dovecot looks at the first 80 characters and misses the closing one, here ' +
      'those of more than 200 do not divide',
    ['boundary of 300 characters', 'boundary of 90 characters'],
  ],
  [
    'IMAP4rev1 tells parameters as they are written, and IMAP4rev2 decoded (RFC 9051 §7.5.2): Dovecot joins them',
    [
      'boundary in pieces',
      'continued parameters',
      'continued parameters with a gap',
      'encoded parameters',
    ],
  ],
  ['RFC 2231 §4 is for every parameter', ['boundary with a charset']],
  [
    'message/global is a message (RFC 6532 §3.7) and has the sections of one',
    ['delivery report in UTF-8', 'message in UTF-8', 'message in UTF-8 that is encoded'],
  ],
  [
    'nobody is called MISSING_MAILBOX, and what is missing is empty',
    ['commas and nothing else', 'no address in the brackets', 'no domain', 'no local part'],
  ],
  ['blanks around dots are none of an address (RFC 5322 §4.4)', ['dots and blanks']],
  ['a comment is a name in front of an address as well', ['names as comments']],
  [
    'unfolding takes the line break alone (RFC 5322 §2.2.3): Dovecot makes tabs and several blanks one blank',
    ['control characters', 'folded fields', 'folded with a line of blanks'],
  ],
  ['the first counts, which is the one that people are shown', ['fields given twice']],
  [
    'a field that says nothing is NIL',
    ['disposition with comments and no type', 'every field of a part, empty'],
  ],
];

/** Texts that name no charset, none that is one, or the wrong one: Python does not guess, and has no hebrew of that name. */
const GUESSED: ReadonlySet<string> = new Set([
  'base64 is no charset',
  'charset of nonsense',
  'hebrew',
  'latin-1 that says nothing',
  'unknown charset',
  'utf-16 without a mark',
  'utf-8 that says nothing',
  'utf-8 that says us-ascii',
  'windows-1252 that says latin-1',
]);

const ENTRIES = Object.entries(CORPUS)
  .filter(([topic]) => topic !== 'extremes')
  .flatMap(([, entries]) => entries);
const MODE = { strings: new ImapStrings(false), rev2: false };

/** As octets, as Dovecot's answer is read. */
function read(rendered: string): ImapData {
  return new ImapReader(Buffer.from(rendered).toString('latin1')).value();
}

/**
 * Names in one case, and no charset of US-ASCII: Dovecot tells one for every text that names none, but the
 * default is the media type's to say (RFC 6657 §3).
 */
function normalStructure(data: ImapData): ImapData {
  if (data === null) return null;
  if (typeof data === 'string') return data.toLowerCase();
  const items = data.map(normalStructure);
  const at = items.findIndex((item, at) => item === 'charset' && items[at + 1] === 'us-ascii');
  if (at >= 0) items.splice(at, 2);
  return items.length === 0 ? null : items;
}

describe.skipIf(!(await hasDovecot()))('Dovecot (skipped where there is no Dovecot 2.3)', () => {
  let told: Map<number, Map<string, ImapData>>;

  beforeAll(async () => {
    const fetches = ENTRIES.map(({ raw }, at) => {
      const sections = everySection(raw, parseMessage(raw)).map(
        ({ section }) => `BODY.PEEK[${section}]`,
      );
      return `FETCH ${at + 1} (ENVELOPE BODYSTRUCTURE ${sections.join(' ')})`;
    });
    told = readFetches(
      await askDovecot(
        ENTRIES.map(({ raw }) => raw),
        fetches,
      ),
    );
  });

  function isSame({ raw }: CorpusEntry, at: number): boolean {
    const theirs = told.get(at + 1) ?? new Map<string, ImapData>();
    const structure = parseMessage(raw);
    const ours: [ImapData, ImapData | undefined][] = [
      [read(renderEnvelope(structure.envelope, MODE.strings)), theirs.get('ENVELOPE')],
      [
        normalStructure(read(renderBodyStructure(structure.root, MODE))),
        normalStructure(theirs.get('BODYSTRUCTURE') ?? null),
      ],
      ...everySection(raw, structure).map(
        ({ section, octets }): [ImapData, ImapData | undefined] => [
          octets.toString('latin1'),
          theirs.get(`BODY[${section}]`),
        ],
      ),
    ];
    return ours.every(([our, their]) => isDeepStrictEqual(our, their));
  }

  test('tells the same, but for what is known', () => {
    const others = ENTRIES.filter((entry, at) => !isSame(entry, at)).map(({ name }) => name);
    expect(others.toSorted()).toEqual(DIFFERENCES.flatMap(([, names]) => names).toSorted());
  });
});

describe.skipIf(!(await hasPython()))('Python (skipped where there is no python3)', () => {
  test('reads the same texts', async () => {
    const entries = CHARSETS.filter(({ name }) => !GUESSED.has(name));
    const told = await askPython(entries.map(({ raw }) => raw));
    const ours = entries.map(({ name, raw }) => {
      const { root } = parseMessage(raw);
      if (root.kind !== 'leaf') throw new Error(`${name} has parts`);
      return { name, text: decodeText(raw.subarray(root.bodyStart, root.bodyEnd), root) };
    });
    expect(ours).toEqual(entries.map(({ name }, at) => ({ name, text: told[at] })));
  });
});
