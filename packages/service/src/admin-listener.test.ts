import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { openAdminListener } from './admin-listener.ts';
import { Health } from './health.ts';
import { METRICS } from './metric-names.ts';
import { type Exposition, Metrics } from './metrics.ts';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

async function open(
  health = new Health(),
  metrics: Exposition = new Metrics(),
  onRequest = () => {},
): Promise<string> {
  const server = await openAdminListener('127.0.0.1:0', health, metrics);
  server.on('request', onRequest);
  closing.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function get(address: string, path: string, method = 'GET'): Promise<[number, string]> {
  const response = await fetch(`http://${address}${path}`, { method });
  return [response.status, await response.text()];
}

test('tells life, start, readiness and metrics, and nothing else', async () => {
  const health = new Health();
  const metrics = new Metrics();
  metrics.gauge(METRICS.generation).set(12);
  health.set('certificate', 'no certificate yet');
  const address = await open(health, metrics);
  expect(await get(address, '/livez')).toEqual([200, '{"status":"alive"}\n']);
  expect(await get(address, '/healthz')).toEqual([200, '{"status":"alive"}\n']);
  expect(await get(address, '/startupz')).toEqual([503, '{"status":"starting"}\n']);
  health.noteStarted();
  expect(await get(address, '/startupz')).toEqual([200, '{"status":"started"}\n']);
  expect(await get(address, '/readyz?verbose')).toEqual([
    503,
    '{"status":"not ready","unmet":{"certificate":"no certificate yet"}}\n',
  ]);
  health.set('certificate', undefined);
  expect(await get(address, '/readyz')).toEqual([200, '{"status":"ready"}\n']);
  expect((await get(address, '/metrics'))[1]).toContain('concert_generation 12');
  expect((await get(address, '/../etc/passwd'))[0]).toBe(404);
});

test('HEAD has the headers alone, and other methods are refused by name', async () => {
  const address = await open();
  const head = await fetch(`http://${address}/livez`, { method: 'HEAD' });
  expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([
    200,
    '19',
    '',
  ]);
  const post = await fetch(`http://${address}/metrics`, { method: 'POST', body: 'x' });
  expect([post.status, post.headers.get('allow'), post.headers.get('connection')]).toEqual([
    405,
    'GET, HEAD',
    'close',
  ]);
});

test('workers that do not answer fail the scrape, not the process', async () => {
  const address = await open(new Health(), {
    contentType: 'text/plain',
    expose: () => Promise.reject(new Error('secret of the inside')),
  });
  const [status, body] = await get(address, '/metrics');
  expect([status, body.includes('secret')]).toEqual([503, false]);
  expect((await get(address, '/livez'))[0]).toBe(200);
});

test('scrapes at the same time cost one', async () => {
  let gathered = 0;
  let arrived = 0;
  const waiting = Promise.withResolvers<string>();
  const exposition: Exposition = {
    contentType: 'text/plain',
    expose: () => {
      gathered += 1;
      return waiting.promise;
    },
  };
  const address = await open(new Health(), exposition, () => {
    arrived += 1;
    if (arrived === 3) waiting.resolve('figures');
  });
  const all = await Promise.all([1, 2, 3].map(() => get(address, '/metrics')));
  expect(new Set(all.map(([, body]) => body))).toEqual(new Set(['figures']));
  expect(gathered).toBe(1);
});

test.each([
  ['what is no HTTP', 'EHLO there\r\n\r\n', 400],
  ['a header without end', `GET / HTTP/1.1\r\nx: ${'y'.repeat(20_000)}`, 431],
])('%s ends the connection', async (_, text, status) => {
  const address = await open();
  const socket = connect(Number(address.split(':')[1]), '127.0.0.1');
  let answer = '';
  socket.on('data', (octets) => {
    answer += octets;
  });
  socket.on('error', () => {});
  socket.write(text);
  await once(socket, 'close');
  expect(answer).toContain(`HTTP/1.1 ${status} `);
});

test('a port in use is told in one line', async () => {
  const port = Number((await open()).split(':')[1]);
  await expect(openAdminListener(`127.0.0.1:${port}`, new Health(), new Metrics())).rejects.toThrow(
    `port ${port} on 127.0.0.1 is in use`,
  );
});
