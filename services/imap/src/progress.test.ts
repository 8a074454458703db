import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { Talk } from './testing/talk.ts';
import { PASSWORD, startTestServer, type TestServer } from './testing/test-server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

async function open(): Promise<Talk> {
  const { address } = await server.addAccountWithMail();
  const talk = await Talk.open(server.ports.plain, address, PASSWORD, 'INBOX');
  onTestFinished(() => talk.close());
  return talk;
}

let late = 0;
beforeEach(() => {
  late = 0;
  const { now } = performance;
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => now.call(performance) + late);
  onTestFinished(() => clock.mockRestore());
});

/** Every look of the store into texts takes so long. */
function lookSlowly(ms: number): void {
  const { messages } = server.store;
  const { findText } = messages;
  onTestFinished(() => {
    messages.findText = findText;
  });
  messages.findText = (...args) => {
    late += ms;
    return findText(...args);
  };
}

test('a search that takes long says how far it is', async () => {
  const a = await open();
  lookSlowly(15_000);
  expect(await a.say('SEARCH OR TEXT nowhere SEEN')).toEqual([
    '* OK [INPROGRESS ("t3" 3 3)] Still working',
    '* SEARCH 1',
    'OK SEARCH completed',
  ]);
});

test('so does a SORT, of what it reads after it has searched', async () => {
  const a = await open();
  const { messages } = server.store;
  const { structures } = messages;
  onTestFinished(() => {
    messages.structures = structures;
  });
  messages.structures = (...args) => {
    late += 15_000;
    return structures(...args);
  };
  expect(await a.say('SORT (SUBJECT) UTF-8 ALL')).toEqual([
    '* OK [INPROGRESS ("t3" 3 3)] Still working',
    '* SORT 1 2 3',
    'OK SORT completed',
  ]);
});

test('one that does not says nothing', async () => {
  const a = await open();
  lookSlowly(1_000);
  expect(await a.say('SEARCH TEXT nowhere')).toEqual(['* SEARCH', 'OK SEARCH completed']);
});
