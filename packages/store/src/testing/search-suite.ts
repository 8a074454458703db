/**
 * What searching texts must do on every engine: the substrings that a plain search of the decoded texts finds,
 * whether the index has a text, the table has it, or the message has to be read.
 */
import { silentLogger } from '@mail/service';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../engine.ts';
import type { AccountId, MailboxId, MailStore, SoughtText, Uid, UidRange } from '../mail-store.ts';
import type { TextIndex } from '../search-index.ts';
import { createStore } from '../store.ts';
import type { DatabaseUnderTest } from './database-under-test.ts';
import { openEngine } from './open-engine.ts';

const EVERYTHING: UidRange = { first: 1, last: 4_294_967_295 };

/** As a client asks: page after page. */
export async function findAll(
  store: MailStore,
  mailbox: MailboxId,
  sought: SoughtText,
  range: UidRange = EVERYTHING,
): Promise<Uid[]> {
  const found: Uid[] = [];
  for (let first = range.first; ; ) {
    const page = await store.messages.findText(mailbox, sought, { first, last: range.last });
    found.push(...page.uids);
    if (page.upTo >= range.last) return found;
    expect(page.upTo).toBeGreaterThanOrEqual(first);
    first = page.upTo + 1;
  }
}

/** A message of one text, and what a search must find in it. */
interface Written {
  readonly subject: string;
  readonly tag: string;
  readonly body: string;
}

function encodedWord(text: string): string {
  return `=?utf-8?b?${Buffer.from(text).toString('base64')}?=`;
}

function write({ subject, tag, body }: Written): Buffer {
  const lines = [
    `Subject: ${encodedWord(subject)}`,
    `X-Tag: ${encodedWord(tag)}`,
    'Content-Type: text/plain; charset=utf-8',
    'Content-Transfer-Encoding: base64',
    '',
    Buffer.from(body).toString('base64'),
    '',
  ];
  return Buffer.from(lines.join('\r\n'));
}

/** What no text has once it is stored. */
const SET_APART = ['\0', '\x1e', '\x1f'];

/** Letter by letter, so that no letter's case depends on another. */
function fold(text: string): string {
  return Array.from(text, (letter) =>
    SET_APART.includes(letter) ? '\ufffd' : letter.toLowerCase(),
  )
    .join('')
    .replaceAll('ς', 'σ');
}

/** The plain search that all others are measured by. */
function has({ subject, tag, body }: Written, { value, within }: SoughtText): boolean {
  const wanted = fold(value);
  const fields = { subject: fold(subject), 'x-tag': fold(tag) };
  if (typeof within !== 'string') {
    const text = fields[within.field.toLowerCase() as keyof typeof fields];
    return text?.includes(wanted) ?? false;
  }
  if (fold(body).includes(wanted)) return true;
  if (within === 'body') return false;
  const lines = [
    ...Object.entries(fields).map(([name, text]) => `${name}: ${text}`),
    'content-type: text/plain; charset=utf-8',
    'content-transfer-encoding: base64',
  ];
  return lines.some((line) => line.includes(wanted));
}

const WORDS = [
  ...[
    'the',
    'meeting',
    'zebra',
    'x',
    '100%',
    'a_b',
    '%',
    '_',
    '\\',
    `'`,
    '"',
    `"or"`,
    '*',
    '(',
    ':',
  ],
  ...[
    'Straße',
    'GRÜSSE',
    'ΟΔΟΣ',
    'ς',
    'İstanbul',
    '日本語',
    'メール',
    '👍',
    '👩‍👩‍👧',
    'ﬁ',
    '\0',
    '\u001f',
    '\u001e',
  ],
  ...['ab', 'abc', 'aab', 'and', 'NOT', 'near', 'subject', '-', '^', '\n', '\r\n', '\t', '  '],
];
const text = (most: number): fc.Arbitrary<string> =>
  fc
    .array(
      fc.oneof(
        { weight: 5, arbitrary: fc.constantFrom(...WORDS) },
        { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 3 }) },
      ),
      { maxLength: most },
    )
    .chain((words) => fc.constantFrom(' ', '').map((between) => words.join(between)))
    // what decoders take for the octets' order is no text
    .map((found) => found.replaceAll('\ufeff', '').toWellFormed());
const written: fc.Arbitrary<Written> = fc.record({
  subject: text(4),
  tag: text(3),
  body: text(40),
});
const within: fc.Arbitrary<SoughtText['within']> = fc.constantFrom<SoughtText['within']>(
  ...(['body', 'text', { field: 'Subject' }, { field: 'x-tag' }, { field: 'X-None' }] as const),
);

export function searchSuite(
  name: string,
  create: () => Promise<DatabaseUnderTest>,
  index: TextIndex,
): void {
  describe(`searching ${name}`, () => {
    let database: DatabaseUnderTest;
    let engine: Engine;
    let store: MailStore;
    let owner: AccountId;

    beforeAll(async () => {
      database = await create();
      engine = await openEngine(database.url);
      store = createStore(engine, silentLogger());
      owner = (await store.accounts.add('alice@x.test', 'hash')).id;
    });
    afterAll(async () => {
      await store?.close();
      await database?.dispose();
    });

    const doAll = async (work: 'fillTexts' | 'indexTexts'): Promise<void> => {
      while (await engine.write(work, null)) {
        // until nothing is left
      }
    };
    const makeMailbox = async (path: string, messages: readonly Buffer[]): Promise<MailboxId> => {
      const { id } = await store.mailboxes.create(owner, path);
      await store.messages.append(
        id,
        messages.map((raw) => ({ raw })),
      );
      return id;
    };
    /** As a store was before it had texts. */
    const unfill = async (): Promise<void> => {
      if (database.url.startsWith('sqlite:')) await database.query('delete from text_index');
      await database.query('delete from content_texts');
      await database.query(`update counters set value = 0 where name = 'texts_filled'`);
      await database.query(`update counters set value = (select max(id) from contents)
        where name = 'texts_to_fill'`);
    };

    describe('finds by the words of RFC 9051 §6.4.4', () => {
      const MESSAGES = [
        [
          'From: =?utf-8?q?J=C3=B6rg?= <joerg@example.test>',
          'Subject: =?iso-8859-1?q?Bericht_f=FCr_M=E4rz?=',
          'Received: from a',
          'Received: from b',
          'Content-Type: text/plain; charset=iso-8859-1',
          'Content-Transfer-Encoding: quoted-printable',
          '',
          'Stra=DFe, 50% off_',
          '',
        ],
        [
          'From: boss@example.test',
          'Subject:',
          'X-Long: one',
          '  two',
          'Content-Type: multipart/mixed; boundary=x',
          '',
          '--x',
          'Content-Type: text/html',
          '',
          '<p class="red">first</p>',
          '--x',
          'Content-Type: application/octet-stream',
          '',
          'attached',
          '--x',
          'Content-Type: message/rfc822',
          '',
          'Subject: forwarded',
          '',
          'second',
          '--x--',
          '',
        ],
        ['Subject: =?utf-8?q?a=0Afrom:_boss=1Ffrom:_boss?=', '', 'no sender'],
        [''],
      ].map((lines) => Buffer.from(lines.join('\r\n')));
      let known: MailboxId;
      beforeAll(async () => {
        known = await makeMailbox('known', MESSAGES);
      });

      it.each<[SoughtText['within'], string, Uid[]]>([
        [{ field: 'FROM' }, 'JÖRG', [1]],
        [{ field: 'from' }, 'example.TEST', [1, 2]],
        [{ field: 'from' }, 'boss', [2]],
        [{ field: 'Subject' }, 'für märz', [1]],
        [{ field: 'Subject' }, 'forwarded', []],
        [{ field: 'Subject' }, '', [1, 2, 3]],
        [{ field: 'received' }, 'from B', [1]],
        [{ field: 'received' }, 'from a from b', []],
        [{ field: 'X-Long' }, 'one  two', [2]],
        [{ field: 'X-None' }, '', []],
        [{ field: '%' }, '', []],
        [{ field: 'sub' }, '', []],
        ['body', 'STRASSE', []],
        ['body', 'straße', [1]],
        ['body', '50% OFF_', [1]],
        ['body', '50_ off', []],
        ['body', '%', [1]],
        ['body', 'class="red"', [2]],
        ['body', 'attached', []],
        ['body', 'forwarded', []],
        ['body', 'second', [2]],
        ['body', 'first</p>second', []],
        ['body', '', [1, 2, 3, 4]],
        ['text', '', [1, 2, 3, 4]],
        ['text', 'forwarded', [2]],
        ['text', 'bericht für', [1]],
        ['text', 'subject: ', [1, 2, 3]],
        ['text', 'boss', [2, 3]],
        ['text', 'nowhere', []],
      ])('%o has %s', async (where, value, uids) => {
        expect(await findAll(store, known, { within: where, value })).toEqual(uids);
      });

      it('in a range of UIDs', async () => {
        const sought: SoughtText = { within: 'text', value: 'subject' };
        const find = (first: Uid, last: Uid) => findAll(store, known, sought, { first, last });
        expect(await find(2, 2)).toEqual([2]);
        expect(await find(2, 4)).toEqual([2, 3]);
        expect(await find(4, 4)).toEqual([]);
        expect(await find(5, 9)).toEqual([]);
      });

      it('of mailboxes that there are', async () => {
        const found = store.messages.findText(0, { within: 'text', value: 'a' }, EVERYTHING);
        await expect(found).rejects.toMatchObject({ code: 'no-such-mailbox' });
      });
    });

    it('finds what lies behind the texts that are kept, by reading', async () => {
      const lines = 'all work and no play makes jack a dull boy\r\n'.repeat(8_000);
      const fields = Array.from(
        { length: 30 },
        (_, at) => `X-Fill: ${'f'.repeat(3_000)} ${at}\r\n`,
      );
      const id = await makeMailbox('long', [
        Buffer.from(`Subject: one\r\n\r\n${lines}the end`),
        Buffer.from(`Subject: two\r\n${fields.join('')}X-Last: the end\r\n\r\nshort`),
        Buffer.from('Subject: three\r\n\r\nthe end'),
      ]);
      const find = (where: SoughtText['within'], value: string) =>
        findAll(store, id, { within: where, value });
      expect(await find('body', 'THE END')).toEqual([1, 3]);
      expect(await find('text', 'the end')).toEqual([1, 2, 3]);
      expect(await find({ field: 'x-last' }, 'the end')).toEqual([2]);
      expect(await find('body', 'dull boy\r\nall')).toEqual([1]);
      // longer than what the database compares
      expect(await find('body', lines.slice(0, 200))).toEqual([1]);
      expect(await find('body', `${lines.slice(0, 200)}!`)).toEqual([]);
      expect(await find({ field: 'x-fill' }, `${'F'.repeat(3_000)} 7`)).toEqual([2]);
    });

    it('agrees with a plain search, whatever the index has', async () => {
      const messages = fc.sample(written, { seed: 42, numRuns: 240 });
      const id = await makeMailbox('random', messages.map(write));
      const values = fc.oneof(
        text(3),
        // a piece of what is there
        fc
          .tuple(fc.constantFrom(...messages), fc.nat(), fc.integer({ min: 1, max: 90 }))
          .map(([{ subject, body }, at, length]) => {
            const whole = at % 3 === 0 ? subject : body;
            const start = whole.length === 0 ? 0 : at % whole.length;
            return whole.slice(start, start + length).toWellFormed();
          }),
      );
      const agrees = async (runs: number): Promise<void> =>
        fc.assert(
          fc.asyncProperty(values, within, async (value, where) => {
            const sought = { value, within: where };
            const expected = messages.flatMap((one, at) => (has(one, sought) ? [at + 1] : []));
            expect(await findAll(store, id, sought)).toEqual(expected);
          }),
          { numRuns: runs },
        );
      await agrees(60);
      await engine.write('indexTexts', null);
      await agrees(60);
      await doAll('indexTexts');
      await agrees(120);
      await unfill();
      await agrees(15);
      await engine.write('fillTexts', null);
      await agrees(15);
      await doAll('fillTexts');
      await doAll('indexTexts');
      await agrees(60);
      await database.check();
    });

    it('has an index that names few contents, and gives up where they are many', async () => {
      const numbers = Array.from({ length: 40 }, (_, at) => at);
      await makeMailbox(
        'indexed',
        numbers.map((at) =>
          Buffer.from(`Subject: indexed\r\n\r\nquotation ${at === 7 ? 'Xylophone' : at}`),
        ),
      );
      const ask = (value: string) =>
        engine.readAtOnce((db) => index.candidates(db, value, 1, Number.MAX_SAFE_INTEGER, 20));
      expect(await ask('xylophone')).toEqual([]);
      await doAll('indexTexts');
      expect(await ask('xylophone')).toHaveLength(1);
      expect(await ask('ylopho')).toHaveLength(1);
      expect(await ask('quotation')).toBeUndefined();
      expect(await ask('xy')).toBeUndefined();

      const id = (await store.mailboxes.find(owner, 'indexed'))?.id ?? 0;
      await store.messages.expunge(id, [8]);
      await database.query('update contents set keep_until = 0');
      while (await engine.write('sweep', null)) {
        // until nothing is left
      }
      expect(await ask('xylophone')).toEqual([]);
    });

    it('answers for a large mailbox in pages', async () => {
      const raw = (at: number): Buffer => Buffer.from(`Subject: ${at}\r\n\r\nnumber ${at}.`);
      const id = await makeMailbox(
        'large',
        Array.from({ length: 5_000 }, (_, at) => raw(at + 1)),
      );
      const sought: SoughtText = { within: 'body', value: 'number 4' };
      const numbers = Array.from({ length: 5_000 }, (_, at) => at + 1);
      const expected = numbers.filter((one) => String(one).startsWith('4'));
      const first = await store.messages.findText(id, sought, EVERYTHING);
      expect(first.upTo).toBeLessThan(5_000);
      expect(await findAll(store, id, sought)).toEqual(expected);
      await doAll('indexTexts');
      expect(await findAll(store, id, sought)).toEqual(expected);
      expect(await findAll(store, id, { within: 'text', value: 'number 4711.' })).toEqual([4_711]);
    });
  });
}
