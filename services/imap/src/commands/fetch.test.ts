/** What FETCH holds, marks and reads, as the store sees it. */
import type { Account, MailboxId, Messages } from '@mail/store';
import { CHUNK_BYTES, StoreError } from '@mail/store';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { onRead } from '../testing/on-read.ts';
import { Talk } from '../testing/talk.ts';
import { PASSWORD, startTestServer, type TestServer } from '../testing/test-server.ts';

const MIB = 1024 * 1024;

let server: TestServer;
let account: Account;
let sent: MailboxId;
let messages: Messages;
beforeAll(async () => {
  server = await startTestServer();
  messages = server.store.messages;
});
afterAll(() => server.close());
beforeEach(async () => {
  account = await server.addAccount();
  sent = (await server.store.mailboxes.find(account.id, 'Sent'))?.id ?? 0;
});

async function open(): Promise<Talk> {
  const talk = await Talk.open(server.ports.plain, account.address, PASSWORD, 'Sent');
  onTestFinished(() => talk.close());
  return talk;
}

const lines = (octets: number): Buffer => Buffer.alloc(octets, `${'x'.repeat(62)}\r\n`);

describe('\\Seen', () => {
  const append = (octets: number, count: number) =>
    messages.append(
      sent,
      Array.from({ length: count }, () => ({ raw: lines(octets) })),
    );

  test('is not set on what was never sent', async () => {
    await append(100_000, 8);
    onRead(messages, (read) => (mailbox, uid, ...range) => {
      if (uid < 3) return read(mailbox, uid, ...range);
      return Promise.reject(new StoreError('database-unavailable', 'the disk is gone'));
    });
    const a = await open();
    expect((await a.say('FETCH 1:* BODY[]')).at(-1)).toMatch(/^NO \[UNAVAILABLE\]/);
    const { messages: now } = await messages.list(sent);
    const seen = now.filter(({ flags }) => flags.includes('\\Seen')).map(({ uid }) => uid);
    expect(seen).toEqual(expect.arrayContaining([1, 2]));
    // one group ahead: what fits in a chunk of the store's
    expect(seen.every((uid) => uid <= 4)).toBe(true);
  });

  test('is set on many small messages in few commits', async () => {
    await append(1000, 60);
    const a = await open();
    const { commits } = server.store.statistics();
    const answer = await a.say('FETCH 1:* BODY[TEXT]<0.10>');
    expect(answer.filter((line) => line.endsWith(' FLAGS (\\Seen))'))).toHaveLength(60);
    expect(server.store.statistics().commits - commits).toBe(1);
  });
});

describe('an answer of many sections', () => {
  test('holds a few pieces at a time', async () => {
    await messages.append(sent, [{ raw: lines(MIB) }]);
    const sections = Array.from({ length: 200 }, (_, at) => `BODY.PEEK[]<${at}.${CHUNK_BYTES}>`);
    let held = 0;
    let mostHeld = 0;
    onRead(messages, (read) => async (...args) => {
      const octets = await read(...args);
      held += octets.length;
      mostHeld = Math.max(mostHeld, held);
      return octets;
    });
    const a = await open();
    a.onHeard = (octets) => {
      held -= octets;
    };
    const answer = await a.say(`FETCH 1 (${sections.join(' ')})`);
    expect(answer.at(-1)).toBe('OK FETCH completed');
    // 50 MiB went by; what the system's own buffers take, and a few pieces
    expect(mostHeld).toBeLessThan(25 * MIB);
  });

  test('is read a chunk of the store at a time', async () => {
    await messages.append(sent, [{ raw: lines(MIB) }]);
    const chunks: [number, number][] = [];
    onRead(messages, (read) => (mailbox, uid, start = 0, end = Number.POSITIVE_INFINITY) => {
      chunks.push([Math.floor(start / CHUNK_BYTES), Math.floor((end - 1) / CHUNK_BYTES)]);
      return read(mailbox, uid, start, end);
    });
    const a = await open();
    await a.say('FETCH 1 (BODY.PEEK[]<1000.600000>)');
    expect(chunks).toHaveLength(3);
    expect(chunks.every(([first, last]) => first === last)).toBe(true);
  });

  test('comes whole, what is read ahead and what is not', async () => {
    const raw = Buffer.from(`Subject: x\r\n\r\n${'y'.repeat(CHUNK_BYTES)}`);
    await messages.append(sent, [{ raw }]);
    const a = await open();
    const asked = 'BODY[] BODY[HEADER.FIELDS (SUBJECT)] BODY[9] BODY[TEXT]<0.3>';
    expect((await a.say(`FETCH 1 (${asked})`)).slice(-6)).toEqual([
      `${'y'.repeat(CHUNK_BYTES)} BODY[HEADER.FIELDS (SUBJECT)] {14}`,
      'Subject: x',
      '',
      ' BODY[9] NIL BODY[TEXT]<0> {3}',
      'yyy FLAGS (\\Seen))',
      'OK FETCH completed',
    ]);
  });
});

describe('BINARY', () => {
  const part = (octets: Buffer) => {
    const text = octets.toString('base64').replaceAll(/.{76}/g, '$&\r\n');
    const head = 'Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n';
    return { raw: Buffer.from(head + text) };
  };

  test('of a large part holds a few pieces at a time', async () => {
    const message = part(lines(24 * MIB));
    await messages.append(sent, [message]);
    let held = 0;
    let mostHeld = 0;
    let read = 0;
    onRead(messages, (readStored) => async (...args) => {
      const octets = await readStored(...args);
      read += octets.length;
      // of the two readings, the first only measures
      if (read > message.raw.length) held += octets.length;
      mostHeld = Math.max(mostHeld, held);
      expect(octets.length).toBeLessThanOrEqual(CHUNK_BYTES);
      return octets;
    });
    const a = await open();
    a.onHeard = (octets) => {
      held -= octets;
    };
    const answer = await a.say('FETCH 1 BINARY.PEEK[1]');
    expect(answer[0]).toBe(`* 1 FETCH (BINARY[1] {${24 * MIB}}`);
    expect(answer.at(-1)).toBe('OK FETCH completed');
    expect(read).toBe(2 * message.raw.length);
    // what the system's own buffers take, and a few pieces
    expect(mostHeld).toBeLessThan(16 * MIB);
  });

  test('of a small part reads it once', async () => {
    await messages.append(sent, [part(Buffer.alloc(100_000, 'x'))]);
    let reads = 0;
    onRead(messages, (readStored) => (...args) => {
      reads += 1;
      return readStored(...args);
    });
    const a = await open();
    await a.say('FETCH 1 (BINARY.SIZE[1] BINARY.PEEK[1])');
    expect(reads).toBe(1);
  });

  test('of two large parts in one answer gives each its own', async () => {
    const [one, two] = ['1', '2'].map((fill) => part(Buffer.alloc(400_000, fill)).raw);
    const head = 'Content-Type: multipart/mixed; boundary=b\r\n';
    await messages.append(sent, [
      { raw: Buffer.from([head, '--b', one, '--b', two, '--b--', ''].join('\r\n')) },
    ]);
    const a = await open();
    const answer = (await a.say('FETCH 1 (BINARY.PEEK[1] BINARY.PEEK[2])')).join('\n');
    const content = ['1', '2'].map((fill) => fill.repeat(400_000));
    expect(answer).toBe(
      `* 1 FETCH (BINARY[1] {400000}\n${content[0]} BINARY[2] {400000}\n${content[1]})\nOK FETCH completed`,
    );
  });

  test('of a message that has gone leaves no half of an answer', async () => {
    await messages.append(sent, [part(Buffer.alloc(10, 'x'))]);
    onRead(messages, () => () => Promise.reject(new StoreError('no-such-message', 'gone')));
    const a = await open();
    expect(await a.say('FETCH 1 BINARY.PEEK[1]')).toEqual(['OK FETCH completed']);
  });
});

test('fields are picked from the header’s first MiB', async () => {
  const field = (name: string) => `${name}: ${'z'.repeat(998)}\r\n`;
  const raw = Buffer.from(`Subject: x\r\n${field('X-Long').repeat(1100)}Cc: late\r\n\r\n`);
  await messages.append(sent, [{ raw }]);
  let most = 0;
  onRead(messages, (read) => async (...args) => {
    const octets = await read(...args);
    most = Math.max(most, octets.length);
    return octets;
  });
  const a = await open();
  const early = ['* 1 FETCH (BODY[HEADER.FIELDS (SUBJECT CC)] {14}', 'Subject: x', '', ')'];
  const done = 'OK FETCH completed';
  expect(await a.say('FETCH 1 BODY.PEEK[HEADER.FIELDS (SUBJECT CC)]')).toEqual([...early, done]);
  // whole lines even where the header is cut
  const others = await a.say('FETCH 1 BODY.PEEK[HEADER.FIELDS.NOT (SUBJECT)]');
  expect(new Set(others.slice(1, -3))).toEqual(new Set([field('X-Long').trimEnd()]));
  expect(most).toBe(MIB);
});
