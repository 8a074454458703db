/** What THREAD reads of messages. */
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { onRead } from '../testing/on-read.ts';
import { Talk } from '../testing/talk.ts';
import { PASSWORD, startTestServer, type TestServer } from '../testing/test-server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

/** A client whose selected INBOX holds messages with these references. */
async function open(references: readonly string[]): Promise<Talk> {
  const { id, address } = await server.addAccount();
  const inbox = (await server.store.mailboxes.find(id, 'INBOX'))?.id ?? 0;
  const messages = references.map((ids, index) => ({
    raw: Buffer.from(`Message-ID: <${index + 1}@x>\r\nReferences: ${ids}\r\n\r\n`),
  }));
  await server.store.messages.append(inbox, messages);
  const talk = await Talk.open(server.ports.plain, address, PASSWORD, 'INBOX');
  onTestFinished(() => talk.close());
  return talk;
}

test('no message is read', async () => {
  let reads = 0;
  onRead(server.store.messages, (read) => (...args) => {
    reads += 1;
    return read(...args);
  });
  const a = await open(['', '<1@x>', '<2@x>', '<1@x>']);
  expect((await a.say('THREAD REFERENCES UTF-8 ALL'))[0]).toBe('* THREAD (1 (2 3)(4))');
  expect((await a.say('UID THREAD ORDEREDSUBJECT UTF-8 2:3'))[0]).toBe('* THREAD (2 3)');
  expect(reads).toBe(0);
});

test('but the header of one that was stored before references were', async () => {
  const { messages } = server.store;
  const { structures } = messages;
  messages.structures = async (mailbox, uids) => {
    const found = await structures(mailbox, uids);
    const old = [...found].map(([uid, { references: _, ...structure }]) => {
      return [uid, { ...structure, version: 1 as const }] as const;
    });
    return new Map(old);
  };
  onTestFinished(() => {
    messages.structures = structures;
  });
  const a = await open(['', '<1@x>', '<2@x>', '<1@x>']);
  expect((await a.say('THREAD REFERENCES UTF-8 ALL'))[0]).toBe('* THREAD (1 (2 3)(4))');
});
