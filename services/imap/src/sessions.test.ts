/** Several clients at once on one mailbox, and what a session does beyond single commands. */
import { connect, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { type Account, type MailboxId, StoreError } from '@mail/store';
import fc from 'fast-check';
import {
  afterAll,
  beforeAll,
  beforeEach,
  describe,
  expect,
  onTestFinished,
  test,
  vi,
} from 'vitest';
import { INBOX_MESSAGES } from './testing/messages.ts';
import { Talk } from './testing/talk.ts';
import { PASSWORD, startTestServer, type TestServer } from './testing/test-server.ts';

let server: TestServer;
let account: Account;
let inbox: MailboxId;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());
beforeEach(async () => {
  account = await server.addAccountWithMail();
  inbox = (await server.store.mailboxes.find(account.id, 'INBOX'))?.id ?? 0;
});

async function open(mailbox?: string): Promise<Talk> {
  const talk = await Talk.open(server.ports.plain, account.address, PASSWORD, mailbox);
  onTestFinished(() => talk.close());
  return talk;
}

const message = (text: string) => ({ raw: Buffer.from(`Subject: ${text}\r\n\r\n${text}\r\n`) });

describe('two sessions', () => {
  test('an expunge by one is told the other with its next command that names no numbers', async () => {
    const [a, b] = [await open('INBOX'), await open('INBOX')];
    await a.say('STORE 1 +FLAGS.SILENT (\\Deleted)');
    expect(await a.say('EXPUNGE')).toEqual(['* 1 EXPUNGE', 'OK EXPUNGE completed']);
    // RFC 3501 §7.4.1: numbers stay as they are over FETCH, STORE, SEARCH
    expect(await b.say('FETCH 2 UID')).toEqual(['* 2 FETCH (UID 2)', 'OK FETCH completed']);
    expect(await b.say('SEARCH ALL')).toEqual(['* SEARCH 2 3', 'OK SEARCH completed']);
    expect(await b.say('FETCH 1 UID')).toEqual([
      'NO [EXPUNGEISSUED] Some of the messages are gone',
    ]);
    expect(await b.say('UID FETCH 2 FLAGS')).toEqual([
      '* 2 FETCH (UID 2 FLAGS ($Work))',
      '* 1 EXPUNGE',
      'OK FETCH completed',
    ]);
    expect(await b.say('FETCH 1 UID')).toEqual(['* 1 FETCH (UID 2)', 'OK FETCH completed']);
  });

  test('numbers stay over SORT and THREAD, and go on with their forms by UID', async () => {
    const [a, b] = [await open('INBOX'), await open('INBOX')];
    await a.say('UID STORE 1 +FLAGS.SILENT (\\Deleted)');
    await a.say('EXPUNGE');
    expect(await b.say('SORT (REVERSE DATE) UTF-8 ALL')).toEqual([
      '* SORT 3 2',
      'OK SORT completed',
    ]);
    expect(await b.say('THREAD REFERENCES UTF-8 ALL')).toEqual([
      '* THREAD (2)(3)',
      'OK THREAD completed',
    ]);
    expect(await b.say('UID SORT (REVERSE DATE) UTF-8 ALL')).toEqual([
      '* SORT 3 2',
      '* 1 EXPUNGE',
      'OK SORT completed',
    ]);
    expect(await b.say('SORT (REVERSE DATE) UTF-8 ALL')).toEqual([
      '* SORT 2 1',
      'OK SORT completed',
    ]);
  });

  test('both replace one message: one of them does, and nothing is doubled', async () => {
    const [a, b] = [await open('INBOX'), await open('INBOX')];
    const answers = await Promise.all(
      [a, b].map((talk) => talk.say('UID REPLACE 3 INBOX {12+}\r\nSubject: new')),
    );
    const ends = answers.map((lines) => lines.at(-1)).sort();
    expect(ends).toEqual([
      expect.stringMatching(/^NO \[(EXPUNGEISSUED|NONEXISTENT)\]/),
      'OK REPLACE completed',
    ]);
    await Promise.all([a.say('NOOP'), b.say('NOOP')]);
    for (const talk of [a, b]) {
      expect(await talk.say('UID SEARCH ALL')).toEqual(['* SEARCH 1 2 4', 'OK SEARCH completed']);
    }
  });

  test('flags', async () => {
    const [a, b] = [await open('INBOX'), await open('INBOX')];
    await a.say('STORE 2 +FLAGS (\\Flagged $New)');
    expect(await b.say('NOOP')).toEqual([
      expect.stringMatching(/^\* FLAGS \(.*\$New\)$/),
      expect.stringMatching(/^\* OK \[PERMANENTFLAGS /),
      '* 2 FETCH (UID 2 FLAGS (\\Flagged $New $Work))',
      'OK Done',
    ]);
    expect(await a.say('NOOP')).toEqual(['OK Done']);
  });

  test('both change the flags of one message: neither is lost, each hears of the other', async () => {
    const [a, b] = [await open('INBOX'), await open('INBOX')];
    await Promise.all([
      a.say('STORE 3 +FLAGS.SILENT (\\Flagged)'),
      b.say('STORE 3 +FLAGS.SILENT (\\Answered)'),
    ]);
    await a.say('NOOP');
    await b.say('NOOP');
    const both = ['* 3 FETCH (FLAGS (\\Answered \\Flagged))', 'OK FETCH completed'];
    expect(await a.say('FETCH 3 FLAGS')).toEqual(both);
    expect(await b.say('FETCH 3 FLAGS')).toEqual(both);
  });

  test('both expunge at once: every message goes once, both views end empty', async () => {
    const [a, b] = [await open('INBOX'), await open('INBOX')];
    await a.say('STORE 1:* +FLAGS.SILENT (\\Deleted)');
    const answers = await Promise.all([a.say('EXPUNGE'), b.say('EXPUNGE')]);
    await Promise.all([a.say('NOOP'), b.say('NOOP')]).then((more) =>
      more.forEach((lines, index) => {
        answers[index]?.push(...lines);
      }),
    );
    for (const lines of answers) {
      expect(lines.filter((line) => line.endsWith(' EXPUNGE'))).toHaveLength(3);
    }
    expect(await b.say('SEARCH ALL')).toEqual(['* SEARCH', 'OK SEARCH completed']);
  });

  test.each(['EXPUNGE', 'UID EXPUNGE 1:*', 'CLOSE'])(
    'what one takes back stays, however late: %s',
    async (command) => {
      const [a, b] = [await open('INBOX'), await open('INBOX')];
      await a.say('STORE 1:* +FLAGS.SILENT (\\Deleted)');
      const { messages } = server.store;
      const { expunge } = messages;
      messages.expunge = async (...args) => {
        await b.say('UID STORE 2 -FLAGS (\\Deleted)');
        return expunge(...args);
      };
      onTestFinished(() => {
        messages.expunge = expunge;
      });
      await a.say(command);
      expect((await messages.list(inbox)).messages.map(({ uid }) => uid)).toEqual([2]);
    },
  );

  test('a move by one: gone here, there at the target', async () => {
    const [a, b] = [await open('INBOX'), await open('Trash')];
    const [moved, ...expunged] = await a.say('MOVE 1:2 Trash');
    expect(moved).toMatch(/^\* OK \[COPYUID \d+ 1:2 1:2\]/);
    expect(expunged).toEqual(['* 2 EXPUNGE', '* 1 EXPUNGE', 'OK MOVE completed']);
    // the keyword of one of them is new there (RFC 3501 §7.2.6)
    expect(await b.say('NOOP')).toEqual([
      '* 2 EXISTS',
      expect.stringMatching(/^\* FLAGS \(.*\$Work\)$/),
      expect.stringMatching(/^\* OK \[PERMANENTFLAGS /),
      'OK Done',
    ]);
  });

  test('appends, and a COPY to where the other is', async () => {
    const [a, b] = [await open('INBOX'), await open('INBOX')];
    await server.store.messages.append(inbox, [message('four')]);
    expect(await b.say('NOOP')).toEqual(['* 4 EXISTS', 'OK Done']);
    await a.say('COPY 1 INBOX');
    expect(await b.say('NOOP')).toEqual(['* 5 EXISTS', 'OK Done']);
    expect(await a.say('FETCH 4:5 UID')).toHaveLength(3);
  });

  test('everything at once, in one order: what is gone, what has come, keywords, flags', async () => {
    const [a, b] = [await open('INBOX'), await open('INBOX')];
    await a.say('STORE 3 +FLAGS.SILENT (\\Flagged $New)');
    await a.say('APPEND INBOX (\\Seen) {2+}\r\nab');
    await a.say('STORE 1 +FLAGS.SILENT (\\Deleted)');
    await a.say('EXPUNGE');
    await a.say('STORE 3 +FLAGS.SILENT (\\Answered)');
    expect(await b.say('NOOP')).toEqual([
      '* 1 EXPUNGE',
      // of a message that is new no flags are told
      '* 3 EXISTS',
      expect.stringMatching(/^\* FLAGS \(.*\$New\)$/),
      expect.stringMatching(/^\* OK \[PERMANENTFLAGS /),
      '* 2 FETCH (UID 3 FLAGS (\\Flagged $New))',
      'OK Done',
    ]);
    expect(await b.say('FETCH 3 FLAGS')).toEqual([
      '* 3 FETCH (FLAGS (\\Seen \\Answered))',
      'OK FETCH completed',
    ]);
  });

  test('what comes and goes before it is told is not told', async () => {
    const [a, b] = [await open('INBOX'), await open('INBOX')];
    await a.say('APPEND INBOX {2+}\r\nab');
    await a.say('STORE 2 +FLAGS.SILENT (\\Flagged)');
    await a.say('STORE 2,4 +FLAGS.SILENT (\\Deleted)');
    await a.say('EXPUNGE');
    expect(await b.say('NOOP')).toEqual(['* 2 EXPUNGE', 'OK Done']);
  });

  describe('what the other has expunged: by number refused, by UID passed over', () => {
    const GONE = 'NO [EXPUNGEISSUED] Some of the messages are gone';
    let talk: Talk;
    beforeEach(async () => {
      const [a, b] = [await open('INBOX'), await open('INBOX')];
      await a.say('UID STORE 2 +FLAGS.SILENT (\\Deleted)');
      await a.say('EXPUNGE');
      talk = b;
    });

    test('STORE: the others are stored (RFC 2180 §4.2)', async () => {
      expect(await talk.say('STORE 1:3 +FLAGS (\\Flagged)')).toEqual([
        '* 1 FETCH (FLAGS (\\Seen \\Answered \\Flagged))',
        '* 3 FETCH (FLAGS (\\Flagged))',
        GONE,
      ]);
      expect(await talk.say('STORE 2 +FLAGS.SILENT (\\Flagged)')).toEqual([GONE]);
      expect(await talk.say('UID STORE 1:3 -FLAGS.SILENT (\\Flagged)')).toEqual([
        '* 2 EXPUNGE',
        'OK STORE completed',
      ]);
    });

    test('COPY: all or none (RFC 2180 §4.4)', async () => {
      expect(await talk.say('COPY 1:3 Archive')).toEqual(['* 2 EXPUNGE', GONE]);
      expect(await talk.say('STATUS Archive (MESSAGES)')).toEqual([
        '* STATUS Archive (MESSAGES 0)',
        'OK STATUS completed',
      ]);
      expect(await talk.say('UID COPY 1:3 Archive')).toEqual([
        expect.stringMatching(/^OK \[COPYUID \d+ 1,3 1:2\] COPY completed$/),
      ]);
    });

    test('MOVE: the others are moved (RFC 6851)', async () => {
      expect(await talk.say('MOVE 1:2 Trash')).toEqual([
        expect.stringMatching(/^\* OK \[COPYUID \d+ 1 1\] Moved$/),
        '* 2 EXPUNGE',
        '* 1 EXPUNGE',
        GONE,
      ]);
      expect(await talk.say('UID MOVE 2:3 Trash')).toEqual([
        expect.stringMatching(/^\* OK \[COPYUID \d+ 3 2\] Moved$/),
        '* 1 EXPUNGE',
        'OK MOVE completed',
      ]);
    });
  });

  test('both append at once: each hears of both, once', async () => {
    const [a, b] = [await open('INBOX'), await open('INBOX')];
    const answers = await Promise.all(
      [a, b].map((talk) => talk.say('APPEND INBOX (\\Seen) {2+}\r\nab')),
    );
    const uids = answers.map((lines) => /^OK \[APPENDUID \d+ (\d)\]/.exec(lines.at(-1) ?? '')?.[1]);
    expect([...uids].sort()).toEqual(['4', '5']);
    for (const [index, talk] of [a, b].entries()) {
      const heard = [...(answers[index] ?? []).slice(0, -1), ...(await talk.say('NOOP'))];
      expect([
        ['* 5 EXISTS', 'OK Done'],
        ['* 4 EXISTS', '* 5 EXISTS', 'OK Done'],
      ]).toContainEqual(heard);
    }
  });

  test('both move the same messages at once: each goes once', async () => {
    const [a, b] = [await open('INBOX'), await open('INBOX')];
    const answers = await Promise.all([a.say('UID MOVE 1:3 Trash'), b.say('UID MOVE 1:3 Archive')]);
    const moved = answers.map((lines) => lines.filter((line) => line.includes('[COPYUID ')));
    const winners = moved.filter((lines) => lines.length === 1);
    expect(winners).toHaveLength(1);
    expect(winners[0]?.[0]).toMatch(/^\* OK \[COPYUID \d+ 1:3 1:3\] Moved$/);
    for (const [index, talk] of [a, b].entries()) {
      const lines = [...(answers[index] ?? []), ...(await talk.say('NOOP'))];
      expect(lines.filter((line) => line.endsWith(' EXPUNGE'))).toEqual([
        '* 3 EXPUNGE',
        '* 2 EXPUNGE',
        '* 1 EXPUNGE',
      ]);
      expect(lines).toContain('OK MOVE completed');
    }
    const totals = await Promise.all(
      ['Trash', 'Archive'].map(async (name) => {
        const id = (await server.store.mailboxes.find(account.id, name))?.id ?? 0;
        return (await server.store.messages.list(id)).messages.length;
      }),
    );
    expect([...totals].sort()).toEqual([0, 3]);
  });

  test('both change what they have seen at once: one does, and the other hears what it is now', async () => {
    const [a, b] = [await open('INBOX'), await open('INBOX')];
    const [seen] = await a.say('FETCH 3 (MODSEQ)');
    await b.say('FETCH 3 (MODSEQ)');
    const modSeq = /MODSEQ \((\d+)\)/.exec(seen ?? '')?.[1];
    const command = `STORE 3 (UNCHANGEDSINCE ${modSeq}) +FLAGS.SILENT`;
    const answers = await Promise.all([
      a.say(`${command} (\\Flagged)`),
      b.say(`${command} (\\Answered)`),
    ]);
    const lost = answers.findIndex((lines) => lines.at(-1)?.startsWith('OK [MODIFIED 3]'));
    const flag = lost === 0 ? 'Answered' : 'Flagged';
    expect(answers[lost]).toEqual([
      expect.stringMatching(
        new RegExp(`^\\* 3 FETCH \\(UID 3 FLAGS \\(\\\\${flag}\\) MODSEQ \\(\\d+\\)\\)$`),
      ),
      'OK [MODIFIED 3] Some have changed since',
    ]);
    expect(answers[1 - lost]).toEqual([
      expect.stringMatching(/^\* 3 FETCH \(MODSEQ \(\d+\)\)$/),
      'OK STORE completed',
    ]);
  });

  test('CLOSE by one is told the other as EXPUNGE, UNSELECT is not', async () => {
    const [a, b] = [await open('INBOX'), await open('INBOX')];
    await a.say('STORE 1,2 +FLAGS.SILENT (\\Deleted)');
    expect(await a.say('UNSELECT')).toEqual(['OK UNSELECT completed']);
    expect(await b.say('NOOP')).toEqual([
      '* 1 FETCH (UID 1 FLAGS (\\Seen \\Answered \\Deleted))',
      '* 2 FETCH (UID 2 FLAGS (\\Deleted $Work))',
      'OK Done',
    ]);
    await a.say('SELECT INBOX');
    expect(await a.say('CLOSE')).toEqual(['OK CLOSE completed']);
    expect(await b.say('NOOP')).toEqual(['* 2 EXPUNGE', '* 1 EXPUNGE', 'OK Done']);
  });

  test('the selected mailbox is renamed by the other: it is the same still', async () => {
    const [a, b] = [await open(), await open('Archive')];
    await a.say('RENAME Archive Old');
    await a.say('APPEND Old {2+}\r\nab');
    expect(await b.say('NOOP')).toEqual(['* 1 EXISTS', 'OK Done']);
    expect(await b.say('UID MOVE 1 INBOX')).toEqual([
      expect.stringMatching(/^\* OK \[COPYUID \d+ 1 4\] Moved$/),
      '* 1 EXPUNGE',
      'OK MOVE completed',
    ]);
  });

  test('the selected mailbox is deleted by the other', async () => {
    const [a, b] = [await open(), await open('Archive')];
    await a.say('DELETE Archive');
    b.send('x NOOP\r\n');
    expect(await b.line()).toBe('* BYE The selected mailbox was deleted');
    await expect(b.line()).rejects.toThrow('the server ended');
  });
});

describe('pipelining', () => {
  /** All lines up to the completion of the last of the commands, which are sent at once. */
  async function sayAll(talk: Talk, ...commands: string[]): Promise<string[]> {
    talk.send(commands.map((command, index) => `p${index} ${command}\r\n`).join(''));
    return talk.until((line) => line.startsWith(`p${commands.length - 1} `));
  }

  test('each command sees what those before it did', async () => {
    const talk = await open();
    expect(
      (
        await sayAll(
          talk,
          'SELECT INBOX',
          'STORE 1,2 +FLAGS.SILENT (\\Deleted)',
          'SEARCH DELETED',
          'EXPUNGE',
          'FETCH 1:* (UID)',
          'APPEND INBOX (\\Seen) {2+}\r\nab',
          'FETCH * (UID FLAGS)',
          'COPY 1:* Archive',
          'UNSELECT',
          'FETCH 1 UID',
          'STATUS Archive (MESSAGES)',
        )
      ).slice(9),
    ).toEqual([
      'p0 OK [READ-WRITE] SELECT completed',
      'p1 OK STORE completed',
      '* SEARCH 1 2',
      'p2 OK SEARCH completed',
      '* 2 EXPUNGE',
      '* 1 EXPUNGE',
      'p3 OK EXPUNGE completed',
      '* 1 FETCH (UID 3)',
      'p4 OK FETCH completed',
      '* 2 EXISTS',
      expect.stringMatching(/^p5 OK \[APPENDUID \d+ 4\] APPEND completed$/),
      '* 2 FETCH (UID 4 FLAGS (\\Seen))',
      'p6 OK FETCH completed',
      expect.stringMatching(/^p7 OK \[COPYUID \d+ 3:4 1:2\] COPY completed$/),
      'p8 OK UNSELECT completed',
      'p9 BAD Not in this state',
      '* STATUS Archive (MESSAGES 2)',
      'p10 OK STATUS completed',
    ]);
  });

  test('numbers mean what they meant to the client until it is told otherwise', async () => {
    const [a, b] = [await open('INBOX'), await open('INBOX')];
    await a.say('STORE 1 +FLAGS.SILENT (\\Deleted)');
    await a.say('EXPUNGE');
    await a.say('APPEND INBOX {2+}\r\nab');
    expect(
      await sayAll(
        b,
        'FETCH 2:3 (UID)',
        'STORE 2 +FLAGS (\\Flagged)',
        'SEARCH FLAGGED',
        'FETCH 1 (UID)',
        'NOOP',
        'FETCH 1:* (UID)',
        'SEARCH FLAGGED',
      ),
    ).toEqual([
      '* 2 FETCH (UID 2)',
      '* 3 FETCH (UID 3)',
      '* 4 EXISTS',
      'p0 OK FETCH completed',
      '* 2 FETCH (FLAGS (\\Flagged $Work))',
      'p1 OK STORE completed',
      '* SEARCH 2',
      'p2 OK SEARCH completed',
      'p3 NO [EXPUNGEISSUED] Some of the messages are gone',
      '* 1 EXPUNGE',
      'p4 OK Done',
      '* 1 FETCH (UID 2)',
      '* 2 FETCH (UID 3)',
      '* 3 FETCH (UID 4)',
      'p5 OK FETCH completed',
      '* SEARCH 1',
      'p6 OK SEARCH completed',
    ]);
  });

  test('one that is wrong does not hold up those behind it', async () => {
    const talk = await open('INBOX');
    expect(
      await sayAll(
        talk,
        'FETCH 9 UID',
        'FROBNICATE',
        'COPY 1 nowhere',
        'APPEND nowhere {9+}\r\na FETCH 1',
        'FETCH 1 (UID',
        'FETCH 1 (UID)',
      ),
    ).toEqual([
      'p0 BAD No such message number',
      'p1 BAD Unknown command',
      'p2 NO [TRYCREATE] No such mailbox',
      'p3 NO [TRYCREATE] No such mailbox',
      expect.stringMatching(/^p4 BAD /),
      '* 1 FETCH (UID 1)',
      'p5 OK FETCH completed',
    ]);
  });

  test('many at once by two clients: each is answered in its own order', async () => {
    const talks = [await open('INBOX'), await open('INBOX')];
    const commands = Array.from({ length: 50 }, (_, index) =>
      index % 2 === 0 ? `STORE 1 +FLAGS.SILENT (k${index % 10})` : 'NOOP',
    );
    const heard = await Promise.all(talks.map((talk) => sayAll(talk, ...commands)));
    for (const lines of heard) {
      const answers = lines.filter((line) => line.startsWith('p'));
      expect(answers).toEqual(
        commands.map((_, index) => `p${index} OK ${index % 2 === 0 ? 'STORE completed' : 'Done'}`),
      );
    }
    const wanted = ['* 1 FETCH (FLAGS (\\Seen \\Answered k0 k2 k4 k6 k8))', 'OK FETCH completed'];
    for (const talk of talks) expect(await talk.say('FETCH 1 FLAGS')).toEqual(wanted);
  });
});

/** A client that believes what it is told, and asks for nothing else. */
class Believer {
  readonly talk: Talk;
  /** What is known of each number; undefined where it was never told. */
  readonly numbers: { uid?: number; flags?: string }[] = [];

  constructor(talk: Talk) {
    this.talk = talk;
  }

  async say(command: string): Promise<string> {
    // what it changes in silence it is not told
    if (command.includes('.SILENT')) for (const known of this.numbers) delete known.flags;
    const lines = await this.talk.say(command);
    for (const line of lines.slice(0, -1)) this.#hear(line, command);
    return lines.at(-1) ?? '';
  }

  #hear(line: string, command: string): void {
    const [, number = '', word = '', rest = ''] = /^\* (\d+) (\w+) ?(.*)$/.exec(line) ?? [];
    const sequence = Number(number);
    switch (word) {
      case 'EXISTS':
        expect(sequence).toBeGreaterThanOrEqual(this.numbers.length);
        while (this.numbers.length < sequence) this.numbers.push({});
        break;
      case 'EXPUNGE':
        expect(command).not.toMatch(/^(FETCH|STORE|SEARCH)/);
        expect(sequence).toBeLessThanOrEqual(this.numbers.length);
        this.numbers.splice(sequence - 1, 1);
        break;
      case 'FETCH': {
        const known = this.numbers[sequence - 1] ?? {};
        const uid = /UID (\d+)/.exec(rest)?.[1];
        const flags = /FLAGS \(([^)]*)\)/.exec(rest)?.[1];
        if (uid !== undefined) {
          if (known.uid !== undefined) expect(Number(uid)).toBe(known.uid);
          known.uid = Number(uid);
        }
        if (flags !== undefined) known.flags = flags.split(' ').sort().join(' ');
      }
    }
  }
}

test('whatever several sessions do at once, each believes what is true', async () => {
  const commands = fc.constantFrom(
    'NOOP',
    'FETCH 1:* (UID FLAGS)',
    'UID FETCH 1:* FLAGS',
    'STORE 1 +FLAGS (\\Deleted)',
    'STORE 2:* +FLAGS.SILENT (\\Flagged)',
    'UID STORE 2:4 -FLAGS (\\Deleted)',
    'STORE 1:* FLAGS.SILENT ($Work)',
    'EXPUNGE',
    'UID EXPUNGE 3:5',
    'COPY 1 <mailbox>',
    'MOVE 2 <mailbox>',
    'SEARCH ALL',
    'UID SEARCH UNSEEN',
    'APPEND <mailbox> (\\Seen) {2+}\r\nhi',
  );
  const schedule = fc.array(fc.tuple(fc.nat(2), commands), { maxLength: 30 });
  const [first, second, third] = [await open('INBOX'), await open(), await open()];
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(schedule, async (steps) => {
      runs += 1;
      const name = `run${runs}`;
      await first.say('SELECT INBOX');
      await first.say(`CREATE ${name}`);
      await first.say(`COPY 1:* ${name}`);
      const clients = [first, second, third].map((talk) => new Believer(talk));
      await Promise.all(clients.map((client) => client.say(`SELECT ${name}`)));
      // each client says its own in order, all of them side by side
      await Promise.all(
        clients.map(async (client, index) => {
          for (const [who, command] of steps) {
            if (who === index) await client.say(command.replace('<mailbox>', name));
          }
        }),
      );
      for (const client of clients) expect(await client.say('NOOP')).toBe('OK Done');
      const mailbox = await server.store.mailboxes.find(account.id, name);
      const { messages } = await server.store.messages.list(mailbox?.id ?? 0);
      for (const { numbers } of clients) {
        expect(numbers).toHaveLength(messages.length);
        for (const [index, { uid, flags }] of messages.entries()) {
          const known = numbers[index];
          expect([uid, undefined]).toContain(known?.uid);
          expect([[...flags].sort().join(' '), undefined]).toContain(known?.flags);
        }
      }
    }),
    { numRuns: 50 },
  );
});

test('whatever one session says, nothing is a bug, and every command is answered', async () => {
  const oneOf = fc.constantFrom;
  const number = oneOf('1', '2', '3', '7', '*', '4294967295');
  const set = fc.oneof(
    number,
    fc.tuple(number, number).map((ends) => ends.join(':')),
  );
  const mailbox = oneOf(
    'INBOX',
    'Sent',
    'a',
    'a/b',
    'a/b/c',
    '"with space"',
    'Entw&APw-rfe',
    '""',
    '/',
    '*',
  );
  const flags = oneOf(
    '()',
    '(\\Seen)',
    '(\\Deleted)',
    '(\\Deleted \\Flagged key)',
    `(${'k'.repeat(200)})`,
  );
  const part = oneOf('', '1', '2', '2.1', '2.2.1', '3', '9', '1.1.1');
  const text = oneOf(
    '',
    'HEADER',
    'TEXT',
    'MIME',
    'HEADER.FIELDS (To)',
    'HEADER.FIELDS.NOT (To "X Y")',
  );
  const partial = oneOf('', '<0.1>', '<5.4294967295>', '<4294967295.10>');
  const section = fc.tuple(part, text, partial).map(([numbers, word, range]) => {
    const dot = numbers !== '' && word !== '' ? '.' : '';
    return `BODY[${numbers}${dot}${word}]${range}`;
  });
  const item = fc.oneof(
    section,
    oneOf('FLAGS', 'FULL', 'ENVELOPE', 'BODYSTRUCTURE', 'RFC822', 'UID'),
  );
  const key = oneOf(
    'ALL',
    'NOT SEEN',
    'OR 1 BODY hello',
    'SUBJECT März',
    'UID 2:*',
    'SENTBEFORE 1-Jan-2000',
    'HEADER To ""',
    'NEW',
    'NOT (TEXT inner DELETED)',
  );
  const uid = oneOf('', 'UID ');
  const words = <T extends string[]>(...parts: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
    fc.tuple<T>(...parts).map((said) => said.join(''));
  const commands = fc.oneof(
    words(uid, oneOf('FETCH '), set, oneOf(' '), item),
    words(uid, oneOf('STORE '), set, oneOf(' FLAGS ', ' +FLAGS ', ' -FLAGS.SILENT '), flags),
    words(uid, oneOf('SEARCH '), key),
    words(uid, oneOf('COPY ', 'MOVE '), set, oneOf(' '), mailbox),
    words(oneOf('UID EXPUNGE '), set),
    words(
      oneOf('CREATE ', 'DELETE ', 'SELECT ', 'EXAMINE ', 'SUBSCRIBE ', 'UNSUBSCRIBE '),
      mailbox,
    ),
    words(oneOf('RENAME '), mailbox, oneOf(' '), mailbox),
    words(oneOf('LIST "" ', 'LSUB "" ', 'LIST a/ '), oneOf('*', '%', 'a%', '""')),
    words(oneOf('STATUS '), mailbox, oneOf(' (MESSAGES UNSEEN)')),
    words(oneOf('APPEND '), mailbox, oneOf(' '), flags, oneOf(' {2+}\r\nhi')),
    oneOf('EXPUNGE', 'CHECK', 'CLOSE', 'UNSELECT', 'NOOP', 'NAMESPACE', 'SELECT INBOX'),
  );
  const talk = await open('INBOX');
  await fc.assert(
    fc.asyncProperty(fc.array(commands, { maxLength: 40 }), async (said) => {
      await server.store.messages.append(inbox, INBOX_MESSAGES);
      for (const command of ['SELECT INBOX', ...said]) {
        const completion = (await talk.say(command)).at(-1);
        expect(completion).toMatch(/^(OK|NO|BAD) /);
        expect(completion).not.toContain('SERVERBUG');
      }
    }),
    { numRuns: 40 },
  );
});

describe('IDLE', () => {
  test('pushes what others do, at once and in order', async () => {
    const [a, b] = [await open('INBOX'), await open('INBOX')];
    b.send('i IDLE\r\n');
    expect(await b.line()).toBe('+ Idling');
    await server.store.messages.append(inbox, [message('four')]);
    expect(await b.line()).toBe('* 4 EXISTS');
    await a.say('STORE 1 +FLAGS.SILENT (\\Flagged)');
    expect(await b.line()).toBe('* 1 FETCH (UID 1 FLAGS (\\Seen \\Answered \\Flagged))');
    await a.say('STORE 1,3 +FLAGS.SILENT (\\Deleted)');
    expect(await b.line()).toMatch(/^\* 1 FETCH .*\\Deleted/);
    expect(await b.line()).toMatch(/^\* 3 FETCH .*\\Deleted/);
    await a.say('EXPUNGE');
    expect(await b.line()).toBe('* 3 EXPUNGE');
    expect(await b.line()).toBe('* 1 EXPUNGE');
    b.send('DONE\r\n');
    expect(await b.line()).toBe('i OK IDLE completed');
    expect(await b.say('SEARCH ALL')).toEqual(['* SEARCH 1 2', 'OK SEARCH completed']);
  });

  test('goes on while the store is out of reach, and tells later what it could not', async () => {
    const { messages } = server.store;
    const b = await open('Archive');
    const archive = await server.store.mailboxes.find(account.id, 'Archive');
    const { changesSince } = messages;
    let asked = 0;
    messages.changesSince = (...args) => {
      asked += 1;
      if (asked > 1) return changesSince(...args);
      return Promise.reject(new StoreError('database-unavailable', 'it is being restarted'));
    };
    onTestFinished(() => {
      messages.changesSince = changesSince;
    });
    b.send('i IDLE\r\n');
    expect(await b.line()).toBe('+ Idling');
    await messages.append(archive?.id ?? 0, [message('four')]);
    expect(await b.line()).toBe('* 1 EXISTS');
    expect(asked).toBeGreaterThan(1);
    b.send('DONE\r\n');
    expect(await b.line()).toBe('i OK IDLE completed');
  });

  test('ends with BYE when the mailbox is deleted', async () => {
    const [a, b] = [await open(), await open('Archive')];
    b.send('i IDLE\r\n');
    await b.line();
    await a.say('DELETE Archive');
    expect(await b.line()).toBe('* BYE The selected mailbox was deleted');
  });
});

describe('bodies', () => {
  test('a large one comes whole, and other commands in order behind it', async () => {
    const raw = Buffer.from(
      `Subject: big\r\n\r\n${'0123456789abcdef'.repeat(64)}\r\n`.repeat(3000),
    );
    await server.store.messages.append(inbox, [{ raw }]);
    const a = await open('INBOX');
    a.send('x FETCH 4 BODY.PEEK[]\r\ny FETCH 4 (BODY.PEEK[]<1000000.5>)\r\n');
    const lines = await a.until((line) => line.startsWith('x OK'));
    expect(lines[0]).toBe(`* 4 FETCH (BODY[] {${raw.length}}`);
    expect(`${lines.slice(1, -1).join('\r\n')}`).toBe(`${raw.toString('latin1')})`);
    const [head, text] = await a.until((line) => line.startsWith('y OK'));
    expect(head).toBe('* 4 FETCH (BODY[]<1000000> {5}');
    expect(text).toBe(`${raw.toString('latin1', 1_000_000, 1_000_005)})`);
  });

  test('8-bit octets come as they are', async () => {
    const raw = Buffer.from('Subject: x\r\n\r\n\xe9\xff\x80\r\n', 'latin1');
    await server.store.messages.append(inbox, [{ raw }]);
    const a = await open('INBOX');
    expect((await a.say('FETCH 4 BODY.PEEK[TEXT]'))[1]).toBe('\xe9\xff\x80');
  });

  test('an 8-bit subject is a literal in ENVELOPE, measured in octets', async () => {
    const raw = Buffer.from('Subject: Grüße\r\n\r\n');
    await server.store.messages.append(inbox, [{ raw }]);
    const a = await open('INBOX');
    const [head, rest] = await a.say('FETCH 4 ENVELOPE');
    expect(head).toBe('* 4 FETCH (ENVELOPE (NIL {7}');
    expect(Buffer.from(rest ?? '', 'latin1').toString()).toMatch(/^Grüße NIL /);
  });
});

test('a session whose account is removed hears so', async () => {
  const [a, b] = [await open(), await open('INBOX')];
  await server.store.accounts.remove(account.id);
  a.send('x LIST "" *\r\n');
  expect(await a.line()).toBe('* BYE The account was removed');
  b.send('x NOOP\r\n');
  expect(await b.line()).toBe('* BYE The selected mailbox was deleted');
});

test('a bug is answered NO [SERVERBUG] and ends nothing', async () => {
  const a = await open('INBOX');
  const { messages } = server.store;
  const structures = messages.structures;
  messages.structures = () => Promise.reject(new Error('secret detail'));
  onTestFinished(() => {
    messages.structures = structures;
  });
  expect(await a.say('FETCH 1 BODY')).toEqual(['NO [SERVERBUG] Something went wrong here']);
  expect(await a.say('NOOP')).toEqual(['OK Done']);
});

describe('ALPN on implicit TLS', () => {
  const handshake = (ALPNProtocols: string[]): Promise<string> =>
    new Promise((resolve) => {
      const socket = connectTls({
        port: server.ports.tls,
        host: '127.0.0.1',
        servername: 'localhost',
        ca: [...server.trusted],
        ALPNProtocols,
      });
      socket.once('secureConnect', () => {
        resolve(String(socket.alpnProtocol));
        socket.destroy();
      });
      socket.once('error', (error) => resolve('code' in error ? String(error.code) : ''));
    });

  test.each([
    [['imap'], 'imap'],
    [['h2', 'imap'], 'imap'],
    [[], 'false'],
    [['h2', 'http/1.1'], 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL'],
    [['pop3'], 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL'],
  ])('%j gives %s', async (offered, outcome) => {
    expect(await handshake(offered)).toBe(outcome);
  });
});

test('many commands at once: others have their turn', async () => {
  const a = await open('INBOX');
  const { messages } = server.store;
  const { changesSince } = messages;
  let sinceTurn = 0;
  let most = 0;
  messages.changesSince = (...args) => {
    sinceTurn += 1;
    most = Math.max(most, sinceTurn);
    return changesSince(...args);
  };
  onTestFinished(() => {
    messages.changesSince = changesSince;
  });
  const commands = Array.from({ length: 1000 }, (_, at) => `n${at} NOOP\r\n`);
  a.send(commands.join(''));
  let done = false;
  const answered = a
    .until((line) => line.startsWith('n999 '))
    .finally(() => {
      done = true;
    });
  for (; !done; sinceTurn = 0) await nextTurn();
  expect(await answered).toHaveLength(1000);
  expect(most).toBeLessThan(100);
});

test('a client that does not read holds up nobody but itself, and fills no memory', async () => {
  const size = 32 * 1024 * 1024;
  await server.store.messages.append(inbox, [{ raw: Buffer.alloc(size, `${'x'.repeat(62)}\r\n`) }]);
  const { messages } = server.store;
  const read = messages.read;
  let held = 0;
  let mostHeld = 0;
  messages.read = async (...args) => {
    const octets = await read(...args);
    held += octets.length;
    mostHeld = Math.max(mostHeld, held);
    return octets;
  };
  onTestFinished(() => {
    messages.read = read;
  });
  const socket = connect({ host: '127.0.0.1', port: server.ports.plain });
  onTestFinished(() => {
    socket.destroy();
  });
  const login = `a LOGIN ${account.address} "${PASSWORD}"\r\nb EXAMINE INBOX\r\n`;
  socket.write(`${login}c FETCH 4 BODY[]\r\n`);
  let end = '';
  let received = 0;
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    received += chunk.length;
    held -= chunk.length;
    end = (end + chunk.toString('latin1')).slice(-100);
    if (end.includes('c OK FETCH completed')) break;
    // another has its turn meanwhile
    if (received < 1024 * 1024) expect(await (await open()).say('NOOP')).toEqual(['OK Done']);
  }
  expect(received).toBeGreaterThan(size);
  // what the system's own buffers take, and a few pieces
  expect(mostHeld).toBeLessThan(size / 2);
});

test('the limit on messages is of what is stored: bare LF grow', async () => {
  const strict = await startTestServer({ CONCERT_MAX_MESSAGE_SIZE: '100KiB' });
  onTestFinished(() => strict.close());
  const { address } = await strict.addAccount();
  const a = await Talk.open(strict.ports.plain, address, PASSWORD);
  const append = (lines: number) => a.say(`APPEND Sent {${lines}+}\r\n${'\n'.repeat(lines)}`);
  expect(await append(51_201)).toEqual(['NO [TOOBIG] Message too large']);
  expect(await append(51_200)).toEqual([expect.stringMatching(/^OK \[APPENDUID /)]);
  a.close();
});

test('who announces large messages and sends nothing takes no room from others', async () => {
  const small = await startTestServer({
    CONCERT_MAX_MESSAGE_SIZE: '100KiB',
    CONCERT_IMAP_APPEND_MEMORY: '200KiB',
  });
  onTestFinished(() => small.close());
  const [idler, sender] = [await small.addAccount(), await small.addAccount()];
  const open = async ({ address }: Account) => {
    const talk = await Talk.open(small.ports.plain, address, PASSWORD);
    onTestFinished(() => talk.close());
    return talk;
  };
  for (let announced = 0; announced < 4; announced += 1) {
    const talk = await open(idler);
    talk.send('x APPEND Sent {102400}\r\n');
    expect(await talk.line()).toBe('+ Ready for the literal');
  }
  const b = await open(sender);
  expect(await b.say(`APPEND Sent {102400+}\r\n${'x'.repeat(102_400)}`)).toEqual([
    expect.stringMatching(/^OK \[APPENDUID /),
  ]);
});

test('a client that is silent before login is sent away', async () => {
  const hasty = await startTestServer({ CONCERT_IMAP_LOGIN_TIMEOUT: '1s' });
  onTestFinished(() => hasty.close());
  const stranger = await hasty.addAccount();
  await hasty.run('S: * OK <any>\nS: * BYE Autologout, nothing came in time\nCLOSED', stranger);
});

test('a client that only drips before login is sent away as well', async () => {
  const hasty = await startTestServer({ CONCERT_IMAP_LOGIN_TIMEOUT: '1s' });
  onTestFinished(() => hasty.close());
  const stranger = await hasty.addAccount();
  const drips = Array.from({ length: 200 }, () => 'C: a NOOP\nS: a OK Done').join('\n');
  const end = 'S...\nS: * BYE Autologout, nothing came in time\nCLOSED';
  await hasty.run(`S: * OK <any>\n${drips}\nC: a LOGIN {5}\nS: + <any>\nC- xx\n${end}`, stranger);
});

test('five wrong passwords end the connection', async () => {
  const guesses = [1, 2, 3, 4, 5].map((guess) => `C: g${guess} LOGIN u${guess}@example.test x`);
  const end = 'S: * BYE Too many failed logins\nCLOSED';
  await server.run(`S: * OK <any>\n${guesses.join('\nS: <any> NO <any>\n')}\n${end}`, account);
});

test('a connection under a withdrawn certificate is told, others go on', async () => {
  const over = (): Socket =>
    connectTls({
      port: server.ports.tls,
      host: '127.0.0.1',
      servername: 'localhost',
      // one at a time: OpenSSL looks issuers up by name, and all of them have one
      ca: server.trusted.at(-1),
    });
  const old = await Talk.open(over(), account.address, PASSWORD, 'INBOX');
  const plain = await open('INBOX');
  old.send('i IDLE\r\n');
  await old.line();
  await server.switchAndDrain();
  expect(await old.line()).toBe('* BYE The server has a new certificate, please connect again');
  expect(await plain.say('NOOP')).toEqual(['OK Done']);
  const next = await Talk.open(over(), account.address, PASSWORD, 'INBOX');
  expect(await next.say('NOOP')).toEqual(['OK Done']);
  next.close();
});

test('at shutdown sessions hear BYE, idle ones and those in IDLE', async () => {
  const other = await startTestServer();
  const owner = await other.addAccount();
  const talks = await Promise.all(
    [1, 2].map(() => Talk.open(other.ports.plain, owner.address, PASSWORD, 'INBOX')),
  );
  talks[1]?.send('i IDLE\r\n');
  await talks[1]?.line();
  await other.close();
  for (const talk of talks) {
    expect(await talk.line()).toBe('* BYE [UNAVAILABLE] The server is going down');
    talk.close();
  }
});

test('an account has so many connections over all listeners, and whoever leaves makes room', async () => {
  const narrow = await startTestServer({ CONCERT_IMAP_MAX_CONNECTIONS_PER_ACCOUNT: '2' });
  onTestFinished(() => narrow.close());
  const mine = await narrow.addAccount();
  const others = await narrow.addAccount();
  const overTls = connectTls({
    host: '127.0.0.1',
    port: narrow.ports.tls,
    servername: 'localhost',
    ca: [...narrow.trusted],
  });
  const first = await Talk.open(overTls, mine.address, PASSWORD);
  const second = await Talk.open(narrow.ports.plain, mine.address, PASSWORD);
  const third = await Talk.open(narrow.ports.plain, others.address, PASSWORD);
  const logIn = `LOGIN ${mine.address} "${PASSWORD}"`;
  const fourth = await Talk.open(narrow.ports.plain, mine.address, 'wrong');
  const refusal = 'NO [LIMIT] Too many connections of this account, close some first';
  expect(await fourth.say(logIn)).toEqual([refusal]);
  expect(await fourth.say('SELECT INBOX')).toEqual(['BAD Not in this state']);
  await first.say('LOGOUT');
  // the refused connection may try again once the other is gone
  await vi.waitUntil(async () => (await fourth.say(logIn))[0]?.startsWith('OK'));
  for (const talk of [first, second, third, fourth]) talk.close();
});
