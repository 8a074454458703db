/** All parsers together: whatever comes, a typed error; what is written is read again. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { COMMANDS } from '../commands/index.ts';
import { ImapSyntaxError } from '../errors.ts';
import { encodeMailboxName } from '../utf7.ts';
import { parseIdentified, parseSetAcl } from './acl.ts';
import { type AppendArguments, parseAppend } from './append.ts';
import { parseVerb } from './command.ts';
import { formatDateTime, MONTHS } from './date.ts';
import { type FetchItem, parseFetch, type Section } from './fetch.ts';
import { parseStore, SYSTEM_FLAGS } from './flags.ts';
import { type CommandText, Lexer, literalHead } from './lexer.ts';
import { parseList, parseLsub, parseRename, parseStatus } from './mailbox.ts';
import { parseGetMetadata, parseSetMetadata } from './metadata.ts';
import { EVENTS, parseNotify } from './notify.ts';
import { parseQuotaRoot, parseSetQuota } from './quota.ts';
import { namesNumbers, parseSearch, RETURN_OPTIONS, type SearchKey } from './search.ts';
import { parseSelect } from './select.ts';
import type { MessageSet, SetNumber } from './sequence-set.ts';
import { parseSort, SORT_KEYS } from './sort.ts';

/** Octets as they come over the wire, as one character each, to a command. */
function split(wire: string): CommandText {
  const lines: string[] = [];
  const literals: Buffer[][] = [];
  for (let at = 0; ; ) {
    const end = wire.indexOf('\r\n', at);
    const line = end === -1 ? wire.slice(at) : wire.slice(at, end);
    lines.push(line);
    const head = literalHead(line);
    if (end === -1 || head === undefined) return { lines, literals };
    const start = end + 2;
    literals.push([Buffer.from(wire.slice(start, start + head.octets), 'latin1')]);
    at = start + head.octets;
  }
}

function prepare(wire: string, utf8 = false): void {
  const lexer = new Lexer(split(wire), { utf8 });
  lexer.tag();
  const rule = COMMANDS.get(parseVerb(lexer));
  if (rule === undefined) lexer.fail('Unknown command');
  else rule.prepare(lexer);
}

const VALID = [
  'a LOGIN alice@example.test "pass word"',
  'a LOGIN {5+}\r\nalice {4+}\r\npass',
  'a AUTHENTICATE PLAIN AGFsaWNlAHNlc2FtZQ==',
  'a AUTHENTICATE PLAIN =',
  'a SELECT "Entw&APw-rfe"',
  'a RENAME foo/bar {3}\r\nbaz',
  'a LIST "" (%*)'.replace('(%*)', '%*'),
  'a LIST (SUBSCRIBED RECURSIVEMATCH) "" (% "a b" *) RETURN (CHILDREN STATUS (SIZE UNSEEN))',
  'a LIST () "" * RETURN ()',
  'a CREATE x (USE (\\Sent))',
  'a STATUS INBOX (MESSAGES UIDNEXT UNSEEN SIZE DELETED MAILBOXID)',
  'a APPEND INBOX (\\Seen $Junk) " 1-Feb-1994 12:00:00 +0100" {6}\r\nHello\n',
  'a ID ("name" "x" "version" NIL)',
  'a ID NIL',
  'a UID FETCH 1:*,7 (FLAGS BODY.PEEK[1.2.HEADER.FIELDS (From "To")]<0.100> BODY[3.MIME])',
  'a FETCH 1 FULL',
  'a FETCH 1 PREVIEW (LAZY)',
  'a FETCH 1 (PREVIEW (LAZY) UID) (CHANGEDSINCE 1)',
  'a FETCH 1 BINARY[]',
  'a UID FETCH 1 (BINARY.PEEK[1.2]<0.9223372036854775807> BINARY.SIZE[1] BINARY.SIZE[])',
  'a APPEND INBOX (\\Seen) ~{3+}\r\na\0b',
  'a STORE 1:5 -FLAGS.SILENT (\\Deleted custom)',
  'a STORE 1 FLAGS \\Seen \\Draft',
  'a STORE 1 (UNCHANGEDSINCE 9223372036854775807) +FLAGS.SILENT (\\Seen)',
  'a UID FETCH $ (MODSEQ) (CHANGEDSINCE 0 VANISHED)',
  'a ENABLE QRESYNC X-FOO',
  'a SELECT INBOX (CONDSTORE)',
  'a SELECT INBOX (QRESYNC (67890007 20050715194045000 41,43:211,214:541))',
  'a SELECT INBOX (QRESYNC (67890007 90060115194045000 41:211 (1:29,31 1:29,41:211)))',
  'a SELECT INBOX (QRESYNC (67890007 90060115194045000 (1:2 1:2)))',
  'a SEARCH MODSEQ "/flags/\\\\draft" all 620162338',
  'a SEARCH CHARSET UTF-8 OR (FROM {3}\r\nabc NOT SUBJECT "x") 1:3 SINCE 1-Feb-1994 UID 4 LARGER 9',
  'a UID SEARCH KEYWORD $Junk UNDELETED SENTON "1-Feb-1994" HEADER X-Foo ""',
  'a SEARCH RETURN (MIN SAVE) CHARSET UTF-8 OR $ YOUNGER 60 UID $',
  'a SEARCH RETURN () ALL',
  'a SEARCH RETURN (PARTIAL -1:-100 COUNT) ALL',
  'a UID FETCH 1:* (FLAGS) (PARTIAL 9:1 CHANGEDSINCE 7 VANISHED)',
  'a SORT (REVERSE DATE subject) {5+}\r\nutf-8 NOT 1:3 SUBJECT x',
  'a UID SORT RETURN (MIN COUNT) (DISPLAYFROM) US-ASCII $',
  'a UID THREAD references UTF-8 OR $ SINCE 5-Mar-2000',
  'a THREAD ORDEREDSUBJECT "US-ASCII" (1:* SEEN)',
  'a UID COPY 1:3 Trash',
  'a UID EXPUNGE 3:9',
  'a MOVE * Archive/2026',
  'a REPLACE * Drafts (\\Draft) " 1-Feb-1994 12:00:00 +0100" {6}\r\nHello\n',
  'a UID REPLACE 9 {1+}\r\nx {0}\r\n',
  'a SETACL INBOX bob@example.test +lrswipkxteacd',
  'a SETACL "Entw&APw-rfe" {16+}\r\nbob@example.test ""',
  'a DELETEACL INBOX -bob',
  'a LISTRIGHTS INBOX "anyone"',
  'a GETACL Users/bob@example.test/INBOX',
  'a MYRIGHTS {5+}\r\nINBOX',
  'a LIST "" % RETURN (MYRIGHTS CHILDREN)',
  'a GETQUOTA ""',
  'a GETQUOTA {3+}\r\na b',
  'a GETQUOTAROOT "Entw&APw-rfe"',
  'a SETQUOTA alice@example.test ()',
  'a SETQUOTA "" (STORAGE 512 message 9223372036854775807)',
  'a STATUS INBOX (DELETED DELETED-STORAGE)',
  'a NOOP',
  'a GETMETADATA "" /shared/comment',
  'a GETMETADATA (MAXSIZE 1024 DEPTH infinity) INBOX ("/private/a b" {8+}\r\n/private)',
  'a GETMETADATA INBOX (DEPTH 1) (/private/filters/values)',
  'a SETMETADATA INBOX (/private/comment NIL /shared/vendor/a/b ~{3+}\r\na\0b /shared/c {2+}\r\nxy)',
  'a LIST "" % RETURN (METADATA (/private/comment /shared/comment) CHILDREN)',
  'a LIST "" % RETURN (METADATA /private/comment)',
  'a NOTIFY NONE',
  'a NOTIFY SET STATUS (selected (MessageNew (UID BODY.PEEK[HEADER.FIELDS (From)]) MessageExpunge))',
  'a NOTIFY SET (selected-delayed NONE) (subtree (Lists "a b") (MailboxName)) (mailboxes x NONE)',
  'a NOTIFY SET (inboxes (messagenew messageexpunge flagchange)) (personal (ServerMetadataChange))',
  'a NOTIFY SET (subscribed (SubscriptionChange MailboxMetadataChange FutureEvent))',
];

test.each(VALID)('%s', (wire) => expect(() => prepare(wire)).not.toThrow());

test.each([
  'a',
  'a ',
  'a FROB',
  ' NOOP',
  'a NOOP ',
  'a NOOP x',
  'a UID NOOP',
  'a LOGIN x',
  'a LOGIN "x" ',
  'a SELECT',
  'a SELECT "a&b"',
  'a SELECT a  b',
  'a STATUS INBOX ()',
  'a STATUS INBOX (SIZES)',
  'a LIST (RECURSIVEMATCH) "" *',
  'a LIST (SUBSCRIBED REMOTE FROB) "" *',
  'a LIST "" ()',
  'a LIST "" * RETURN (STATUS)',
  'a LIST "" * (CHILDREN)',
  'a CREATE x (USE \\Sent)',
  'a SETACL INBOX bob',
  'a SETACL INBOX "" l',
  'a SETACL INBOX bob lR',
  'a SETACL INBOX bob l-r',
  'a SETACL INBOX bob ++l',
  'a SETACL INBOX bob l1',
  'a SETACL INBOX bob l x',
  'a DELETEACL INBOX',
  'a LISTRIGHTS INBOX',
  'a GETACL INBOX bob',
  'a MYRIGHTS',
  'a GETQUOTA',
  'a GETQUOTAROOT INBOX x',
  'a SETQUOTA x',
  'a SETQUOTA x STORAGE 512',
  'a SETQUOTA x (STORAGE)',
  'a SETQUOTA x (STORAGE 9223372036854775808)',
  'a SETQUOTA x (STORAGE 5 )',
  'a CREATE x ()',
  'a APPEND INBOX "x"',
  'a APPEND INBOX "31-Feb-1994 12:00:00 +0100" {0}\r\n',
  'a APPEND INBOX "01-Feb-1994 25:00:00 +0100" {0}\r\n',
  'a FETCH 1',
  'a FETCH 1 ()',
  'a FETCH 0 FLAGS',
  'a FETCH 1 FOO',
  'a FETCH 1 (ALL)',
  'a FETCH 1 (PREVIEW (HASTY))',
  'a FETCH 1 BODY[MIME]',
  'a FETCH 1 BODY[0]',
  'a FETCH 1 BODY[1.]',
  'a FETCH 1 BODY[1.FOO]',
  'a FETCH 1 BODY[HEADER.FIELDS]',
  'a FETCH 1 BODY[HEADER.FIELDS ()]',
  'a FETCH 1 BODY[]<0.0>',
  'a FETCH 1 BODY[]<1>',
  'a FETCH 1 BODYSTRUCTURE[1]',
  'a FETCH 1 BINARY',
  'a FETCH 1 BINARY[1.MIME]',
  'a FETCH 1 BINARY[HEADER]',
  'a FETCH 1 BINARY[1.]',
  'a FETCH 1 BINARY[.1]',
  'a FETCH 1 BINARY[0]',
  'a FETCH 1 BINARY.SIZE[1]<0.1>',
  'a FETCH 1 BODY[]<9223372036854775808.1>',
  'a APPEND INBOX {3}\r\na\0b',
  'a APPEND INBOX ~"abc"',
  'a APPEND INBOX UTF8 (~{3}\r\nabc)',
  'a SELECT ~{5}\r\nINBOX',
  'a STORE 1 FLAGS',
  'a STORE 1 *FLAGS (\\Seen)',
  'a STORE 1 FLAGS (\\Frob)',
  'a SEARCH',
  'a SEARCH OR SEEN',
  'a SEARCH ()',
  'a SEARCH SINCE 30-Feb-2020',
  'a SEARCH SUBJECT "\xff"',
  'a SEARCH FROB',
  'a SEARCH MODSEQ 9223372036854775808',
  'a SEARCH MODSEQ "/flags/\\\\draft" mine 1',
  'a SORT DATE UTF-8 ALL',
  'a SORT () UTF-8 ALL',
  'a SORT (REVERSE) UTF-8 ALL',
  'a SORT (REVERSE REVERSE DATE) UTF-8 ALL',
  'a SORT (DATE) UTF-8',
  'a SORT (DATE) CHARSET UTF-8 ALL',
  'a THREAD REFS UTF-8 ALL',
  'a THREAD REFERENCES UTF-8',
  'a THREAD RETURN () REFERENCES UTF-8 ALL',
  'a REPLACE 1:2 x {0}\r\n',
  'a REPLACE $ x {0}\r\n',
  'a REPLACE 1 x',
  'a REPLACE 1 x {0}\r\n {0}\r\n',
  'a SEARCH RETURN (PARTIAL) ALL',
  'a SEARCH RETURN (PARTIAL 1) ALL',
  'a SEARCH RETURN (PARTIAL 0:1) ALL',
  'a SEARCH RETURN (PARTIAL 1:*) ALL',
  'a SEARCH RETURN (PARTIAL -1:1) ALL',
  'a SEARCH RETURN (PARTIAL 1:-1) ALL',
  'a SEARCH RETURN (PARTIAL 1:2 ALL) ALL',
  'a SEARCH RETURN (PARTIAL 1:2 PARTIAL 3:4) ALL',
  'a FETCH 1 FLAGS ()',
  'a FETCH 1 FLAGS (VANISHED)',
  'a FETCH 1 FLAGS (CHANGEDSINCE 1 CHANGEDSINCE 1)',
  'a FETCH 1 FLAGS (PARTIAL 1:2 PARTIAL 1:2)',
  'a STORE 1 (UNCHANGEDSINCE) FLAGS ()',
  'a FETCH 1 FLAGS (CHANGEDSINCE 1',
  'a ENABLE',
  'a GETMETADATA INBOX',
  'a GETMETADATA INBOX ()',
  'a GETMETADATA INBOX comment',
  'a GETMETADATA (DEPTH 2) INBOX /private',
  'a GETMETADATA (MAXSIZE) INBOX /private',
  'a GETMETADATA (DEPTH 1) INBOX (DEPTH 1) /private',
  'a GETMETADATA (/private) INBOX /private',
  'a GETMETADATA INBOX (/private DEPTH 1)',
  'a GETMETADATA INBOX (DEPTH 1 /private)',
  'a GETMETADATA INBOX /private/',
  'a GETMETADATA INBOX /private//x',
  'a GETMETADATA INBOX /other/x',
  'a GETMETADATA INBOX "/private/\xe4"',
  'a GETMETADATA INBOX "/private/a%b"',
  'a SETMETADATA INBOX ()',
  'a SETMETADATA INBOX (/private/x)',
  'a SETMETADATA INBOX (/private/x atom)',
  'a SETMETADATA INBOX (/private "x")',
  'a SETMETADATA INBOX (/shared/vendor/x "x")',
  'a SETMETADATA INBOX (/private/x {1}\r\n\0)',
  'a LIST "" % RETURN (METADATA)',
  'a LIST "" % RETURN (METADATA ())',
  'a NOTIFY SET',
  'a NOTIFY SET STATUS',
  'a NOTIFY NONE x',
  'a NOTIFY SET ()',
  'a NOTIFY SET (personal)',
  'a NOTIFY SET (personal ())',
  'a NOTIFY SET (subtree (MessageNew MessageExpunge))',
  'a NOTIFY SET (mailboxes () NONE)',
  'a NOTIFY SET (selected (MessageNew () MessageExpunge))',
  'a NOTIFY SET (selected (MessageNew (FAST) MessageExpunge))',
  'a NOTIFY SET (selected (MessageExpunge (UID) MessageNew))',
  'a NOTIFY SET (selected NONE) (selected NONE)',
  'a SELECT INBOX ()',
  'a SELECT INBOX (QRESYNC (0 1))',
  'a SELECT INBOX (QRESYNC (1 1 1:2 3))',
  'a AUTHENTICATE PLAIN  ',
  'a ID ("x")',
])('BAD: %j', (wire) => expect(() => prepare(wire)).toThrow(ImapSyntaxError));

describe('in UTF-8', () => {
  const octets = (text: string): string => Buffer.from(text).toString('latin1');
  test.each([
    'a SELECT "Entwürfe & Co"',
    'a LIST "Büro" ("%" {5+}\r\nMärz)',
    'a LOGIN "jürgen@example.test" "geheim"',
    'a APPEND "Entwürfe" UTF8 (~{3}\r\nabc)',
  ])('%s', (wire) => expect(() => prepare(octets(wire), true)).not.toThrow());

  test.each([
    'a SELECT "\xfc"',
    'a SELECT "\xc3"',
    'a SELECT \xc3\xbc',
    'a APPEND INBOX UTF8 ({3}\r\nabc)',
    'a APPEND INBOX UTF8 (~{3}\r\nabc',
  ])('BAD: %j', (wire) => expect(() => prepare(wire, true)).toThrow(ImapSyntaxError));
});

test.each([
  [`a SEARCH ${'('.repeat(100)}ALL${')'.repeat(100)}`, 'too-deep'],
  [`a SEARCH ${'NOT '.repeat(100)}ALL`, 'too-deep'],
  [`a SEARCH ${'OR ALL '.repeat(100)}ALL`, 'too-deep'],
  [`a SEARCH ${Array.from({ length: 257 }, () => 'ALL').join(' ')}`, 'too-many'],
  [`a FETCH 1 BODY[${Array.from({ length: 65 }, () => '1').join('.')}]`, 'too-deep'],
  [`a FETCH 1 BINARY[${Array.from({ length: 65 }, () => '1').join('.')}]`, 'too-deep'],
  [`a SELECT ${'x'.repeat(1025)}`, 'too-long'],
  [`a LIST "" (${'% '.repeat(32)}%)`, 'too-many'],
  [`a LIST "" (${`${'x'.repeat(1024)} `.repeat(4)}x)`, 'too-many'],
  [`a ID (${Array.from({ length: 31 }, (_, index) => `"${index}" "x"`).join(' ')})`, 'too-many'],
  [`a ID ("x" "${'y'.repeat(1025)}")`, 'too-long'],
  [`a GETMETADATA "" /private/${'x'.repeat(512)}`, 'too-long'],
  [`a NOTIFY SET${' (personal NONE)'.repeat(33)}`, 'too-many'],
  [`a NOTIFY SET (mailboxes (${'x '.repeat(256)}x) NONE)`, 'too-many'],
])('beyond a limit: %.40s', (wire, code) => {
  expect(() => prepare(wire)).toThrow(expect.objectContaining({ code }));
});

test('items of FETCH and of STATUS that are repeated count once', () => {
  const lexer = (line: string) => new Lexer({ lines: [line], literals: [] });
  const { items } = parseFetch(
    lexer(' 1 (UID BODY[1] UID BODY.PEEK[1] BODY[1]<0.1> BODY[1] BODY[HEADER.FIELDS (a)] UID)'),
  );
  expect(items).toHaveLength(5);
  expect(parseStatus(lexer(' INBOX (MESSAGES DELETED-STORAGE MESSAGES)')).items).toEqual([
    'MESSAGES',
    'DELETED-STORAGE',
  ]);
});

describe('fuzz', () => {
  const typed = (wire: string): void => {
    for (const utf8 of [false, true]) {
      try {
        prepare(wire, utf8);
      } catch (error) {
        expect(error).toBeInstanceOf(ImapSyntaxError);
      }
    }
  };

  test('random octets', () => {
    const octets = fc.string({ unit: fc.nat(255).map((code) => String.fromCharCode(code)) });
    fc.assert(fc.property(octets, typed), { numRuns: 1000 });
    fc.assert(
      fc.property(octets, fc.constantFrom(...COMMANDS.keys()), (rest, verb) =>
        typed(`a ${verb} ${rest}`),
      ),
      { numRuns: 3000 },
    );
  });

  test('mutated commands', () => {
    const piece = fc.constantFrom(
      '(',
      ')',
      '"',
      '\\',
      '{',
      '}',
      '[',
      ']',
      '<',
      ' ',
      '\r\n',
      '{3}\r\n',
      '*',
      ':',
      ',',
      '\0',
      '\xff',
      'NIL',
      '0',
      '4294967296',
    );
    fc.assert(
      fc.property(
        fc.constantFrom(...VALID),
        fc.array(fc.tuple(fc.nat(), fc.nat(3), piece), { maxLength: 4 }),
        (wire, mutations) => {
          const mutated = mutations.reduce((text, [at, remove, insert]) => {
            const index = at % (text.length + 1);
            return text.slice(0, index) + insert + text.slice(index + remove);
          }, wire);
          typed(mutated);
        },
      ),
      { numRuns: 5000 },
    );
  });
});

// round trips: arguments, written in one of the ways the grammar allows, are read again

const lexerOf = (wire: string): Lexer => new Lexer(split(wire));
function reads<T>(parse: (lexer: Lexer) => T, wire: string): T {
  const lexer = lexerOf(wire);
  const value = parse(lexer);
  lexer.end();
  return value;
}

/** Text, with one of its writings. */
const written = (text: string, way: number): string => {
  const octets = Buffer.from(text).toString('latin1');
  if (way === 0) return `{${octets.length}}\r\n${octets}`;
  if (way === 1) return `{${octets.length}+}\r\n${octets}`;
  return `"${octets.replaceAll(/["\\]/g, '\\$&')}"`;
};
const texts = fc
  .string({ unit: 'grapheme', maxLength: 12 })
  .filter((text) => !/[\0\r\n]/.test(text));
const ways = fc.nat(2);
const setNumbers = fc.oneof(
  fc.integer({ min: 1, max: 4_294_967_295 }),
  fc.constant<SetNumber>('*'),
);
const sets: fc.Arbitrary<MessageSet> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.array(fc.record({ from: setNumbers, to: setNumbers }), {
      minLength: 1,
      maxLength: 4,
    }),
  },
  { weight: 1, arbitrary: fc.constant('saved' as const) },
);
const writeSet = (set: MessageSet): string =>
  set === 'saved' ? '$' : set.map(({ from, to }) => `${from}:${to}`).join(',');
const keywords = fc.stringMatching(/^[a-zA-Z$][a-zA-Z0-9]{0,8}$/);
const flagLists = fc.uniqueArray(fc.oneof(fc.constantFrom(...SYSTEM_FLAGS), keywords), {
  maxLength: 5,
});
const mailboxes = texts.filter((name) => name !== '');

test('mailboxes', () => {
  fc.assert(
    fc.property(mailboxes, mailboxes, ways, (from, to, way) => {
      const wire = ` ${written(encodeMailboxName(from), way)} ${written(encodeMailboxName(to), 2)}`;
      expect(reads(parseRename, wire)).toEqual({ from, to });
      expect(reads(parseLsub, wire)).toEqual({ reference: from, pattern: to });
      expect(reads(parseList, wire)).toMatchObject({
        reference: from,
        patterns: [to],
        extended: false,
      });
    }),
  );
  expect(reads(parseStatus, ' inBox (MESSAGES)').mailbox).toBe('inBox');
});

test('STORE', () => {
  const conditions = fc.option(fc.maxSafeNat(), { nil: undefined });
  const changes = fc.constantFrom('replace' as const, 'add' as const, 'remove' as const);
  fc.assert(
    fc.property(
      sets,
      conditions,
      changes,
      fc.boolean(),
      flagLists,
      (set, unchangedSince, change, silent, flags) => {
        const condition = unchangedSince === undefined ? '' : ` (UNCHANGEDSINCE ${unchangedSince})`;
        const sign = { replace: '', add: '+', remove: '-' }[change];
        const wire = ` ${writeSet(set)}${condition} ${sign}FLAGS${silent ? '.SILENT' : ''} (${flags.join(' ')})`;
        expect(reads(parseStore, wire)).toEqual({ set, unchangedSince, change, silent, flags });
      },
    ),
  );
});

test('APPEND', () => {
  const dates = fc.date({
    min: new Date('1970-01-01T00:00:00Z'),
    max: new Date('9999-12-31T23:59:59Z'),
    noInvalidDate: true,
  });
  const messages = fc.record({
    flags: flagLists,
    date: fc.option(dates, { nil: undefined }),
    content: fc.string({
      unit: fc.integer({ min: 1, max: 255 }).map((code) => String.fromCharCode(code)),
    }),
  });
  fc.assert(
    fc.property(mailboxes, fc.array(messages, { minLength: 1, maxLength: 3 }), (mailbox, given) => {
      const parts = [written(encodeMailboxName(mailbox), 2)];
      const expected: AppendArguments['messages'][number][] = [];
      for (const { flags, date, content } of given) {
        const internalDate = date && new Date(Math.floor(date.getTime() / 1000) * 1000);
        if (flags.length > 0) parts.push(`(${flags.join(' ')})`);
        if (internalDate) parts.push(`"${formatDateTime(internalDate)}"`);
        parts.push(`{${content.length}}\r\n${content}`);
        expected.push({ flags, internalDate, octets: [Buffer.from(content, 'latin1')] });
      }
      expect(reads(parseAppend, ` ${parts.join(' ')}`)).toEqual({ mailbox, messages: expected });
    }),
  );
});

const entries = fc
  .array(fc.stringMatching(/^[ -$&-)+-.0-~]{1,8}$/), { minLength: 1, maxLength: 4 })
  .map((components) => `/private/x/${components.join('/')}`);

test('metadata', () => {
  const octets = fc.uint8Array({ maxLength: 20 }).map((array) => Buffer.from(array));
  const values = fc.array(fc.tuple(entries, fc.option(octets, { nil: undefined })), {
    minLength: 1,
    maxLength: 4,
  });
  fc.assert(
    fc.property(mailboxes, values, ways, fc.boolean(), (mailbox, given, way, behind) => {
      const name = written(encodeMailboxName(mailbox), way);
      const written8 = (value: Buffer): string =>
        `${value.includes(0) ? '~' : ''}{${value.length}}\r\n${value.toString('latin1')}`;
      const pairs = given.map(
        ([entry, value]) =>
          `${written(entry, way)} ${value === undefined ? 'NIL' : written8(value)}`,
      );
      expect(reads(parseSetMetadata, ` ${name} (${pairs.join(' ')})`)).toEqual({
        mailbox,
        values: given.map(([entry, value]) => [entry.toLowerCase(), value]),
      });
      const options = '(DEPTH INFINITY MAXSIZE 7)';
      const head = behind ? `${name} ${options}` : `${options} ${name}`;
      const list = given.map(([entry]) => written(entry, way)).join(' ');
      expect(reads(parseGetMetadata, ` ${head} (${list})`)).toEqual({
        mailbox,
        depth: 'infinity',
        maxSize: 7,
        entries: given.map(([entry]) => entry.toLowerCase()),
      });
    }),
  );
});

test('NOTIFY', () => {
  const others = EVENTS.filter((event) => !event.startsWith('Message') && event !== 'FlagChange');
  const events = fc
    .tuple(fc.constantFrom(0, 2, 3), fc.subarray(others))
    .map(([some, more]) => [...EVENTS.slice(0, some), ...more]);
  const filters = fc.oneof(
    fc.record({ kind: fc.constantFrom('inboxes' as const, 'personal' as const) }),
    fc.record({
      kind: fc.constantFrom('subtree' as const, 'mailboxes' as const),
      names: fc.array(mailboxes, { minLength: 1, maxLength: 3 }),
    }),
  );
  const groups = fc.array(fc.record({ filter: filters, events }), { maxLength: 4 });
  const chosen = fc.option(fc.record({ delayed: fc.boolean(), flagChange: fc.boolean() }), {
    nil: undefined,
  });
  fc.assert(
    fc.property(groups, chosen, fc.boolean(), ways, (given, selected, status, way) => {
      fc.pre(given.length > 0 || selected !== undefined);
      const wire = given.map(({ filter, events: some }) => {
        const names = 'names' in filter ? filter.names : [];
        const list = names.map((name) => written(encodeMailboxName(name), way)).join(' ');
        const said = names.length === 0 ? '' : names.length === 1 ? ` ${list}` : ` (${list})`;
        return ` (${filter.kind}${said} ${some.length === 0 ? 'NONE' : `(${some.join(' ')})`})`;
      });
      if (selected !== undefined) {
        const flags = selected.flagChange ? ' FlagChange' : '';
        const kind = selected.delayed ? 'SELECTED-DELAYED' : 'selected';
        wire.push(` (${kind} (MessageNew (UID BODY[]) MessageExpunge${flags}))`);
      }
      const section = { part: [], text: 'all', fields: [] };
      const newItems = [
        { kind: 'uid' },
        // no notification sets \\Seen
        { kind: 'section', label: 'BODY', section, partial: undefined, peek: true },
      ];
      expect(reads(parseNotify, ` SET${status ? ' STATUS' : ''}${wire.join('')}`)).toEqual({
        status,
        groups: given,
        selected: selected && { ...selected, newItems },
        unsupported: false,
      });
    }),
  );
});

test('SETQUOTA', () => {
  const limits = fc.array(
    fc.record({
      resource: fc.constantFrom('STORAGE', 'MESSAGE', 'MAILBOX'),
      limit: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
    }),
    { maxLength: 4 },
  );
  fc.assert(
    fc.property(texts, ways, limits, (root, way, limits) => {
      const list = limits.map(({ resource, limit }) => `${resource} ${limit}`).join(' ');
      const expected = { root, limits };
      expect(reads(parseSetQuota, ` ${written(root, way)} (${list})`)).toEqual(expected);
      expect(reads(parseQuotaRoot, ` ${written(root, way)}`)).toBe(root);
    }),
  );
});

test('rights are read as they are written, those of RFC 2086 as what they stand for', () => {
  const letters = fc.string({ unit: fc.constantFrom(...'lrswipkxteacd'), maxLength: 15 });
  const sign = fc.constantFrom('', '+', '-');
  fc.assert(
    fc.property(texts, ways, sign, letters, (identifier, how, prefix, rights) => {
      fc.pre(identifier !== '');
      const change = prefix === '' ? 'replace' : prefix === '+' ? 'add' : 'remove';
      const meant = rights.replaceAll('c', 'kx').replaceAll('d', 'te');
      const head = ` Work ${written(identifier, how)}`;
      const identified = { mailbox: 'Work', identifier };
      expect(reads(parseIdentified, head)).toEqual(identified);
      const wire = `${head} ${written(prefix + rights, how)}`;
      expect(reads(parseSetAcl, wire)).toEqual({ ...identified, change, rights: meant });
    }),
  );
});

test('a date-time of any zone is read to its instant, and told in UTC', () => {
  const day = 86_400_000;
  const instants = fc.date({
    min: new Date(Date.UTC(1, 0, 2)),
    max: new Date('9999-12-30T00:00:00Z'),
    noInvalidDate: true,
  });
  fc.assert(
    fc.property(
      instants,
      fc.integer({ min: 1 - day / 60_000, max: day / 60_000 - 1 }),
      (at, zone) => {
        const instant = new Date(Math.floor(at.getTime() / 1_000) * 1_000);
        const local = formatDateTime(new Date(instant.getTime() + zone * 60_000));
        const minutes = Math.abs(zone);
        const digits = String(Math.floor(minutes / 60) * 100 + (minutes % 60)).padStart(4, '0');
        const text = local.replace('+0000', `${zone < 0 ? '-' : '+'}${digits}`);
        const read = reads(parseAppend, ` INBOX "${text}" {0}\r\n`) as AppendArguments;
        const internalDate = read.messages[0]?.internalDate;
        expect(internalDate).toEqual(instant);
        expect(formatDateTime(internalDate ?? at)).toMatch(/^[ \d]\d-\w{3}-\d{4} [\d:]{8} \+0000$/);
      },
    ),
  );
});

const SECTION_WORDS = {
  all: '',
  header: 'HEADER',
  'header-fields': 'HEADER.FIELDS',
  'header-fields-not': 'HEADER.FIELDS.NOT',
  text: 'TEXT',
  mime: 'MIME',
} as const;
const parts = fc.array(fc.integer({ min: 1, max: 99 }), { maxLength: 4 });
const partials = fc.option(
  fc.record({ offset: fc.maxSafeNat(), count: fc.integer({ min: 1, max: 2 ** 40 }) }),
  { nil: undefined },
);
const sections: fc.Arbitrary<Section> = fc
  .record({
    part: parts,
    text: fc.constantFrom(...(Object.keys(SECTION_WORDS) as (keyof typeof SECTION_WORDS)[])),
    fields: fc.array(keywords, { minLength: 1, maxLength: 3 }),
  })
  .filter(({ part, text }) => text !== 'mime' || part.length > 0)
  .map(({ part, text, fields }) => ({
    part,
    text,
    fields: text.startsWith('header-fields') ? fields : [],
  }));
const fetchItems: fc.Arbitrary<FetchItem> = fc.oneof(
  fc.constantFrom<FetchItem>(
    { kind: 'flags' },
    { kind: 'internal-date' },
    { kind: 'size' },
    { kind: 'envelope' },
    { kind: 'body-structure' },
    { kind: 'body' },
    { kind: 'uid' },
    { kind: 'save-date' },
    { kind: 'preview' },
  ),
  fc.record({
    kind: fc.constant('section' as const),
    label: fc.constant('BODY' as const),
    section: sections,
    partial: partials,
    peek: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('binary' as const),
    part: parts,
    partial: partials,
    peek: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('binary-size' as const), part: parts }),
);
const ITEM_WORDS = {
  flags: 'FLAGS',
  'internal-date': 'INTERNALDATE',
  size: 'RFC822.SIZE',
  envelope: 'ENVELOPE',
  'body-structure': 'BODYSTRUCTURE',
  body: 'BODY',
  uid: 'UID',
  'email-id': 'EMAILID',
  'thread-id': 'THREADID',
  modseq: 'MODSEQ',
  'save-date': 'SAVEDATE',
  preview: 'PREVIEW',
};
function writeItem(item: FetchItem): string {
  if (item.kind === 'binary-size') return `BINARY.SIZE[${item.part.join('.')}]`;
  if (item.kind !== 'section' && item.kind !== 'binary') return ITEM_WORDS[item.kind];
  const origin = item.partial ? `<${item.partial.offset}.${item.partial.count}>` : '';
  const peek = item.peek ? '.PEEK' : '';
  if (item.kind === 'binary') return `BINARY${peek}[${item.part.join('.')}]${origin}`;
  const { part, text, fields } = item.section;
  const words = [...part.map(String), SECTION_WORDS[text]].filter((word) => word !== '').join('.');
  const names = fields.length > 0 ? ` (${fields.join(' ')})` : '';
  return `BODY${peek}[${words}${names}]${origin}`;
}

test('FETCH', () => {
  const itemLists = fc.uniqueArray(fetchItems, {
    minLength: 1,
    maxLength: 5,
    selector: (item) => JSON.stringify(item).toLowerCase(),
  });
  fc.assert(
    fc.property(sets, itemLists, (set, items) => {
      const wire = ` ${writeSet(set)} (${items.map(writeItem).join(' ')})`;
      expect(reads(parseFetch, wire)).toMatchObject({ set, items });
      expect(reads(parseFetch, wire.toLowerCase()).items).toHaveLength(items.length);
    }),
  );
});

const DAY_MS = 86_400_000;
const { key: searchKeys } = fc.letrec<{ key: SearchKey }>((tie) => ({
  key: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.oneof<fc.Arbitrary<SearchKey>[]>(
      fc.constant({ kind: 'all' }),
      fc.record({ kind: fc.constant('sequence' as const), set: sets }),
      fc.record({ kind: fc.constant('uid' as const), set: sets }),
      fc.record({ kind: fc.constant('flag' as const), flag: keywords }),
      fc.record({
        kind: fc.constantFrom('larger' as const, 'smaller' as const),
        octets: fc.nat(4_294_967_295),
      }),
      fc.record({ kind: fc.constant('email-id' as const), id: keywords }),
      fc.record({ kind: fc.constant('modseq' as const), atLeast: fc.maxSafeNat() }),
      fc.record({
        kind: fc.constantFrom('younger' as const, 'older' as const),
        seconds: fc.integer({ min: 1, max: 4_294_967_295 }),
      }),
      fc.record({
        kind: fc.constant('date' as const),
        of: fc.constantFrom('internal' as const, 'sent' as const, 'saved' as const),
        relation: fc.constantFrom('before' as const, 'on' as const, 'since' as const),
        day: fc.nat(100_000),
      }),
      fc.record({ kind: fc.constant('header' as const), name: keywords, value: texts }),
      fc.record({ kind: fc.constantFrom('body' as const, 'text' as const), value: texts }),
    ),
    fc.record({ kind: fc.constant('not' as const), key: tie('key') }),
    fc.record({ kind: fc.constant('or' as const), left: tie('key'), right: tie('key') }),
    fc.record({
      kind: fc.constant('and' as const),
      keys: fc.array(tie('key'), { minLength: 1, maxLength: 3 }),
    }),
  ),
}));

function writeKey(key: SearchKey, way: number): string {
  switch (key.kind) {
    case 'all':
      return 'ALL';
    case 'and':
      return `(${key.keys.map((one) => writeKey(one, way)).join(' ')})`;
    case 'or':
      return `OR ${writeKey(key.left, way)} ${writeKey(key.right, way)}`;
    case 'not':
      return `NOT ${writeKey(key.key, way)}`;
    case 'sequence':
      return writeSet(key.set);
    case 'uid':
      return `UID ${writeSet(key.set)}`;
    case 'flag':
      return `KEYWORD ${key.flag}`;
    case 'larger':
    case 'smaller':
      return `${key.kind.toUpperCase()} ${key.octets}`;
    case 'email-id':
      return `EMAILID ${key.id}`;
    case 'thread-id':
      return `THREADID ${key.id}`;
    case 'modseq':
      return `MODSEQ ${key.atLeast}`;
    case 'younger':
    case 'older':
      return `${key.kind.toUpperCase()} ${key.seconds}`;
    case 'date': {
      const date = new Date(key.day * DAY_MS);
      const text = `${date.getUTCDate()}-${MONTHS[date.getUTCMonth()]}-${date.getUTCFullYear()}`;
      const of = { internal: '', sent: 'SENT', saved: 'SAVED' }[key.of];
      return `${of}${key.relation.toUpperCase()} ${text}`;
    }
    case 'header':
      return `HEADER ${key.name} ${written(key.value, way)}`;
    case 'body':
    case 'text':
      return `${key.kind.toUpperCase()} ${written(key.value, way)}`;
  }
}

test('SEARCH', () => {
  fc.assert(
    fc.property(searchKeys, ways, fc.subarray([...RETURN_OPTIONS]), (key, way, returns) => {
      const head = returns.length === 0 ? '' : ` RETURN (${returns.join(' ')})`;
      const wire = `${head} CHARSET UTF-8 ${writeKey(key, way)}`;
      expect(reads(parseSearch, wire)).toEqual({
        returns: returns.length === 0 ? undefined : returns,
        charset: 'UTF-8',
        namesCharset: true,
        key,
      });
    }),
    { numRuns: 500 },
  );
});

test('SEARCH: whether it names sequence numbers', () => {
  const numbers = /"kind":"sequence","set":\[/;
  fc.assert(
    fc.property(searchKeys, (key) => {
      expect(namesNumbers(key)).toBe(numbers.test(JSON.stringify(key)));
    }),
    { numRuns: 500 },
  );
});

test('SELECT', () => {
  const knownSets = sets.filter((set) => set !== 'saved');
  const resyncs = fc.record({
    uidValidity: fc.integer({ min: 1, max: 4_294_967_295 }),
    modSeq: fc.maxSafeNat(),
    known: fc.option(knownSets, { nil: undefined }),
    matchesNumbers: fc.boolean(),
  });
  fc.assert(
    fc.property(mailboxes, ways, resyncs, knownSets, (mailbox, way, resync, matched) => {
      const match = `(${writeSet(matched)} ${writeSet(matched)})`;
      const given = [
        resync.uidValidity,
        resync.modSeq,
        ...(resync.known === undefined ? [] : [writeSet(resync.known)]),
        ...(resync.matchesNumbers ? [match] : []),
      ];
      const wire = ` ${written(encodeMailboxName(mailbox), way)} (QRESYNC (${given.join(' ')}))`;
      expect(reads(parseSelect, wire)).toEqual({ mailbox, condStore: false, resync });
    }),
  );
});

test('SORT', () => {
  const criteria = fc.uniqueArray(
    fc.record({ key: fc.constantFrom(...SORT_KEYS), reverse: fc.boolean() }),
    { minLength: 1, selector: ({ key }) => key },
  );
  fc.assert(
    fc.property(criteria, searchKeys, fc.subarray([...RETURN_OPTIONS]), (sorted, key, returns) => {
      const head = returns.length === 0 ? '' : ` RETURN (${returns.join(' ')})`;
      const words = sorted.map((one) => `${one.reverse ? 'REVERSE ' : ''}${one.key}`);
      const wire = `${head} (${words.join(' ')}) UTF-8 ${writeKey(key, 0)}`;
      expect(reads(parseSort, wire)).toEqual({
        returns: returns.length === 0 ? undefined : returns,
        criteria: sorted,
        charset: 'UTF-8',
        key,
      });
    }),
  );
  expect(reads(parseSort, ' (TO REVERSE TO CC) UTF-8 ALL').criteria).toEqual([
    { key: 'TO', reverse: false },
    { key: 'CC', reverse: false },
  ]);
});
