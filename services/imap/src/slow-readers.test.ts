/** Clients that ask for much and read nothing: what they ask for must not gather in the service's memory. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import type { MemoryTaken, SlowReadersService } from './testing/slow-readers-process.ts';
import { PASSWORD } from './testing/test-server.ts';

const MESSAGES = 2;
const MESSAGE_OCTETS = 24 * 1024 * 1024;
const READERS = 20;
/** What all of them ask for is nearly a GB. */
const MOST_GROWTH = 200 * 1024 * 1024;

const PROCESS = fileURLToPath(new URL('testing/slow-readers-process.ts', import.meta.url));

test('clients that do not read take little memory, whatever they have asked for', {
  timeout: 60_000,
}, async () => {
  const service = fork(PROCESS, [`${MESSAGES}`, `${MESSAGE_OCTETS}`]);
  onTestFinished(async () => {
    const gone = once(service, 'exit');
    service.disconnect();
    await gone;
  });
  const [{ port, user }] = (await once(service, 'message')) as [SlowReadersService];
  const memory = async (): Promise<number> => {
    service.send('memory');
    const [{ rssBytes }] = (await once(service, 'message')) as [MemoryTaken];
    return rssBytes;
  };
  const sockets: Socket[] = [];
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
  });
  /** Logs in and selects; then says `command`, of which nothing is read yet. */
  const open = async (command: string): Promise<Socket> => {
    const socket = connect({ host: '127.0.0.1', port });
    sockets.push(socket);
    socket.write(`a LOGIN ${user} "${PASSWORD}"\r\nb EXAMINE INBOX\r\n`);
    let heard = '';
    for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
      heard += String(chunk);
      if (heard.includes('b OK')) break;
    }
    socket.pause();
    socket.write(command);
    return socket;
  };
  const everything = 'c FETCH 1:* BODY.PEEK[]\r\n';
  const readEverything = async (): Promise<void> => {
    const reader = await open(everything);
    let end = '';
    for await (const chunk of reader) {
      end = (
        end + (chunk as Buffer).toString('latin1', Math.max(0, (chunk as Buffer).length - 50))
      ).slice(-50);
      if (end.includes('c OK')) return;
    }
    throw new Error('the service ended');
  };
  await readEverything();
  const before = await memory();
  for (let index = 0; index < READERS; index += 1) await open(everything);
  // one that does read gets all of it meanwhile: the others have had as many turns
  await readEverything();
  expect((await memory()) - before).toBeLessThan(MOST_GROWTH);
});
