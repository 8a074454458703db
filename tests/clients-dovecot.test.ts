/**
 * The same commands, over the same messages, to this IMAP service and to Dovecot: where the RFCs leave no
 * choice the answers are the same, and where they are not the reason is told here. (ENVELOPE, BODYSTRUCTURE
 * and sections of odd mail are compared with the message package's corpus.)
 */
import { connect } from 'node:tls';
import { isDeepStrictEqual } from 'node:util';
import {
  askDovecot,
  askServer,
  hasDovecot,
  type ImapData,
  ImapReader,
} from '@mail/message/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CONVERSATION } from './clients/conversation.ts';
import { MailHome, type Resident } from './clients/mail-home.ts';

/** What a command came to: its untagged answers, and OK, NO or BAD. */
type Answer = readonly string[];

const literal = (text: string): string => `{${Buffer.byteLength(text)}+}\r\n${text}`;

/** By topic. Each begins with what those before have left. */
const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  SEARCH: [
    'SEARCH ALL',
    'SEARCH 2:4,7',
    'SEARCH *',
    'SEARCH NOT 1:10',
    'UID SEARCH UID 5:8',
    'SEARCH UID 9999:*',
    'SEARCH FROM ada',
    'SEARCH FROM "Bob, the"',
    'SEARCH FROM BUILDER',
    'SEARCH TO lists.example',
    'SEARCH CC lovelace',
    'SEARCH SUBJECT plans',
    'SEARCH SUBJECT ""',
    'SEARCH HEADER Message-ID twice@',
    'SEARCH HEADER References ""',
    'SEARCH HEADER X-Nothing ""',
    'SEARCH OR FROM ada FROM zoe',
    'SEARCH OR (FROM ada SUBJECT lunch) (FROM bob SUBJECT hen)',
    'SEARCH NOT FROM ada NOT FROM bob',
    'SEARCH BODY plans',
    'SEARCH TEXT plans',
    'SEARCH BODY softbreak',
    'SEARCH BODY preamble',
    'SEARCH BODY treasure',
    'SEARCH BODY nobody@else.test',
    'SEARCH BODY "subject: undeliverable"',
    'SEARCH HEADER Subject undeliver',
    'SEARCH TEXT delivery-status',
    'SEARCH BODY hidden',
    'SEARCH BODY text/html',
    'SEARCH TEXT text/html',
    'SEARCH TEXT "Date: Mon"',
    'SEARCH SUBJECT "re: plans"',
    'SEARCH SUBJECT "  "',
    'SEARCH FROM "<ada@example.test>"',
    'SEARCH FROM "Lovelace <ada"',
    'SEARCH BCC ada',
    'SEARCH NOT NOT NOT FROM ada',
    'SEARCH 1,1,1,3:2,5:*',
    'SEARCH *:19',
    'SEARCH DRAFT',
    'SEARCH UNDELETED UNANSWERED UNFLAGGED UNDRAFT FROM zoe',
    'SEARCH BODY "inner words"',
    'SEARCH BODY "inner subject"',
    'SEARCH TEXT "inner subject"',
    `SEARCH CHARSET UTF-8 BODY ${literal('Köln,')}`,
    `SEARCH CHARSET UTF-8 BODY ${literal('KÖLN,')}`,
    `SEARCH CHARSET UTF-8 SUBJECT ${literal('bücher')}`,
    `SEARCH CHARSET UTF-8 SUBJECT ${literal('märz')}`,
    `SEARCH CHARSET UTF-8 FROM ${literal('zoë')}`,
    `SEARCH CHARSET UTF-8 TEXT ${literal('Grüß')}`,
    'SEARCH CHARSET X-NONE SUBJECT plans',
    'SEARCH SENTON 2-Mar-2026',
    'SEARCH SENTON 3-Mar-2026',
    'SEARCH SENTBEFORE 4-Mar-2026',
    'SEARCH SENTSINCE 8-Mar-2026',
    'SEARCH NOT SENTSINCE 8-Mar-2026',
    'SEARCH BEFORE 1-Jan-2020',
    'SEARCH SINCE 1-Jan-2020',
    'SEARCH LARGER 500',
    'SEARCH SMALLER 250',
    'SEARCH LARGER 500 SMALLER 800',
    'SEARCH YOUNGER 86400',
    'SEARCH OLDER 86400',
    'SEARCH SEEN',
    'SEARCH UNSEEN',
    'SEARCH KEYWORD $Nobody',
    'SEARCH UNKEYWORD $Nobody',
    'SEARCH RETURN (MIN MAX COUNT) FROM ada',
    'SEARCH RETURN (ALL) FROM ada',
    'UID SEARCH RETURN () FROM ada',
    'SEARCH RETURN (COUNT) FROM nobody',
    'SEARCH RETURN (MIN ALL) FROM nobody',
    'SEARCH RETURN (SAVE) SUBJECT plans',
    'FETCH $ (UID)',
    'SEARCH RETURN (COUNT) $ FROM ada',
    'SEARCH',
    'SEARCH FROM',
    'SEARCH ()',
    'SEARCH NONSENSE',
    'SEARCH SENTON 31-Foo-2026',
  ],
  SORT: [
    'SORT (DATE) UTF-8 ALL',
    'SORT (REVERSE DATE) UTF-8 ALL',
    'SORT (SUBJECT) UTF-8 ALL',
    'SORT (REVERSE SUBJECT DATE) UTF-8 ALL',
    'SORT (FROM SUBJECT) UTF-8 ALL',
    'SORT (TO REVERSE DATE) UTF-8 ALL',
    'SORT (CC DATE) UTF-8 ALL',
    'SORT (SIZE) UTF-8 ALL',
    'SORT (DISPLAYFROM) UTF-8 ALL',
    'SORT (DISPLAYTO) UTF-8 ALL',
    'UID SORT (SUBJECT) US-ASCII FROM ada',
    'SORT RETURN (MIN COUNT) (DATE) UTF-8 FROM bob',
    'SORT (NONSENSE) UTF-8 ALL',
    'SORT () UTF-8 ALL',
  ],
  THREAD: [
    'THREAD REFERENCES UTF-8 ALL',
    'THREAD REFERENCES UTF-8 SUBJECT plans',
    'THREAD ORDEREDSUBJECT UTF-8 ALL',
    'UID THREAD REFERENCES UTF-8 FROM ada',
    'THREAD REFERENCES UTF-8 FROM nobody',
    'THREAD NONSENSE UTF-8 ALL',
  ],
  FETCH: [
    'FETCH 1:* (ENVELOPE)',
    'FETCH 1:* (RFC822.SIZE)',
    'FETCH 21 (BODY)',
    'FETCH 21 (BODYSTRUCTURE)',
    'FETCH 22 (BODY.PEEK[2] BODY.PEEK[2.MIME] BODY.PEEK[3])',
    'FETCH 1 (BODY.PEEK[HEADER.FIELDS (Subject FROM x-none)])',
    'FETCH 1 (BODY.PEEK[HEADER.FIELDS.NOT (Subject FROM)])',
    'FETCH 1 (BODY.PEEK[HEADER])',
    'FETCH 1 (BODY.PEEK[TEXT]<3.5>)',
    'FETCH 1 (BODY.PEEK[TEXT]<900.5>)',
    'FETCH 1 (BODY.PEEK[1])',
    'FETCH 1 (BODY.PEEK[2])',
    'FETCH 21 (BODY.PEEK[1.MIME] BODY.PEEK[2] BODY.PEEK[3] BODY.PEEK[3.HEADER] BODY.PEEK[3.1])',
    'FETCH 21 (BODY.PEEK[3.HEADER.FIELDS (SUBJECT)])',
    'FETCH 21 (BINARY.PEEK[1] BINARY.SIZE[1] BINARY.PEEK[2] BINARY.SIZE[2])',
    'FETCH 1 (RFC822.HEADER)',
    'FETCH 2 (RFC822.TEXT)',
    'FETCH 2 FLAGS',
    'FETCH 3 BODY[]',
    'FETCH 99 FLAGS',
    'UID FETCH 99 FLAGS',
    'FETCH 0 FLAGS',
    'FETCH 1 NONSENSE',
    'FETCH 1 ()',
  ],
  STORE: [
    'STORE 4:5 FLAGS (\\Answered $Forwarded)',
    'STORE 4 +FLAGS.SILENT (\\Seen)',
    'STORE 5 -FLAGS ($forwarded)',
    'STORE 6 FLAGS ()',
    'FETCH 1:6 FLAGS',
    'SEARCH KEYWORD $Forwarded',
    'SEARCH ANSWERED UNSEEN',
    'UID STORE 99 +FLAGS (\\Seen)',
    'STORE 99 +FLAGS (\\Seen)',
    'STORE 1 +FLAGS (\\Recent)',
    'STORE 1 +FLAGS (\\Nonsense)',
    'STORE 1 NONSENSE (\\Seen)',
  ],
  APPEND: [
    `APPEND INBOX (\\Flagged $Label) "11-Feb-2026 23:30:00 -0200" ${literal('Subject: old\r\n\r\nold\r\n')}`,
    'FETCH * (FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY)',
    'FETCH * FAST',
    'SEARCH ON 11-Feb-2026',
    'SEARCH ON 12-Feb-2026',
    'SEARCH BEFORE 1-Mar-2026',
    'SEARCH NOT SINCE 12-Feb-2026',
    'SORT (ARRIVAL) UTF-8 OR 23 5',
    'SORT (DATE) UTF-8 OR 23 1',
    `APPEND nothing ${literal('Subject: x\r\n\r\n')}`,
    `APPEND INBOX ${literal('')}`,
    `APPEND INBOX (\\Seen) ${literal('Subject: one\r\n\r\n')} (\\Draft) ${literal('no header at all')}`,
    'FETCH 24:* (FLAGS RFC822.SIZE ENVELOPE BODY)',
    'STORE 23:* FLAGS.SILENT (\\Deleted)',
    'EXPUNGE',
    'EXPUNGE',
  ],
  mailboxes: [
    'CREATE work/2026/march',
    'CREATE "work/&APw-ber"',
    'CREATE work/2026',
    'CREATE INBOX',
    'LIST "" work*',
    'LIST "" work/%',
    'LIST work/ %',
    'LIST "" ""',
    'LIST "" w%k',
    'LIST "" Work',
    'LIST "" inbox',
    'SUBSCRIBE work/2026/march',
    'LSUB "" work*',
    'LSUB "" work/%',
    'LIST (SUBSCRIBED) "" work* RETURN (CHILDREN)',
    'LIST (SUBSCRIBED RECURSIVEMATCH) "" work/% RETURN (CHILDREN)',
    'LIST "" (work/2026 nothing) RETURN (SUBSCRIBED CHILDREN)',
    'LIST "" work/2026 RETURN (CHILDREN STATUS (MESSAGES UNSEEN))',
    'LIST (REMOTE) "" work/2026 RETURN (CHILDREN)',
    'LIST (RECURSIVEMATCH) "" work/2026',
    'UNSUBSCRIBE work/never',
    'LSUB "" work*',
    'LIST "" nothing/*',
    'STATUS work/2026 (MESSAGES UNSEEN UIDNEXT)',
    'STATUS nothing (MESSAGES)',
    'COPY 1:2 work/2026',
    'COPY 1 nothing',
    'UID COPY 99 work/2026',
    'STATUS work/2026 (MESSAGES UNSEEN UIDNEXT)',
    'MOVE 3 work/2026',
    'STORE 1 FLAGS.SILENT (\\Deleted)',
    'UID EXPUNGE 2',
    'UID EXPUNGE 1',
    'RENAME work/2026 work/2027',
    'RENAME nothing anything',
    'RENAME work/2027 INBOX',
    'LIST "" work/*',
    'DELETE nothing',
    'DELETE work/2027/march',
    'DELETE INBOX',
    'SELECT nothing',
    'SEARCH ALL',
  ],
};

const ALL = Object.values(COMMANDS).flat();

/** Where Dovecot 2.3 answers something else, and why we do not. */
const DIFFERENCES: readonly (readonly [why: string, commands: readonly string[]])[] = [
  [
    'addresses are searched as they are written, as people see them: Dovecot quotes names anew',
    ['SEARCH FROM "Lovelace <ada"'],
  ],
  [
    'a part that is not there is NIL: Dovecot tells an empty one, which may be there',
    ['FETCH 1 (BODY.PEEK[2])'],
  ],
  ['STORE tells the flags, also where they were the same (RFC 9051 §6.4.6)', ['STORE 6 FLAGS ()']],
  [
    'clients that store all the flags they were told mean no harm by \\Recent, which nobody can set',
    ['STORE 1 +FLAGS (\\Recent)'],
  ],
  [
    'names above a new one are made as mailboxes (RFC 9051 §6.3.4): a Maildir has none of its own for them',
    ['CREATE work/2026', 'LIST "" work*', 'LIST "" w%k'],
  ],
];

const isKnown = (command: string): boolean =>
  DIFFERENCES.some(([, commands]) => commands.includes(command));

async function askConcert(home: MailHome, { user, password }: Resident): Promise<Buffer> {
  const socket = connect({ host: 'localhost', port: home.system.ports.imaps.port, ca: home.caPem });
  return askServer({ input: socket, output: socket }, [
    `LOGIN ${user} "${password}"`,
    'SELECT INBOX',
    ...ALL,
    'LOGOUT',
  ]);
}

/** Status lines, which are for people and each server's own, and what is told of a mailbox's flags. */
const PASSED_OVER = /^\* (OK|NO|BAD|BYE|PREAUTH|FLAGS|CAPABILITY|\d+ RECENT)\b/;

/** Reads what was said to each command, in their order. */
function readAnswers(said: Buffer): Answer[] {
  const text = said.toString('latin1');
  const answers: Answer[] = [];
  let told: string[] = [];
  for (let at = 0; at < text.length; ) {
    const line = text.slice(at, text.indexOf('\r\n', at));
    const end = /^\d+ (OK|NO|BAD)/.exec(line);
    if (end !== null) {
      answers.push([...told.toSorted(), end[1] ?? '']);
      told = [];
    }
    if (end !== null || PASSED_OVER.test(line)) {
      at += line.length + 2;
      continue;
    }
    const reader = new ImapReader(text, at);
    const data: ImapData[] = [];
    while (!reader.accept('\r\n')) {
      data.push(reader.value());
      reader.accept(' ');
    }
    told.push(render(normalize(data)));
    at = reader.at;
  }
  return answers;
}

/** What may come in any order, in one; and no tags, which are not the same. */
function normalize([star = null, name = null, which = null, ...rest]: ImapData[]): ImapData[] {
  if (name === 'ESEARCH') return [star, name, ...rest];
  if (name === 'LIST' || name === 'LSUB') return [star, name, sortFlags(which), ...rest];
  const hasItems = name === 'STATUS' || which === 'FETCH';
  return [star, name, which, ...(hasItems ? rest.map(sortItems) : rest)];
}

/** Names and values by turns; names of header fields in one case. */
function sortItems(data: ImapData): ImapData {
  if (!isList(data)) return data;
  const pairs = Array.from({ length: data.length / 2 }, (_, at) => {
    const [name = null, value = null] = data.slice(2 * at, 2 * at + 2);
    return [`${name}`.toUpperCase(), name === 'FLAGS' ? sortFlags(value) : value] as const;
  });
  return pairs.toSorted(([one], [other]) => (one < other ? -1 : 1)).flat(1);
}

/** \Recent is of RFC 3501 alone. */
function sortFlags(data: ImapData): ImapData {
  return isList(data) ? data.filter((flag) => flag !== '\\Recent').toSorted() : data;
}

const isList = (data: ImapData): data is readonly ImapData[] => Array.isArray(data);

function render(data: ImapData): string {
  if (data === null) return 'NIL';
  if (typeof data === 'string') return data === '' ? '""' : data;
  return `(${data.map(render).join(' ')})`;
}

describe.skipIf(!(await hasDovecot()))('the same as Dovecot (skipped without Dovecot 2.3)', () => {
  let home: MailHome;
  const ours = new Map<string, Answer | undefined>();
  const theirs = new Map<string, Answer | undefined>();
  beforeAll(async () => {
    home = await MailHome.open();
    const resident = await home.settle('beside');
    for (const message of CONVERSATION) await resident.onlooker.append('INBOX', message);
    const [here, there] = await Promise.all([
      askConcert(home, resident).then(readAnswers),
      askDovecot(CONVERSATION, ALL).then(readAnswers),
    ]);
    for (const [index, command] of ALL.entries()) {
      // before them ours has had LOGIN and SELECT, Dovecot SELECT alone
      ours.set(command, here[index + 2]);
      theirs.set(command, there[index + 1]);
    }
  });
  afterAll(() => home?.close());

  test.each(Object.entries(COMMANDS))('%s', (_, commands) => {
    const pick = (answers: ReadonlyMap<string, Answer | undefined>) =>
      commands
        .filter((command) => !isKnown(command))
        .map((command) => [command, ...(answers.get(command) ?? ['no answer'])].join('\n  '));
    expect(pick(ours)).toEqual(pick(theirs));
  });

  test('what is known to be different is so', () => {
    const same = ALL.filter(isKnown).filter((command) =>
      isDeepStrictEqual(ours.get(command), theirs.get(command)),
    );
    expect(same).toEqual([]);
  });
});
