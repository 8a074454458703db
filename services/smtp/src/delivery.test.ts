/** Whom a message reaches: accounts by their aliases, and those that have room for it. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { RawClient, type RunningApp, startApp } from './testing/running-app.ts';

const ALICE = 'alice@example.test';
const BOB = 'bob@example.test';

let app: RunningApp;
/** A fresh account in each test, and a session that has begun a transaction. */
let carol: { id: number; address: string };
let client: RawClient;
let accounts = 0;

beforeAll(async () => {
  app = await startApp({ CONCERT_MAX_MESSAGE_SIZE: '1MiB' });
  const { aliases, domains } = app.store.directory;
  await aliases.add('staff@example.test', [ALICE, BOB]);
  await domains.add('caught.test');
  await domains.change('caught.test', { catchAll: BOB });
});
afterAll(() => app.close());

beforeEach(async () => {
  accounts += 1;
  carol = await app.store.accounts.add(`carol${accounts}@example.test`, 'hash');
  client = await RawClient.connect(app.ports.mx);
  await client.ask('EHLO client.test\r\n');
  await mail();
});

const mail = async (parameters = ''): Promise<void> => {
  await client.ask('RSET\r\n');
  const reply = await client.ask(`MAIL FROM:<sender@remote.test>${parameters}\r\n`);
  expect(reply).toMatch(/^250 /);
};
const rcpt = (address: string): Promise<string> => client.ask(`RCPT TO:<${address}>\r\n`);
const data = async (octets: number): Promise<string> => {
  expect(await client.ask('DATA\r\n')).toMatch(/^354 /);
  return client.ask(`Subject: x\r\n\r\n${`${'x'.repeat(98)}\r\n`.repeat(octets / 100)}.\r\n`);
};
const count = async (address: string): Promise<number> => (await app.inbox(address)).length;

describe('an address', () => {
  test.each([
    ['of an alias', ['staff@example.test'], [1, 1]],
    ['of an alias and of one behind it', ['staff@example.test', BOB, ALICE], [1, 1]],
    ['with a tag', ['alice+lists@example.test'], [1, 0]],
    ['of an alias with a tag', ['staff+now@example.test'], [1, 1]],
    ['that a domain catches', ['anybody@caught.test', 'other@caught.test'], [0, 1]],
    ['of the postmaster of a domain without accounts', ['postmaster@caught.test'], [0, 1]],
  ])(
    '%s: each account gets the message once',
    async (_, recipients, [forAlice = 0, forBob = 0]) => {
      const before = [await count(ALICE), await count(BOB)];
      for (const address of recipients) expect(await rcpt(address)).toMatch(/^250 2\.1\.5 /);
      expect(await data(100)).toMatch(/^250 /);
      const after = [await count(ALICE), await count(BOB)];
      expect(after).toEqual([(before[0] ?? 0) + forAlice, (before[1] ?? 0) + forBob]);
    },
  );

  test('that nobody has is refused, and what is of no domain here', async () => {
    expect(await rcpt('nobody@example.test')).toMatch(/^550 5\.1\.1 /);
    expect(await rcpt('anybody@elsewhere.test')).toMatch(/^550 5\.7\.1 /);
  });

  test('that leads through too many aliases waits for the operator', async () => {
    const { aliases } = app.store.directory;
    await aliases.add('a0@example.test', [ALICE]);
    for (let level = 1; level < 10; level += 1) {
      await aliases.add(`a${level}@example.test`, [`a${level - 1}@example.test`]);
    }
    await aliases.add('b0@example.test', [ALICE]);
    await aliases.add('b1@example.test', ['b0@example.test']);
    await aliases.add('a0@example.test', ['b1@example.test']);
    expect(await rcpt('a9@example.test')).toMatch(/^451 4\.3\.0 /);
  });
});

describe('a mailbox', () => {
  const limit = (limits: { octets?: number; messages?: number }) =>
    app.store.quotas.change(carol.id, limits);

  test('that is full is refused for now, and the others have the message', async () => {
    await limit({ messages: 0 });
    const before = await count(ALICE);
    expect(await rcpt(carol.address)).toBe('452 4.2.2 The mailbox is full');
    expect(await rcpt(ALICE)).toMatch(/^250 /);
    expect(await data(100)).toMatch(/^250 /);
    expect([await count(ALICE), await count(carol.address)]).toEqual([before + 1, 0]);
  });

  test('is told by the size that the client declares', async () => {
    await limit({ octets: 100_000 });
    await mail(' SIZE=50000');
    expect(await rcpt(ALICE)).toMatch(/^250 /);
    expect(await rcpt(carol.address)).toMatch(/^250 /);
    expect(await data(50_000)).toMatch(/^250 /);
    await mail(' SIZE=60000');
    expect(await rcpt(carol.address)).toMatch(/^452 4\.2\.2 /);
    await mail(' SIZE=200000');
    expect(await rcpt(carol.address)).toMatch(/^552 5\.2\.3 /);
    expect(await count(carol.address)).toBe(1);
  });

  test('that may be full by the end of the message has a transaction of its own', async () => {
    await limit({ octets: 100_000 });
    expect(await rcpt(carol.address)).toMatch(/^250 /);
    expect(await rcpt(ALICE)).toMatch(/^452 4\.5\.3 /);
    // the same mailbox, by another name
    expect(await rcpt(carol.address.replace('@', '+tag@'))).toMatch(/^250 /);
    await mail();
    expect(await rcpt(ALICE)).toMatch(/^250 /);
    expect(await rcpt(carol.address)).toMatch(/^452 4\.5\.3 /);
    expect(await rcpt(BOB)).toMatch(/^250 /);
    await mail();
    expect(await rcpt(carol.address)).toMatch(/^250 /);
    expect(await data(50_000)).toMatch(/^250 /);
    await mail();
    expect(await rcpt(carol.address)).toMatch(/^250 /);
    expect(await data(60_000)).toMatch(/^452 4\.2\.2 /);
    await mail();
    expect(await rcpt(carol.address)).toMatch(/^250 /);
    expect(await data(200_000)).toMatch(/^552 5\.2\.3 /);
    expect(await count(carol.address)).toBe(1);
  });

  test('that has filled up since RCPT keeps the message from all: it comes again', async () => {
    await limit({ octets: 10_000_000 });
    const before = await count(ALICE);
    expect(await rcpt(ALICE)).toMatch(/^250 /);
    expect(await rcpt(carol.address)).toMatch(/^250 /);
    await limit({ messages: 0 });
    expect(await data(100)).toBe('452 4.2.2 The mailbox is full');
    expect([await count(ALICE), await count(carol.address)]).toEqual([before, 0]);
  });

  test('behind an alias that is full keeps the alias waiting', async () => {
    const { aliases } = app.store.directory;
    await aliases.add(`team${accounts}@example.test`, [ALICE, carol.address]);
    await limit({ messages: 0 });
    expect(await rcpt(`team${accounts}@example.test`)).toMatch(/^452 4\.2\.2 /);
    await limit({ messages: 1 });
    expect(await rcpt(`team${accounts}@example.test`)).toMatch(/^250 /);
    expect(await data(100)).toMatch(/^250 /);
    expect(await count(carol.address)).toBe(1);
  });
});
