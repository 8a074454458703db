/** UIDONLY (RFC 9586) among several clients: one knows messages by UID alone, the others by number. */
import { type Account, type MailboxId, type MailStore, StoreError } from '@mail/store';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { COMMANDS } from './commands/index.ts';
import { Talk } from './testing/talk.ts';
import { PASSWORD, startTestServer, type TestServer } from './testing/test-server.ts';

let server: TestServer;
let store: MailStore;
let account: Account;
let inbox: MailboxId;
beforeAll(async () => {
  server = await startTestServer();
  store = server.store;
});
afterAll(() => server.close());
beforeEach(async () => {
  account = await server.addAccountWithMail();
  inbox = (await store.mailboxes.find(account.id, 'INBOX'))?.id ?? 0;
});

async function open(mailbox: string): Promise<Talk> {
  const talk = await Talk.open(server.ports.plain, account.address, PASSWORD, mailbox);
  onTestFinished(() => talk.close());
  return talk;
}

async function openByUid(mailbox: string, ...more: string[]): Promise<Talk> {
  const talk = await open('Drafts');
  await talk.say(['ENABLE UIDONLY', ...more].join(' '));
  await talk.say(`SELECT ${mailbox}`);
  return talk;
}

const message = (text: string) => ({ raw: Buffer.from(`Subject: ${text}\r\n\r\n${text}\r\n`) });

/** Commands that name messages by number, each with arguments that are right but for that. */
const ARGUMENTS: Readonly<Record<string, string>> = {
  SEARCH: 'ALL',
  SORT: '(DATE) UTF-8 ALL',
  THREAD: 'REFERENCES UTF-8 ALL',
  FETCH: '1 (FLAGS)',
  STORE: '1 +FLAGS.SILENT (\\Deleted)',
  COPY: '1 Sent',
  MOVE: '1 Trash',
  REPLACE: '2 INBOX {2+}\r\nab',
};

test('no command that has a form by UID is taken in the other, but EXPUNGE, which names no message', async () => {
  const talk = await openByUid('INBOX');
  const verbs = [...COMMANDS.keys()].filter((verb) => COMMANDS.has(`UID ${verb}`));
  for (const verb of verbs.filter((one) => one !== 'EXPUNGE')) {
    expect(await talk.say(`${verb} ${ARGUMENTS[verb]}`)).toEqual([
      'BAD [UIDREQUIRED] Only UIDs once UIDONLY is enabled',
    ]);
    const byUid = await talk.say(`UID ${verb} ${ARGUMENTS[verb]}`);
    expect(byUid.at(-1)).toMatch(/^OK /);
  }
  expect(await talk.say('EXPUNGE')).toEqual(['OK EXPUNGE completed']);
});

describe('two sessions', () => {
  test('each is told what the other does in its own way', async () => {
    const [a, b] = [await open('INBOX'), await openByUid('INBOX')];
    await a.say('STORE 1 +FLAGS.SILENT (\\Flagged)');
    expect(await b.say('NOOP')).toEqual([
      '* 1 UIDFETCH (FLAGS (\\Seen \\Answered \\Flagged))',
      'OK Done',
    ]);
    await b.say('UID STORE 2 +FLAGS.SILENT (\\Seen)');
    expect(await a.say('NOOP')).toEqual(['* 2 FETCH (UID 2 FLAGS (\\Seen $Work))', 'OK Done']);
    await a.say('STORE 1,3 +FLAGS.SILENT (\\Deleted)');
    expect(await a.say('EXPUNGE')).toEqual(['* 3 EXPUNGE', '* 1 EXPUNGE', 'OK EXPUNGE completed']);
    // commands by UID let go what has gone, all at once; what is gone is not told of otherwise
    expect(await b.say('UID FETCH 1:* (FLAGS)')).toEqual([
      '* 2 UIDFETCH (FLAGS (\\Seen $Work))',
      '* VANISHED 1,3',
      'OK FETCH completed',
    ]);
    await store.messages.append(inbox, [message('four')]);
    expect(await b.say('UID STORE 2:* +FLAGS (\\Flagged)')).toEqual([
      '* 2 UIDFETCH (FLAGS (\\Seen \\Flagged $Work))',
      '* 2 EXISTS',
      'OK STORE completed',
    ]);
    expect(await b.say('UID MOVE 2 Trash')).toEqual([
      expect.stringMatching(/^\* OK \[COPYUID \d+ 2 1\] Moved$/),
      '* VANISHED 2',
      'OK MOVE completed',
    ]);
    expect(await a.say('NOOP')).toEqual(['* 1 EXPUNGE', '* 1 EXISTS', 'OK Done']);
  });

  test('whoever enables it late is told by UID what has gone before', async () => {
    const [a, b] = [await open('INBOX'), await open('INBOX')];
    await a.say('STORE 1:2 +FLAGS.SILENT (\\Deleted)');
    await a.say('EXPUNGE');
    expect(await b.say('ENABLE UIDONLY')).toEqual([
      '* ENABLED UIDONLY',
      '* VANISHED 1:2',
      'OK ENABLE completed',
    ]);
  });

  test('a message that the other takes away at this moment is passed over', async () => {
    const [a, b] = [await open('INBOX'), await openByUid('INBOX')];
    await a.say('STORE 2 +FLAGS.SILENT (\\Deleted)');
    await a.say('EXPUNGE');
    b.send('x UID FETCH 1:2 (RFC822.SIZE)\r\ny UID SEARCH 2\r\nz UID COPY 1:2 Sent\r\n');
    expect(await b.until((line) => line.startsWith('z '))).toEqual([
      '* 1 UIDFETCH (RFC822.SIZE 231)',
      '* VANISHED 2',
      'x OK FETCH completed',
      'y BAD [UIDREQUIRED] Only UIDs once UIDONLY is enabled',
      expect.stringMatching(/^z OK \[COPYUID \d+ 1 1\] COPY completed$/),
    ]);
  });

  test('with CONDSTORE', async () => {
    const [a, b] = [await open('INBOX'), await openByUid('INBOX', 'CONDSTORE')];
    await a.say('STORE 3 +FLAGS.SILENT (\\Seen)');
    expect(await b.say('NOOP')).toEqual([
      expect.stringMatching(/^\* 3 UIDFETCH \(FLAGS \(\\Seen\) MODSEQ \(\d+\)\)$/),
      'OK Done',
    ]);
    expect(await b.say('UID STORE 3 (UNCHANGEDSINCE 0) +FLAGS (\\Flagged)')).toEqual([
      'OK [MODIFIED 3] Some have changed since',
    ]);
  });
});

test('IDLE', async () => {
  const [a, b] = [await open('INBOX'), await openByUid('INBOX')];
  b.send('i IDLE\r\n');
  expect(await b.line()).toBe('+ Idling');
  await store.messages.append(inbox, [message('four')]);
  expect(await b.line()).toBe('* 4 EXISTS');
  await a.say('STORE 3 +FLAGS.SILENT (\\Deleted)');
  expect(await b.line()).toBe('* 3 UIDFETCH (FLAGS (\\Deleted))');
  await a.say('EXPUNGE');
  expect(await b.line()).toBe('* VANISHED 3');
  b.send('DONE\r\n');
  expect(await b.line()).toBe('i OK IDLE completed');
});

test('NOTIFY: what is new, with what was asked for of it', async () => {
  const talk = await openByUid('INBOX');
  const events = 'MessageNew (UID BODY.PEEK[TEXT]) MessageExpunge FlagChange';
  await talk.say(`NOTIFY SET (selected (${events}))`);
  await store.messages.append(inbox, [message('four')]);
  expect(await talk.until((line) => line === ')')).toEqual([
    '* 4 EXISTS',
    '* 4 UIDFETCH (UID 4 BODY[TEXT] {6}',
    'four',
    ')',
  ]);
  await store.messages.changeFlags(inbox, [4], 'add', ['\\Flagged']);
  expect(await talk.line()).toBe('* 4 UIDFETCH (FLAGS (\\Flagged))');
  await store.messages.expunge(inbox, [1, 2, 4]);
  expect(await talk.line()).toBe('* VANISHED 1:2,4');
});

test('whatever others do, who believes what it is told knows every UID and its flags', async () => {
  const step = fc.record({
    kind: fc.constantFrom('append', 'expunge', 'flag', 'copy', 'noop', 'fetch', 'store', 'move'),
    at: fc.nat(20),
  });
  const talk = await openByUid('INBOX');
  let boxes = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 15 }), async (steps) => {
      boxes += 1;
      const mailbox = await store.mailboxes.create(account.id, `Box${boxes}`);
      await talk.say(`SELECT ${mailbox.name}`);
      const events = 'MessageNew (FLAGS) MessageExpunge FlagChange';
      await talk.say(`NOTIFY SET (selected (${events}))`);
      const known = new Map<number, string>();
      let count = 0;
      const hear = (line: string): void => {
        expect(line).not.toMatch(/^\* \d+ (FETCH|EXPUNGE)/);
        const [, exists] = /^\* (\d+) EXISTS$/.exec(line) ?? [];
        if (exists !== undefined) {
          expect(Number(exists)).toBeGreaterThan(count);
          count = Number(exists);
        }
        const [, uid, flags] = /^\* (\d+) UIDFETCH \(FLAGS \((.*)\)\)$/.exec(line) ?? [];
        if (uid !== undefined) known.set(Number(uid), flags ?? '');
        const [, vanished] = /^\* VANISHED (\S+)$/.exec(line) ?? [];
        for (const range of vanished?.split(',') ?? []) {
          const [first = 0, last = first] = range.split(':').map(Number);
          for (let gone = first; gone <= last; gone += 1) {
            expect(known.delete(gone)).toBe(true);
            count -= 1;
          }
        }
      };
      const say = async (command: string): Promise<void> => {
        for (const line of await talk.say(command)) hear(line);
      };
      for (const { kind, at } of steps) {
        const { messages } = await store.messages.list(mailbox.id);
        const uid = messages[at % Math.max(messages.length, 1)]?.uid ?? 1;
        try {
          if (kind === 'append') await store.messages.append(mailbox.id, [message('x')]);
          if (kind === 'expunge') await store.messages.expunge(mailbox.id, [uid]);
          if (kind === 'copy') await store.messages.copy(mailbox.id, [uid], mailbox.id);
          if (kind === 'flag')
            await store.messages.changeFlags(mailbox.id, [uid], 'add', [`k${at}`]);
        } catch (error) {
          // there is no such message
          if (!(error instanceof StoreError)) throw error;
        }
        if (kind === 'noop') await say('NOOP');
        if (kind === 'fetch') await say('UID FETCH 1:* (FLAGS)');
        if (kind === 'store') await say(`UID STORE ${uid} +FLAGS (s${at})`);
        if (kind === 'move') await say(`UID MOVE ${uid} Trash`);
      }
      await say('NOOP');
      const { messages } = await store.messages.list(mailbox.id);
      expect([...known].sort(([a], [b]) => a - b)).toEqual(
        messages.map(({ uid, flags }) => [uid, flags.join(' ')]),
      );
      expect(count).toBe(messages.length);
    }),
    { numRuns: 40 },
  );
});

test('where it is withheld it is neither announced nor enabled', async () => {
  const other = await startTestServer({ CONCERT_IMAP_WITHHOLD: 'UIDONLY' });
  onTestFinished(() => other.close());
  const { address } = await other.addAccount();
  const talk = await Talk.open(other.ports.plain, address, PASSWORD, 'INBOX');
  onTestFinished(() => talk.close());
  expect((await talk.say('CAPABILITY'))[0]).not.toContain('UIDONLY');
  expect((await talk.say('ENABLE UIDONLY CONDSTORE'))[0]).toBe('* ENABLED CONDSTORE');
});
