/** Of which messages SEARCH has the store look into texts. */
import type { UidRange } from '@mail/store';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { Talk } from '../testing/talk.ts';
import { PASSWORD, startTestServer, type TestServer } from '../testing/test-server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

/** A client with 200 messages in its selected mailbox, of which every fiftieth is unseen. */
async function open(): Promise<Talk> {
  const { id, address } = await server.addAccount();
  const sent = (await server.store.mailboxes.find(id, 'Sent'))?.id ?? 0;
  const messages = Array.from({ length: 200 }, (_, at) => ({
    raw: Buffer.from(`Subject: ${at + 1}\r\n\r\nbody ${(at + 1) % 2 === 0 ? 'even' : 'odd'}\r\n`),
    flags: (at + 1) % 50 === 0 ? [] : ['\\Seen'],
  }));
  await server.store.messages.append(sent, messages);
  const talk = await Talk.open(server.ports.plain, address, PASSWORD, 'Sent');
  onTestFinished(() => talk.close());
  return talk;
}

/** What the store is asked from now on, in this test. */
function watchLooks(): [string, UidRange][] {
  const asked: [string, UidRange][] = [];
  const { messages } = server.store;
  const { findText } = messages;
  onTestFinished(() => {
    messages.findText = findText;
  });
  messages.findText = (mailbox, sought, range) => {
    asked.push([sought.value, range]);
    return findText(mailbox, sought, range);
  };
  return asked;
}

const all: UidRange = { first: 1, last: 200 };
const each = (...uids: number[]): UidRange[] => uids.map((uid) => ({ first: uid, last: uid }));

test.each<[string, string, [string, UidRange][]]>([
  ['SUBJECT 77', ' 77 177', [['77', all]]],
  ['UID 77:78 BODY ODD', ' 77', [['ODD', { first: 77, last: 78 }]]],
  ['UNSEEN BODY even', ' 50 100 150 200', each(50, 100, 150, 200).map((at) => ['even', at])],
  ['UNSEEN BODY odd', '', each(50, 100, 150, 200).map((at) => ['odd', at])],
  ['LARGER 10000 BODY even', '', []],
  // the second is asked of what the first has left
  [
    'SUBJECT 7 NOT BODY odd',
    ' 70 72 74 76 78 170 172 174 176 178',
    [
      ['7', all],
      ['odd', { first: 7, last: 197 }],
    ],
  ],
  [
    'OR UID 1:199 BODY even',
    ` ${Array.from({ length: 200 }, (_, at) => at + 1).join(' ')}`,
    [['even', { first: 200, last: 200 }]],
  ],
])('%s', async (key, found, looks) => {
  const a = await open();
  const asked = watchLooks();
  expect(await a.say(`SEARCH ${key}`)).toEqual([`* SEARCH${found}`, 'OK SEARCH completed']);
  expect(asked).toEqual(looks);
});
