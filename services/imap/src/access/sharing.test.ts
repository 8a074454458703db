/** Several users on one mailbox, whose rights change meanwhile. */
import { type Account, type Mailbox, StoreError } from '@mail/store';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { INBOX_MESSAGES } from '../testing/messages.ts';
import { Talk } from '../testing/talk.ts';
import { PASSWORD, startTestServer, type TestServer } from '../testing/test-server.ts';

let server: TestServer;
let owner: Account;
let reader: Account;
let work: Mailbox;
let name: string;

beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());
beforeEach(async () => {
  [owner, reader] = [await server.addAccount(), await server.addAccount()];
  work = await server.store.mailboxes.create(owner.id, 'Work');
  await server.store.messages.append(work.id, INBOX_MESSAGES);
  name = `Users/${owner.address}/Work`;
});

async function open(account: Account, mailbox?: string): Promise<Talk> {
  const talk = await Talk.open(server.ports.plain, account.address, PASSWORD, mailbox);
  onTestFinished(() => talk.close());
  return talk;
}

const give = (rights: string, to = reader, mailbox = work) =>
  server.store.sharing.change(mailbox.id, to.id, 'replace', rights);

const GONE = '* BYE The selected mailbox can be read no more';
const NOT_PERMITTED = 'NO [NOPERM] You may not do that with this mailbox';

describe('two users', () => {
  test('see what each other does', async () => {
    await give('lrswite');
    const [a, b] = [await open(owner, 'Work'), await open(reader, name)];
    await b.say('STORE 3 +FLAGS (\\Seen $Mine)');
    expect((await a.say('NOOP')).slice(-2)).toEqual([
      '* 3 FETCH (UID 3 FLAGS (\\Seen $Mine))',
      'OK Done',
    ]);
    await a.say('STORE 1 +FLAGS.SILENT (\\Deleted)');
    await a.say('EXPUNGE');
    expect(await b.say('NOOP')).toEqual(['* 1 EXPUNGE', 'OK Done']);
    await b.say(`APPEND ${name} {4+}\r\na: b`);
    expect(await a.say('NOOP')).toEqual(['* 3 EXISTS', 'OK Done']);
  });

  test('by SETACL and DELETEACL, while one reads', async () => {
    const [a, b] = [await open(owner), await open(reader)];
    expect(await b.say(`SELECT ${name}`)).toEqual(['NO [NONEXISTENT] No such mailbox']);
    await a.say(`SETACL Work ${reader.address} lr`);
    expect((await b.say(`SELECT ${name}`)).at(-1)).toBe('OK [READ-ONLY] SELECT completed');
    await a.say(`DELETEACL Work ${reader.address}`);
    b.send('a FETCH 1 FLAGS\r\n');
    expect(await b.line()).toBe(GONE);
    await expect(b.line()).rejects.toThrow('the server ended');
  });

  test('who administers gives rights, and may lose them', async () => {
    const third = await server.addAccount();
    await give('la');
    const b = await open(reader);
    expect(await b.say(`SETACL ${name} ${third.address} lr`)).toEqual(['OK SETACL completed']);
    expect(await b.say(`GETACL ${name}`)).toEqual([
      `* ACL ${name} ${owner.address} lrswipkxteacd ${reader.address} la ${third.address} lr`,
      'OK GETACL completed',
    ]);
    expect(await b.say(`SETACL ${name} ${owner.address} -a`)).toEqual([
      'NO [CANNOT] The owner of a mailbox has all rights',
    ]);
    await b.say(`SETACL ${name} ${reader.address} -a`);
    expect(await b.say(`GETACL ${name}`)).toEqual([NOT_PERMITTED]);
  });
});

describe('rights that are taken from who has the mailbox selected', () => {
  test('reading ends IDLE at once', async () => {
    await give('lr');
    const b = await open(reader, name);
    b.send('i IDLE\r\n');
    await b.line();
    await give('l');
    expect(await b.line()).toBe(GONE);
  });

  test('whatever the next command is', async () => {
    for (const command of ['NOOP', 'FETCH 1 BODY[]', 'LIST "" *', 'UNSELECT', 'SEARCH ALL']) {
      await give('lr');
      const b = await open(reader, name);
      await give('');
      b.send(`a ${command}\r\n`);
      expect(await b.line()).toBe(GONE);
    }
  });

  test('writing ends, and is told', async () => {
    await give('lrsw');
    const b = await open(reader, name);
    await give('lr');
    expect(await b.say('STORE 1 +FLAGS (x)')).toEqual([
      '* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Work)',
      '* OK [PERMANENTFLAGS ()] Flags that are kept',
      '* OK [READ-ONLY] What may be done here has changed',
      NOT_PERMITTED,
    ]);
    await give('lrt');
    expect(await b.say('NOOP')).toEqual([
      '* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Work)',
      '* OK [PERMANENTFLAGS (\\Deleted)] Flags that are kept',
      '* OK [READ-WRITE] What may be done here has changed',
      'OK Done',
    ]);
    // what makes no difference here is not told
    await give('lrta');
    expect(await b.say('NOOP')).toEqual([
      '* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Work)',
      '* OK [PERMANENTFLAGS (\\Deleted)] Flags that are kept',
      'OK Done',
    ]);
  });

  test('the mailbox goes, or its owner, or it is renamed', async () => {
    const play = await server.store.mailboxes.create(owner.id, 'Play');
    await give('lr');
    await give('lr', reader, play);
    const [b, c] = [await open(reader, name), await open(reader, `Users/${owner.address}/Play`)];
    await server.store.mailboxes.rename(owner.id, 'Work', 'Job');
    expect(await b.say('FETCH 1 UID')).toEqual(['* 1 FETCH (UID 1)', 'OK FETCH completed']);
    await server.store.mailboxes.delete(work.id);
    b.send('a NOOP\r\n');
    expect(await b.line()).toBe(GONE);
    await server.store.accounts.remove(owner.id);
    c.send('a NOOP\r\n');
    expect(await c.line()).toBe(GONE);
  });

  test('a store that does not answer opens nothing', async () => {
    await give('lr');
    const b = await open(reader, name);
    const { read } = server.store.sharing;
    onTestFinished(() => {
      server.store.sharing.read = read;
    });
    server.store.sharing.read = () =>
      Promise.reject(new StoreError('database-unavailable', 'out of reach'));
    expect(await b.say('FETCH 1 BODY[]')).toEqual([
      'NO [UNAVAILABLE] The mail store does not answer, try again later',
    ]);
    server.store.sharing.read = read;
    expect(await b.say('FETCH 1 UID')).toEqual(['* 1 FETCH (UID 1)', 'OK FETCH completed']);
  });
});

describe('flags that one may change', () => {
  test('are changed, others stay, and the client hears how it is', async () => {
    await give('lrs');
    const b = await open(reader, name);
    expect(await b.say('STORE 1 FLAGS.SILENT (\\Flagged \\Deleted \\Seen)')).toEqual([
      '* 1 FETCH (FLAGS (\\Seen \\Answered))',
      'OK STORE completed',
    ]);
    expect(await b.say('STORE 1 FLAGS ()')).toEqual([
      '* 1 FETCH (FLAGS (\\Answered))',
      'OK STORE completed',
    ]);
    expect(await b.say('STORE 1 +FLAGS (\\Flagged)')).toEqual([NOT_PERMITTED]);
    expect(await b.say('FETCH 1 (BODY[HEADER.FIELDS (X)])')).toEqual([
      '* 1 FETCH (BODY[HEADER.FIELDS (X)] {2}',
      '',
      ' FLAGS (\\Seen \\Answered))',
      'OK FETCH completed',
    ]);
    await b.say(`EXAMINE ${name}`);
    expect(await b.say('STORE 2 +FLAGS (\\Seen)')).toEqual(['NO The mailbox was opened read-only']);
  });

  test('go along with copies and with what is appended', async () => {
    await give('lrit');
    const b = await open(reader, 'INBOX');
    const flags = '(\\Seen \\Deleted \\Flagged x)';
    await b.say(`APPEND INBOX ${flags} {4+}\r\na: b`);
    await b.say(`APPEND ${name} ${flags} {4+}\r\na: b`);
    await b.say(`COPY 1 ${name}`);
    await b.say(`REPLACE 1 ${name} ${flags} {4+}\r\na: c`);
    await b.say(`SELECT ${name}`);
    for (const number of [4, 5, 6]) {
      expect(await b.say(`FETCH ${number} FLAGS`)).toEqual([
        `* ${number} FETCH (FLAGS (\\Deleted))`,
        'OK FETCH completed',
      ]);
    }
  });

  test('what is \\Deleted stays in CLOSE without the right to expunge', async () => {
    await give('lrt');
    const b = await open(reader, name);
    await b.say('STORE 1 +FLAGS (\\Deleted)');
    expect(await b.say('CLOSE')).toEqual(['OK CLOSE completed']);
    expect((await server.store.mailboxes.status(work.id)).messages).toBe(3);
    await give('lre');
    await b.say(`SELECT ${name}`);
    await b.say('CLOSE');
    expect((await server.store.mailboxes.status(work.id)).messages).toBe(2);
  });
});

describe('room', () => {
  test('is the owner’s, ahead of a large message and behind a small one', async () => {
    await give('li');
    await server.store.quotas.change(reader.id, { octets: 50 });
    const b = await open(reader);
    const large = 'x'.repeat(100_000);
    expect((await b.say(`APPEND ${name} {100000+}\r\n${large}`)).at(-1)).toMatch(/^OK \[APPENDUID/);
    await server.store.quotas.change(owner.id, { octets: 50 });
    const overQuota = 'NO [OVERQUOTA] The account has no room for that';
    expect(await b.say(`APPEND ${name} {100000}`)).toEqual([overQuota]);
    expect(await b.say(`APPEND ${name} {4+}\r\na: b`)).toEqual([overQuota]);
    await give('lr');
    expect(await b.say(`GETQUOTAROOT ${name}`)).toEqual([
      `* QUOTAROOT ${name} ${owner.address}`,
      `* QUOTA ${owner.address} (STORAGE 99 1)`,
      'OK GETQUOTAROOT completed',
    ]);
  });
});

describe('a mailbox that one may not know of', () => {
  /** Each with a name; what it answers must not tell whether there is something. */
  const COMMANDS = [
    'SELECT N',
    'EXAMINE N',
    'STATUS N (MESSAGES)',
    'DELETE N',
    'RENAME N Users/x@example.test/y',
    'RENAME N N2',
    'SUBSCRIBE N',
    'UNSUBSCRIBE N',
    'LIST "" N',
    'LIST "" N RETURN (STATUS (MESSAGES) MYRIGHTS METADATA (/shared/comment))',
    'LSUB "" N',
    'CREATE N',
    'CREATE N/below',
    'RENAME Archive N',
    'APPEND N {4+}\r\na: b',
    'GETACL N',
    'SETACL N anyone lr',
    'DELETEACL N anyone',
    'LISTRIGHTS N anyone',
    'MYRIGHTS N',
    'GETQUOTAROOT N',
    'GETMETADATA N /shared/comment',
    'SETMETADATA N (/shared/comment "x")',
  ];
  const SELECTED = ['COPY 1 N', 'MOVE 1 N', 'REPLACE 1 N {4+}\r\na: b'];

  test.each([
    ['logged in', undefined, COMMANDS],
    ['selected', 'INBOX', SELECTED],
  ])('is as one that is not there, %s', async (_, mailbox, commands) => {
    const inbox = await server.store.mailboxes.find(reader.id, 'INBOX');
    await server.store.messages.append(inbox?.id ?? 0, INBOX_MESSAGES);
    const gone = await server.addAccount();
    await server.store.accounts.remove(gone.id);
    const names = [name, `Users/${owner.address}/Nowhere`, `Users/${gone.address}/Work`];
    const b = await open(reader, mailbox);
    for (const command of commands) {
      const answers: string[] = [];
      for (const one of names) {
        const said = await b.say(command.replaceAll('N2', 'Elsewhere').replaceAll(' N', ` ${one}`));
        answers.push(said.join('\n').replaceAll(one, 'N'));
      }
      expect(answers, command).toEqual(names.map(() => answers[0]));
    }
  });
});

test('an address may have what a name may not', async () => {
  const odd = await server.store.accounts.add('a/b=%*c@example.test', 'hash');
  const inbox = await server.store.mailboxes.find(odd.id, 'INBOX');
  await give('lr', reader, inbox);
  const b = await open(reader);
  const written = 'Users/a=2Fb=3D=25=2Ac@example.test/INBOX';
  expect(await b.say('LIST "" Users/*')).toContain(`* LIST (\\HasNoChildren) "/" ${written}`);
  expect((await b.say(`SELECT ${written}`)).at(-1)).toBe('OK [READ-ONLY] SELECT completed');
});

test('a mailbox of one’s own that is called like another’s is found before it', async () => {
  await give('lr');
  // from before there were such names
  await server.store.mailboxes.create(reader.id, name);
  const b = await open(reader);
  expect(await b.say(`MYRIGHTS ${name}`)).toEqual([
    `* MYRIGHTS ${name} lrswipkxteacd`,
    'OK MYRIGHTS completed',
  ]);
  expect(await b.say(`RENAME ${name} Work`)).toEqual(['OK RENAME completed']);
  expect(await b.say(`MYRIGHTS ${name}`)).toEqual([
    `* MYRIGHTS ${name} lr`,
    'OK MYRIGHTS completed',
  ]);
});

test('commands that were sent ahead know of the rights that those before them gave', async () => {
  const a = await open(owner);
  a.send(`a SETACL Work ${reader.address} lr\r\nb GETACL Work\r\n`);
  expect(await a.line()).toBe('a OK SETACL completed');
  expect(await a.line()).toBe(`* ACL Work ${owner.address} lrswipkxteacd ${reader.address} lr`);
});
