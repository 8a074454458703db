/** Guesses at another process, or at another service, count here too. */
import { fork } from 'node:child_process';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { Talk } from './testing/talk.ts';
import { PASSWORD, startTestServer, type TestServer } from './testing/test-server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

/** Six past the free ones: a wait of 32 seconds. */
const GUESSES = 16;

async function guessElsewhere(...addresses: string[]): Promise<void> {
  const script = new URL('./testing/guessing-process.ts', import.meta.url);
  const child = fork(script, [server.storeUrl, String(GUESSES), ...addresses]);
  onTestFinished(() => void child.kill('SIGKILL'));
  await new Promise<void>((resolve, reject) => {
    child.on('message', (kept) => {
      if (kept === GUESSES * addresses.length) resolve();
    });
    child.on('exit', (code) => reject(new Error(`the other process ended with ${code}`)));
  });
}

test('an account that is guessed at in another process waits, unless its owner is known', async () => {
  const stranger = await server.addAccount();
  const owner = await server.addAccount();
  const answerTo = async (address: string): Promise<string> => {
    const talk = await Talk.open(server.ports.plain, address, PASSWORD);
    onTestFinished(() => talk.close());
    return (await talk.say('NOOP')).at(-1) ?? '';
  };
  // whoever is not logged in hears that too
  const login = async (address: string): Promise<string> => {
    const talk = await Talk.open(server.ports.plain, 'x@x.test', 'x');
    onTestFinished(() => talk.close());
    return (await talk.say(`LOGIN ${address} "${PASSWORD}"`)).at(-1) ?? '';
  };
  expect(await answerTo(owner.address)).toMatch(/^OK/);
  await guessElsewhere(stranger.address, owner.address);
  expect(await login(stranger.address)).toMatch(
    /^NO \[UNAVAILABLE\] Too many failed logins, try again in \d+ seconds/,
  );
  expect(await login(owner.address)).toMatch(/^OK/);
});
