/**
 * Sees to it that one `npm start` at a time runs on a data folder, whatever has become of those before. The
 * running one is found by a door on loopback that tells its token: a process id alone may be another's by now.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { listenError, ServiceError } from '@mail/service';

const FILE = 'running.json';
const ANSWER_TIMEOUT_MS = 2_000;

interface Door {
  readonly pid: number;
  readonly port: number;
  readonly token: string;
}

/** What the file says; undefined where there is none, or none that this wrote. */
function readDoor(path: string): Door | undefined {
  try {
    const { pid, port, token } = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
    if (typeof pid !== 'number' || typeof port !== 'number' || typeof token !== 'string') return;
    return { pid, port, token };
  } catch {
    return undefined;
  }
}

/** Whether whoever wrote the file still lives. */
function answers({ port, token }: Door): Promise<boolean> {
  return new Promise((resolve) => {
    let said = '';
    const socket = connect({ port, host: '127.0.0.1', timeout: ANSWER_TIMEOUT_MS });
    socket.setEncoding('latin1').on('data', (text: string) => {
      said += text;
      if (said.length >= token.length) socket.destroy();
    });
    socket.on('timeout', () => socket.destroy());
    socket.on('error', () => {});
    socket.on('close', () => resolve(said === token));
  });
}

async function openDoor(token: string): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.end(token);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(listenError(error, '127.0.0.1', 0)));
    server.listen(0, '127.0.0.1', resolve);
  });
  return server;
}

/**
 * Claims the data folder until the returned function is called or this process ends. Throws ServiceError
 * (start-failed) where another start runs on it; nothing has been touched then.
 */
export async function claimDataFolder(data: string): Promise<() => void> {
  const path = join(data, FILE);
  const other = readDoor(path);
  if (other !== undefined && (await answers(other))) {
    throw new ServiceError(
      'start-failed',
      `already running (pid ${other.pid}), data folder ${data}; stop it first, or set CONCERT_DATA to another folder`,
    );
  }
  const token = randomBytes(16).toString('hex');
  const server = await openDoor(token);
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  writeFileSync(path, JSON.stringify({ pid: process.pid, port, token }), { mode: 0o600 });
  return () => {
    server.close();
    rmSync(path, { force: true });
  };
}
