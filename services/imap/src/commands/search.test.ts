/** What SEARCH reads, and how long it keeps others waiting. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { CHUNK_BYTES, type MailboxId } from '@mail/store';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { onRead } from '../testing/on-read.ts';
import { Talk } from '../testing/talk.ts';
import { PASSWORD, startTestServer, type TestServer } from '../testing/test-server.ts';

const MIB = 1024 * 1024;

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

/** A client with `raw` in its selected mailbox. */
async function open(raw: Buffer): Promise<Talk> {
  const { id, address } = await server.addAccount();
  const sent: MailboxId = (await server.store.mailboxes.find(id, 'Sent'))?.id ?? 0;
  await server.store.messages.append(sent, [{ raw }]);
  const talk = await Talk.open(server.ports.plain, address, PASSWORD, 'Sent');
  onTestFinished(() => talk.close());
  return talk;
}

function part(type: string, content: Buffer | string): Buffer[] {
  return [
    Buffer.from(`--b\r\nContent-Type: ${type}\r\n\r\n`),
    Buffer.from(content),
    Buffer.from('\r\n'),
  ];
}

test('reads text parts and no attachments, no chunk twice', async () => {
  const raw = Buffer.concat([
    Buffer.from('Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n'),
    ...part('text/plain', 'first'),
    ...part('application/octet-stream', Buffer.alloc(4 * MIB, 'attached')),
    ...part('text/plain', 'last'),
    ...part('text/html', '<p>last</p>'),
  ]);
  const starts: number[] = [];
  onRead(server.store.messages, (read) => (mailbox, uid, start = 0, end = raw.length) => {
    expect(end - start).toBeLessThanOrEqual(CHUNK_BYTES);
    starts.push(start);
    return read(mailbox, uid, start, end);
  });
  const a = await open(raw);
  const search = async (key: string) => (await a.say(`SEARCH ${key}`))[0];
  expect(await search('FROM x NOT BODY y')).toBe('* SEARCH');
  expect(starts).toEqual([0]);
  expect(await search('SUBJECT x NOT BODY attached BODY first BODY last')).toBe('* SEARCH 1');
  expect(starts).toEqual([0, 0, 4 * MIB]);
});

test('many texts in a large message: others have their turn', async () => {
  const text = Buffer.alloc(2 * MIB, 'ab');
  const a = await open(Buffer.concat([Buffer.from('Subject: x\r\n\r\n'), text]));
  const keys = Array.from({ length: 100 }, (_, at) => `NOT BODY abac${at}`);
  let done = false;
  const answer = a.say(`SEARCH ${keys.join(' ')}`).finally(() => {
    done = true;
  });
  let turns = 0;
  for (; !done; turns += 1) await nextTurn();
  expect(await answer).toEqual(['* SEARCH 1', 'OK SEARCH completed']);
  // one for each time that the message is gone through
  expect(turns).toBeGreaterThanOrEqual(keys.length);
});
