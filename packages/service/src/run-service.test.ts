import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import type { SupervisorMessage } from './run-service.ts';

const program = new URL('./testing/echo-service.ts', import.meta.url).pathname;
const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

function start(settings: Record<string, string>): ChildProcess {
  const child = fork(program, {
    env: { ...process.env, ...settings },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  children.push(child);
  return child;
}

async function firstMessage(child: ChildProcess): Promise<SupervisorMessage> {
  const [message] = await once(child, 'message');
  return message as SupervisorMessage;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

test.each(['1', '2'])(
  'starts with %s workers, says ready, stops on SIGTERM with 0',
  async (workers) => {
    const child = start({ CONCERT_TEST_PORT: String(await freePort()), CONCERT_WORKERS: workers });
    expect(await firstMessage(child)).toEqual({ type: 'ready' });
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([0, null]);
  },
);

test.each(['1', '2'])('a port in use is one line and 69 with %s workers', async (workers) => {
  const holder = createServer().listen(0, '127.0.0.1');
  await once(holder, 'listening');
  const address = holder.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const child = start({ CONCERT_TEST_PORT: String(port), CONCERT_WORKERS: workers });
  const [message, [code]] = await Promise.all([firstMessage(child), once(child, 'exit')]);
  expect(message).toMatchObject({
    type: 'failed',
    message: expect.stringContaining(`port ${port}`),
  });
  expect(code).toBe(69);
  holder.close();
});

test('a bad setting is one line and 69', async () => {
  const child = start({ CONCERT_WORKERS: 'many' });
  const [message, [code]] = await Promise.all([firstMessage(child), once(child, 'exit')]);
  expect(message).toMatchObject({ message: expect.stringContaining('CONCERT_WORKERS') });
  expect(code).toBe(69);
});

test('stops when whoever forked it vanishes', async () => {
  const child = start({ CONCERT_TEST_PORT: String(await freePort()) });
  await firstMessage(child);
  child.disconnect();
  expect(await once(child, 'exit')).toEqual([0, null]);
});

test.each(['1', '2'])(
  'with %s workers, told to stop, it is not ready and still takes connections for a while',
  async (workers) => {
    const [port, admin] = [await freePort(), await freePort()];
    const child = start({
      CONCERT_TEST_PORT: String(port),
      CONCERT_ADMIN_LISTEN: `127.0.0.1:${admin}`,
      CONCERT_WORKERS: workers,
      CONCERT_SHUTDOWN_DELAY: '10m',
    });
    await firstMessage(child);
    const ready = async () => (await fetch(`http://127.0.0.1:${admin}/readyz`)).status;
    expect(await ready()).toBe(200);
    child.kill('SIGTERM');
    while ((await ready()) !== 503);
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(200);
  },
);

test.each(['1', '2'])('with %s workers the admin port speaks for all of them', async (workers) => {
  const [port, admin] = [await freePort(), await freePort()];
  const child = start({
    CONCERT_TEST_PORT: String(port),
    CONCERT_WORKERS: workers,
    CONCERT_ADMIN_LISTEN: `127.0.0.1:${admin}`,
  });
  await firstMessage(child);
  const ask = async (path: string) => fetch(`http://127.0.0.1:${admin}${path}`);
  expect((await ask('/readyz')).status).toBe(200);
  expect((await ask('/startupz')).status).toBe(200);
  // one worker loses a condition: the service is not ready, whichever is asked
  await fetch(`http://127.0.0.1:${port}/unready`);
  let last = '';
  for (let tries = 0; tries < 1_000 && !last.includes('told to'); tries += 1) {
    last = await (await ask('/readyz')).text();
  }
  for (let tries = 0; tries < 10; tries += 1) expect((await ask('/readyz')).status).toBe(503);
  // counted by each, exposed as a sum, and always the same one
  const metrics = new Set<string>();
  for (let tries = 0; tries < 10; tries += 1) {
    const text = await (await ask('/metrics')).text();
    metrics.add(/^concert_connections_open\{[^}]*\} (\d+)/m.exec(text)?.[1] ?? 'none');
    expect(text).toMatch(new RegExp(`^concert_processes ${workers}$`, 'm'));
    expect(text).toMatch(/^concert_ready 0$/m);
    expect(text).toMatch(/^concert_build_info\{component="echo",version="[\d.]+"\} 1$/m);
  }
  expect(metrics).toEqual(new Set([workers]));
});

test('no connection is lost to a worker that dies before it has accepted it', async () => {
  const port = await freePort();
  const child = start({ CONCERT_TEST_PORT: String(port), CONCERT_WORKERS: '2' });
  await firstMessage(child);
  const ask = async (): Promise<number> => {
    const signal = AbortSignal.timeout(10_000);
    return Number(await (await fetch(`http://127.0.0.1:${port}/`, { signal })).text());
  };
  const victim = await ask();
  // it takes nothing from here on, as in the moment in which it dies
  process.kill(victim, 'SIGSTOP');
  const asked = Array.from({ length: 10 }, ask);
  await asked[0];
  process.kill(victim, 'SIGKILL');
  for (const pid of await Promise.all(asked)) expect(pid).not.toBe(victim);
});

test('a worker that is killed is replaced, and counted', async () => {
  const [port, admin] = [await freePort(), await freePort()];
  const child = start({
    CONCERT_TEST_PORT: String(port),
    CONCERT_WORKERS: '2',
    CONCERT_ADMIN_LISTEN: `127.0.0.1:${admin}`,
  });
  await firstMessage(child);
  const ask = async (): Promise<number> =>
    Number(
      await (
        await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(2_000) })
      ).text(),
    );
  const victim = await ask();
  process.kill(victim, 'SIGKILL');
  const seen = new Set<number>();
  // a connection may have been on its way to the one that died; each answer comes from some worker: two live ones again are seen once both have answered
  for (let tries = 0; tries < 2_000 && seen.size < 2; tries += 1) {
    const pid = await ask().catch(() => victim);
    if (pid !== victim) seen.add(pid);
  }
  expect(seen.size).toBe(2);
  const figures = await (await fetch(`http://127.0.0.1:${admin}/metrics`)).text();
  expect(figures).toMatch(/^concert_worker_deaths_total 1$/m);
});
