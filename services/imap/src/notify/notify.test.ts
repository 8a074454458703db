/** NOTIFY (RFC 5465) and ENABLE METADATA (RFC 5464) with several clients: what each hears, line by line. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Account, type MailboxId, type MailStore, StoreError } from '@mail/store';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { Talk } from '../testing/talk.ts';
import { PASSWORD, startTestServer, type TestServer } from '../testing/test-server.ts';
import { MAX_WATCHED_MAILBOXES } from './account-watch.ts';

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
  inbox = await idOf('INBOX');
});

async function idOf(name: string): Promise<MailboxId> {
  return (await store.mailboxes.find(account.id, name))?.id ?? 0;
}

async function open(mailbox?: string): Promise<Talk> {
  const talk = await Talk.open(server.ports.plain, account.address, PASSWORD, mailbox);
  onTestFinished(() => talk.close());
  return talk;
}

const message = (text: string) => ({ raw: Buffer.from(`Subject: ${text}\r\n\r\n${text}\r\n`) });
const append = (mailbox: MailboxId, text: string) =>
  store.messages.append(mailbox, [message(text)]);

async function listen(notify: string, mailbox?: string, before: string[] = []): Promise<Talk> {
  const talk = await open(mailbox);
  for (const command of before) await talk.say(command);
  expect(await talk.say(`NOTIFY ${notify}`)).toEqual(['OK NOTIFY completed']);
  return talk;
}

/** What comes by itself: so many lines, and then nothing but the answer to a command. */
async function hears(talk: Talk, ...lines: (string | RegExp)[]): Promise<void> {
  for (const expected of lines) {
    const line = await talk.line();
    if (typeof expected === 'string') expect(line).toBe(expected);
    else expect(line).toMatch(expected);
  }
  expect(await talk.say('NOOP')).toEqual(['OK Done']);
}

const ALL = 'MessageNew MessageExpunge FlagChange';

describe('of the selected mailbox, while no command runs', () => {
  test('SELECTED tells all at once, and of new messages what was asked for', async () => {
    const talk = await listen(
      `SET (selected (MessageNew (UID BODY[HEADER.FIELDS (Subject)]) ${'MessageExpunge FlagChange'}))`,
      'INBOX',
    );
    await append(inbox, 'four');
    await hears(
      talk,
      '* 4 EXISTS',
      '* 4 FETCH (UID 4 BODY[HEADER.FIELDS (Subject)] {17}',
      'Subject: four',
      '',
      ')',
    );
    // who is told of a message has not read it
    expect(await talk.say('FETCH 4 FLAGS')).toEqual(['* 4 FETCH (FLAGS ())', 'OK FETCH completed']);
    await store.messages.changeFlags(inbox, [4], 'add', ['\\Flagged']);
    await hears(talk, '* 4 FETCH (UID 4 FLAGS (\\Flagged))');
    await store.messages.expunge(inbox, [1, 3]);
    await hears(talk, '* 3 EXPUNGE', '* 1 EXPUNGE');
  });

  test('SELECTED-DELAYED keeps the numbers until a command lets them go, or IDLE', async () => {
    const talk = await listen(`SET (selected-delayed (${ALL}))`, 'INBOX');
    await store.messages.expunge(inbox, [1]);
    await append(inbox, 'four');
    expect(await talk.line()).toBe('* 4 EXISTS');
    expect(await talk.say('FETCH 2:4 UID')).toEqual([
      '* 2 FETCH (UID 2)',
      '* 3 FETCH (UID 3)',
      '* 4 FETCH (UID 4)',
      'OK FETCH completed',
    ]);
    expect(await talk.say('NOOP')).toEqual(['* 1 EXPUNGE', 'OK Done']);
    await store.messages.expunge(inbox, [2]);
    await store.messages.changeFlags(inbox, [3], 'add', ['\\Flagged']);
    expect(await talk.line()).toBe('* 2 FETCH (UID 3 FLAGS (\\Flagged))');
    talk.send('i IDLE\r\n');
    expect(await talk.line()).toBe('+ Idling');
    expect(await talk.line()).toBe('* 1 EXPUNGE');
    talk.send('DONE\r\n');
    expect(await talk.line()).toBe('i OK IDLE completed');
  });

  test('what was not asked for is kept until it is', async () => {
    const talk = await listen('SET (selected (MessageNew MessageExpunge))', 'INBOX');
    await store.messages.changeFlags(inbox, [1], 'add', ['\\Flagged']);
    await append(inbox, 'four');
    await hears(talk, '* 4 EXISTS');
    expect(await talk.say(`NOTIFY SET (selected (${ALL}))`)).toEqual([
      '* 1 FETCH (UID 1 FLAGS (\\Seen \\Answered \\Flagged))',
      'OK NOTIFY completed',
    ]);
  });

  test.each(['NONE', 'SET (selected NONE)', 'SET (personal (MailboxName))'])(
    'nothing after %s, but what it expunges itself',
    async (notify) => {
      const talk = await listen(notify, 'INBOX');
      await append(inbox, 'four');
      await store.messages.changeFlags(inbox, [1], 'add', ['\\Flagged']);
      await hears(talk);
      expect(await talk.say('STORE 3 +FLAGS.SILENT (\\Deleted)')).toEqual(['OK STORE completed']);
      expect(await talk.say('EXPUNGE')).toEqual(['* 3 EXPUNGE', 'OK EXPUNGE completed']);
      expect(await talk.say('MOVE 2 Trash')).toEqual([
        expect.stringMatching(/^\* OK \[COPYUID /),
        '* 2 EXPUNGE',
        'OK MOVE completed',
      ]);
      talk.send('i IDLE\r\n');
      expect(await talk.line()).toBe('+ Idling');
      await append(inbox, 'five');
      talk.send('DONE\r\n');
      expect(await talk.line()).toBe('i OK IDLE completed');
      // an implicit NOOP (§3.1)
      expect(await talk.say(`NOTIFY SET (selected (${ALL}))`)).toEqual([
        '* 3 EXISTS',
        '* 1 FETCH (UID 1 FLAGS (\\Seen \\Answered \\Flagged))',
        'OK NOTIFY completed',
      ]);
    },
  );

  test('by QRESYNC and CONDSTORE where they are enabled', async () => {
    const talk = await listen(
      `SET (selected (MessageNew (UID MODSEQ) MessageExpunge FlagChange))`,
      'INBOX',
      ['ENABLE QRESYNC'],
    );
    await store.messages.expunge(inbox, [1, 2]);
    await hears(talk, '* VANISHED 1:2');
    await append(inbox, 'four');
    await hears(talk, '* 2 EXISTS', /^\* 2 FETCH \(UID 4 MODSEQ \(\d+\)\)$/);
    await store.messages.changeFlags(inbox, [4], 'add', ['\\Seen']);
    await hears(talk, /^\* 2 FETCH \(UID 4 FLAGS \(\\Seen\) MODSEQ \(\d+\)\)$/);
  });

  test('what it appends itself is not fetched for it', async () => {
    const talk = await listen('SET (selected (MessageNew (UID) MessageExpunge))', 'INBOX');
    talk.send('a APPEND INBOX {1+}\r\nx\r\n');
    expect(await talk.line()).toBe('* 4 EXISTS');
    expect(await talk.line()).toMatch(/^a OK \[APPENDUID \d+ 4\]/);
    expect(await talk.say('COPY 1 INBOX')).toEqual([
      '* 5 EXISTS',
      expect.stringMatching(/^OK \[COPYUID \d+ 1 5\]/),
    ]);
    await append(inbox, 'six');
    await hears(talk, '* 6 EXISTS', '* 6 FETCH (UID 6)');
  });

  test('of whichever is selected', async () => {
    const talk = await listen(`SET (selected (${ALL})) (personal (${ALL}))`);
    await append(inbox, 'four');
    await hears(talk, /^\* STATUS INBOX \(MESSAGES 4 UIDNEXT 5 UNSEEN 3 UIDVALIDITY \d+\)$/);
    await talk.say('SELECT INBOX');
    await append(inbox, 'five');
    await hears(talk, '* 5 EXISTS');
    // told already
    expect(await talk.say('UNSELECT')).toEqual(['OK UNSELECT completed']);
    await append(inbox, 'six');
    await hears(talk, /^\* STATUS INBOX \(MESSAGES 6 UIDNEXT 7 UNSEEN 5 /);
    await talk.say('NOTIFY SET (personal (MessageNew MessageExpunge))');
    await talk.say('SELECT INBOX');
    await append(inbox, 'seven');
    await hears(talk);
    // and told at last
    expect(await talk.say('CLOSE')).toEqual([
      expect.stringMatching(/^\* STATUS INBOX \(MESSAGES 7 UIDNEXT 8 UIDVALIDITY \d+\)$/),
      'OK CLOSE completed',
    ]);
  });
});

test('who believes what it is told knows the mailbox, whatever others do', async () => {
  const step = fc.record({
    kind: fc.constantFrom('append', 'expunge', 'flag', 'copy', 'noop', 'fetch'),
    at: fc.nat(20),
  });
  let boxes = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 15 }), async (steps) => {
      boxes += 1;
      const mailbox = await store.mailboxes.create(account.id, `Box${boxes}`);
      const talk = await listen(
        `SET (selected (MessageNew (UID FLAGS) ${'MessageExpunge FlagChange'}))`,
        mailbox.name,
      );
      const known: { uid?: number; flags?: string }[] = [];
      const hear = (line: string): void => {
        const [, number = '', word = '', rest = ''] = /^\* (\d+) (\w+) ?(.*)$/.exec(line) ?? [];
        const at = Number(number) - 1;
        if (word === 'EXPUNGE') expect(known.splice(at, 1)).toHaveLength(1);
        if (word === 'EXISTS') while (known.length < Number(number)) known.push({});
        if (word !== 'FETCH') return;
        const uid = /UID (\d+)/.exec(rest)?.[1];
        const flags = /FLAGS \((.*?)\)/.exec(rest)?.[1];
        const before = known[at];
        expect(before).toBeDefined();
        if (before?.uid !== undefined) expect(before.uid).toBe(Number(uid));
        known[at] = { uid: Number(uid), flags: flags ?? '' };
      };
      const say = async (command: string): Promise<void> => {
        for (const line of await talk.say(command)) hear(line);
      };
      for (const { kind, at } of steps) {
        const { messages } = await store.messages.list(mailbox.id);
        const uid = messages[at % Math.max(messages.length, 1)]?.uid ?? 0;
        if (kind === 'append') await append(mailbox.id, 'x');
        if (kind === 'expunge') await store.messages.expunge(mailbox.id, [uid]);
        if (kind === 'copy') await store.messages.copy(mailbox.id, [uid], mailbox.id);
        if (kind === 'flag') await store.messages.changeFlags(mailbox.id, [uid], 'add', [`k${at}`]);
        if (kind === 'noop') await say('NOOP');
        if (kind === 'fetch') await say('UID FETCH 1:* FLAGS');
      }
      await say('NOOP');
      const { messages } = await store.messages.list(mailbox.id);
      expect(known).toEqual(messages.map(({ uid, flags }) => ({ uid, flags: flags.join(' ') })));
      talk.close();
    }),
    { numRuns: 40 },
  );
});

describe('of other mailboxes', () => {
  test('STATUS of new, expunged and changed messages', async () => {
    const archive = await idOf('Archive');
    const talk = await listen(
      `SET (selected NONE) (mailboxes (Archive Sent) (${ALL})) (inboxes (MessageNew MessageExpunge))`,
    );
    await append(archive, 'one');
    await hears(talk, /^\* STATUS Archive \(MESSAGES 1 UIDNEXT 2 UNSEEN 1 UIDVALIDITY \d+\)$/);
    await store.messages.changeFlags(archive, [1], 'add', ['\\Flagged']);
    await hears(talk);
    await store.messages.changeFlags(archive, [1], 'add', ['\\Seen']);
    await hears(talk, /^\* STATUS Archive \(UNSEEN 0 UIDVALIDITY \d+\)$/);
    await store.messages.expunge(archive, [1]);
    await hears(talk, /^\* STATUS Archive \(MESSAGES 0 UIDNEXT 2 UIDVALIDITY \d+\)$/);
    await store.messages.deliver([account.id], message('four'));
    await hears(talk, /^\* STATUS INBOX \(MESSAGES 4 UIDNEXT 5 UIDVALIDITY \d+\)$/);
    // not asked for
    await store.messages.changeFlags(inbox, [1], 'add', ['\\Seen']);
    await append(await idOf('Trash'), 'one');
    await hears(talk);
  });

  test('with HIGHESTMODSEQ to who knows it', async () => {
    const archive = await idOf('Archive');
    const talk = await listen(`SET (subtree Archive (${ALL}))`, undefined, ['ENABLE CONDSTORE']);
    await append(archive, 'one');
    await hears(
      talk,
      /^\* STATUS Archive \(MESSAGES 1 UIDNEXT 2 UNSEEN 1 HIGHESTMODSEQ 2 UIDVALIDITY \d+\)$/,
    );
    await store.messages.changeFlags(archive, [1], 'add', ['\\Flagged']);
    await hears(talk, /^\* STATUS Archive \(HIGHESTMODSEQ 3 UIDVALIDITY \d+\)$/);
  });

  test('a move by another client is told of both mailboxes', async () => {
    const talk = await listen('SET (personal (MessageNew MessageExpunge))');
    const other = await open('INBOX');
    await other.say('MOVE 1:2 Archive');
    await hears(
      talk,
      /^\* STATUS INBOX \(MESSAGES 1 UIDNEXT 4 /,
      /^\* STATUS Archive \(MESSAGES 2 UIDNEXT 3 /,
    );
  });

  test('others’ messages are told, however many it brings itself', async () => {
    const talk = await listen('SET (personal (MessageNew MessageExpunge))', 'INBOX');
    await talk.say('COPY 1:2 Archive');
    await hears(talk);
    const archive = await idOf('Archive');
    talk.send('c COPY 3 Archive\r\n');
    await append(archive, 'one');
    // before the answer or behind it, the last that is said has both
    const isLast = (line: string) => /^\* STATUS Archive \(MESSAGES 4 UIDNEXT 5 /.test(line);
    const lines = await talk.until(isLast);
    if (!lines.some((line) => line.startsWith('c OK '))) {
      await talk.until((line) => line.startsWith('c OK '));
    }
    await hears(talk);
  });

  test('a name that is another mailbox now', async () => {
    await store.mailboxes.create(account.id, 'Work');
    const talk = await listen(`SET (personal (${ALL}))`);
    // in between nothing is told, as the first thing that is read is the second mailbox
    const { overview } = store;
    const gate = Promise.withResolvers<void>();
    store.overview = async (...args) => {
      await gate.promise;
      return overview(...args);
    };
    await store.mailboxes.delete(await idOf('Work'));
    await store.mailboxes.create(account.id, 'Work');
    store.overview = overview;
    gate.resolve();
    await hears(talk, /^\* STATUS Work \(MESSAGES 0 UIDNEXT 1 UNSEEN 0 UIDVALIDITY \d+\)$/);
  });

  test('a client that does not keep up hears the newest', async () => {
    const archive = await idOf('Archive');
    const talk = await listen('SET (personal (MessageNew MessageExpunge))');
    const { overview } = store;
    let reads = 0;
    store.overview = async (...args) => {
      reads += 1;
      await new Promise((resolve) => setTimeout(resolve, 20));
      return overview(...args);
    };
    onTestFinished(() => {
      store.overview = overview;
    });
    for (let round = 0; round < 50; round += 1) await append(archive, 'x');
    const lines = await talk.until((line) => line.includes('MESSAGES 50 UIDNEXT 51 '));
    expect(lines.length).toBeLessThanOrEqual(reads);
    expect(lines.length).toBeLessThan(50);
  });
});

describe('of names, subscriptions and annotations', () => {
  test('a name that comes and goes, with its parent', async () => {
    const talk = await listen('SET (personal (MailboxName))');
    await store.mailboxes.create(account.id, 'Work');
    await hears(talk, '* LIST (\\HasNoChildren) "/" Work');
    await store.mailboxes.create(account.id, 'Work/Plans', '\\Archive');
    await hears(
      talk,
      '* LIST (\\HasChildren) "/" Work',
      '* LIST (\\HasNoChildren \\Archive) "/" Work/Plans',
    );
    await store.mailboxes.delete(await idOf('Work'));
    await hears(talk, '* LIST (\\HasChildren \\NonExistent) "/" Work');
    await store.mailboxes.delete(await idOf('Work/Plans'));
    await hears(
      talk,
      '* LIST (\\HasNoChildren \\NonExistent) "/" Work',
      '* LIST (\\HasNoChildren \\NonExistent) "/" Work/Plans',
    );
    await append(inbox, 'four');
    await hears(talk);
  });

  test('a renaming is told once for all that is below', async () => {
    await store.mailboxes.create(account.id, 'Work/Plans/Old');
    const talk = await listen('SET (subtree Work (MailboxName))');
    await store.mailboxes.rename(account.id, 'Work', 'Play');
    await hears(talk, '* LIST (\\HasChildren) "/" Play ("OLDNAME" (Work))');
    await store.mailboxes.rename(account.id, 'Play', 'Elsewhere');
    await hears(talk);
    // who hears of no superior hears of what is below
    await talk.say('NOTIFY SET (mailboxes Elsewhere/Plans (MailboxName))');
    await store.mailboxes.rename(account.id, 'Elsewhere', 'Back');
    await hears(talk, '* LIST (\\HasChildren) "/" Back/Plans ("OLDNAME" (Elsewhere/Plans))');
  });

  test('INBOX renamed is a mailbox made', async () => {
    const talk = await listen('SET (personal (MailboxName MessageNew MessageExpunge))');
    await store.mailboxes.rename(account.id, 'INBOX', 'Old');
    await hears(
      talk,
      '* LIST (\\HasNoChildren) "/" Old',
      /^\* STATUS INBOX \(MESSAGES 0 UIDNEXT 4 /,
      /^\* STATUS Old \(MESSAGES 3 UIDNEXT 4 /,
    );
  });

  test('subscriptions, of names without a mailbox too', async () => {
    const talk = await listen('SET (personal (SubscriptionChange))');
    await store.mailboxes.subscribe(account.id, 'Junk', false);
    await hears(talk, '* LIST (\\HasNoChildren \\Junk) "/" Junk');
    await store.mailboxes.subscribe(account.id, 'Nowhere', true);
    await hears(talk, '* LIST (\\HasNoChildren \\NonExistent \\Subscribed) "/" Nowhere');
  });

  test('who follows its subscriptions follows what they are now', async () => {
    const talk = await listen('SET (subscribed (MessageNew MessageExpunge))');
    await store.mailboxes.subscribe(account.id, 'Junk', false);
    await append(await idOf('Junk'), 'one');
    await hears(talk);
    await store.mailboxes.subscribe(account.id, 'Junk', true);
    await append(await idOf('Junk'), 'two');
    await hears(talk, /^\* STATUS Junk \(MESSAGES 2 /);
  });

  test('annotations of mailboxes and of the server, set or removed', async () => {
    const talk = await listen(
      'SET (mailboxes (INBOX Sent) (MailboxMetadataChange)) (inboxes (ServerMetadataChange))',
    );
    const other = await open();
    await other.say('SETMETADATA INBOX (/private/comment "x" /shared/comment "y")');
    await hears(talk, '* METADATA INBOX /private/comment /shared/comment');
    await other.say('SETMETADATA INBOX (/shared/comment NIL)');
    await hears(talk, '* METADATA INBOX /shared/comment');
    await other.say('SETMETADATA "" ("/private/a b" "x")');
    await hears(talk, '* METADATA "" "/private/a b"');
    await other.say('SETMETADATA Sent (/private/specialuse NIL)');
    await hears(talk, '* METADATA Sent /private/specialuse');
    await other.say('SETMETADATA Junk (/private/comment "x")');
    await hears(talk);
  });

  test('ENABLE METADATA: with commands, and in IDLE', async () => {
    const [talk, other] = [await open(), await open()];
    await talk.say('ENABLE METADATA');
    await other.say('SETMETADATA INBOX (/private/comment "x")');
    await nextTurn();
    expect(await talk.say('NOOP')).toEqual(['* METADATA INBOX /private/comment', 'OK Done']);
    talk.send('i IDLE\r\n');
    expect(await talk.line()).toBe('+ Idling');
    await other.say('SETMETADATA "" (/private/comment "x")');
    expect(await talk.line()).toBe('* METADATA "" /private/comment');
    talk.send('DONE\r\n');
    expect(await talk.line()).toBe('i OK IDLE completed');
    await talk.say('NOTIFY NONE');
    await other.say('SETMETADATA INBOX (/private/comment "y")');
    await hears(talk);
  });
});

describe('of mailboxes of others', () => {
  let owner: Account;
  let work: MailboxId;
  let name: string;
  beforeEach(async () => {
    owner = await server.addAccount();
    work = (await store.mailboxes.create(owner.id, 'Work')).id;
    name = `Users/${owner.address}/Work`;
  });
  const give = (rights: string) => store.sharing.change(work, account.id, 'replace', rights);

  test('their messages, where they are asked for and may be read', async () => {
    await give('lr');
    const talk = await listen(`SET (mailboxes ${name} (${ALL}))`);
    await append(work, 'one');
    await hears(talk, new RegExp(`^\\* STATUS ${name} \\(MESSAGES 1 UIDNEXT 2 UNSEEN 1 `));
    await append(await idOf('Archive'), 'one');
    await hears(talk);
    await give('l');
    await append(work, 'two');
    await hears(talk);
  });

  test('with all that is subscribed, or below a name', async () => {
    await give('lr');
    await store.mailboxes.subscribe(account.id, name, true);
    const subscribed = await listen('SET (subscribed (MessageNew MessageExpunge))');
    const below = await listen('SET (subtree Users (MessageNew MessageExpunge))');
    await append(work, 'one');
    for (const talk of [subscribed, below])
      await hears(talk, new RegExp(`^\\* STATUS ${name} \\(MESSAGES 1 UIDNEXT 2 `));
  });

  test('not as one’s own', async () => {
    await give('lr');
    const talk = await listen(`SET (personal (${ALL} MailboxName)) (inboxes (${ALL}))`);
    await append(work, 'one');
    await give('');
    await hears(talk);
  });

  test('names that come and go with rights', async () => {
    const talk = await listen(`SET (mailboxes ${name} (MailboxName ${ALL}))`);
    await give('lr');
    await hears(talk, `* LIST (\\HasNoChildren) "/" ${name}`);
    await append(work, 'one');
    await hears(talk, new RegExp(`^\\* STATUS ${name} \\(MESSAGES 1 UIDNEXT 2 UNSEEN 1 `));
    await give('');
    await hears(talk, `* LIST (\\HasNoChildren \\NonExistent) "/" ${name}`);
    await give('lr');
    await talk.line();
    await talk.line();
    await store.mailboxes.delete(work);
    await hears(talk, `* LIST (\\HasNoChildren \\NonExistent) "/" ${name}`);
  });

  test('what the session does there itself is not told', async () => {
    await give('lri');
    const talk = await listen(`SET (mailboxes ${name} (${ALL}))`);
    await talk.say(`APPEND ${name} {4+}\r\na: b`);
    await hears(talk);
    await append(work, 'two');
    await hears(talk, new RegExp(`^\\* STATUS ${name} \\(MESSAGES 2 UIDNEXT 3 `));
  });
});

describe('in between', () => {
  test('nothing comes into a command that is not whole yet', async () => {
    const talk = await listen(`SET (selected (${ALL})) (personal (MailboxName))`, 'INBOX');
    talk.send('a APPEND Sent {5}\r\n');
    expect(await talk.line()).toBe('+ Ready for the literal');
    await append(inbox, 'four');
    await store.messages.expunge(inbox, [1]);
    await store.mailboxes.create(account.id, 'Work');
    talk.send('he');
    await nextTurn();
    talk.send('llo\r\n');
    expect(await talk.line()).toBe('* 1 EXPUNGE');
    expect(await talk.line()).toBe('* 3 EXISTS');
    expect(await talk.line()).toBe('* LIST (\\HasNoChildren) "/" Work');
    expect(await talk.line()).toMatch(/^a OK \[APPENDUID /);
  });

  test('commands that were sent ahead come first, with the numbers that they mean', async () => {
    const talk = await listen(`SET (selected (${ALL}))`, 'INBOX');
    const { expunge } = store.messages;
    await expunge(inbox, [1]);
    expect(await talk.line()).toBe('* 1 EXPUNGE');
    const { changesSince } = store.messages;
    const gate = Promise.withResolvers<void>();
    store.messages.changesSince = async (...args) => {
      await gate.promise;
      return changesSince(...args);
    };
    onTestFinished(() => {
      store.messages.changesSince = changesSince;
    });
    await append(inbox, 'four');
    talk.send('a FETCH 1 UID\r\nb FETCH 2 UID\r\n');
    gate.resolve();
    expect(await talk.until((line) => line.startsWith('b '))).toEqual([
      '* 3 EXISTS',
      '* 1 FETCH (UID 2)',
      'a OK FETCH completed',
      '* 2 FETCH (UID 3)',
      'b OK FETCH completed',
    ]);
  });

  test('IDLE tells what NOTIFY asks for', async () => {
    const talk = await listen(
      'SET (selected (MessageNew MessageExpunge)) (personal (MailboxName))',
      'INBOX',
    );
    talk.send('i IDLE\r\n');
    expect(await talk.line()).toBe('+ Idling');
    await store.messages.changeFlags(inbox, [1], 'add', ['\\Flagged']);
    await store.mailboxes.create(account.id, 'Work');
    expect(await talk.line()).toBe('* LIST (\\HasNoChildren) "/" Work');
    await append(inbox, 'four');
    expect(await talk.line()).toBe('* 4 EXISTS');
    talk.send('DONE\r\n');
    expect(await talk.line()).toBe('i OK IDLE completed');
  });

  test('IDLE begins with what a command before could not tell', async () => {
    const [talk, other] = [await open('INBOX'), await open('INBOX')];
    await other.say('STORE 1 +FLAGS.SILENT (\\Deleted)');
    await other.say('EXPUNGE');
    await talk.say('FETCH 2 UID');
    talk.send('i IDLE\r\n');
    expect(await talk.line()).toBe('+ Idling');
    expect(await talk.line()).toBe('* 1 EXPUNGE');
    talk.send('DONE\r\n');
    expect(await talk.line()).toBe('i OK IDLE completed');
  });

  test('what the store cannot say is told later', async () => {
    const talk = await listen('SET (personal (MailboxName))');
    const { overview } = store;
    let failures = 0;
    store.overview = async (...args) => {
      failures += 1;
      if (failures === 1) throw new StoreError('database-unavailable', 'out of reach');
      return overview(...args);
    };
    onTestFinished(() => {
      store.overview = overview;
    });
    await store.mailboxes.create(account.id, 'Work');
    await hears(talk, '* LIST (\\HasNoChildren) "/" Work');
    expect(failures).toBeGreaterThan(1);
  });

  test('an account that is removed ends the session', async () => {
    const talk = await listen('SET (personal (MailboxName))');
    await store.accounts.remove(account.id);
    expect(await talk.line()).toBe('* BYE The account was removed');
  });

  test('more mailboxes than can be watched', async () => {
    const { overview } = store;
    const many = async (...args: Parameters<MailStore['overview']>) => {
      const now = await overview(...args);
      const [first] = now.mailboxes;
      if (first === undefined) return now;
      return { ...now, mailboxes: new Array<typeof first>(MAX_WATCHED_MAILBOXES + 1).fill(first) };
    };
    onTestFinished(() => {
      store.overview = overview;
    });
    const talk = await listen('SET (personal (MailboxName))', 'INBOX');
    store.overview = many;
    await append(inbox, 'four');
    expect(await talk.line()).toMatch(/^\* OK \[NOTIFICATIONOVERFLOW\] /);
    // as after NOTIFY NONE (§5.8)
    await append(inbox, 'five');
    await hears(talk);
    expect(await talk.say('NOTIFY SET (personal (MailboxName))')).toEqual([
      '* 5 EXISTS',
      expect.stringMatching(/^NO \[NOTIFICATIONOVERFLOW\] /),
    ]);
    const other = await open();
    expect(await other.say('ENABLE METADATA')).toEqual(['* ENABLED', 'OK ENABLE completed']);
  });

  test('who has left watches no more', async () => {
    const { watchAccount } = store;
    let watching = 0;
    store.watchAccount = (...args) => {
      watching += 1;
      const stop = watchAccount(...args);
      return () => {
        watching -= 1;
        stop();
      };
    };
    onTestFinished(() => {
      store.watchAccount = watchAccount;
    });
    const talk = await listen('SET (personal (MailboxName))');
    expect(watching).toBe(1);
    await talk.say('NOTIFY SET (subscribed (MailboxName))');
    expect(watching).toBe(1);
    await talk.say('NOTIFY NONE');
    expect(watching).toBe(0);
    await talk.say('NOTIFY SET (personal (MailboxName))');
    await talk.say('LOGOUT');
    await expect(talk.line()).rejects.toThrow('the server ended');
    await expect.poll(() => watching, { interval: 2 }).toBe(0);
  });
});
