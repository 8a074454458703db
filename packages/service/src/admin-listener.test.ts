import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { openAdminListener } from './admin-listener.ts';
import { Health } from './health.ts';
import { METRICS } from './metric-names.ts';
import { Metrics } from './metrics.ts';

test('tells life, readiness and metrics, and nothing else', async () => {
  const health = new Health();
  const metrics = new Metrics();
  metrics.gauge(METRICS.generation).set(12);
  health.set('certificate', 'no material yet');
  const server = await openAdminListener('127.0.0.1:0', health, metrics);
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    expect((await fetch(`${base}/healthz`)).status).toBe(200);
    const unready = await fetch(`${base}/readyz`);
    expect([unready.status, await unready.text()]).toEqual([503, 'certificate: no material yet\n']);
    health.set('certificate', undefined);
    expect((await fetch(`${base}/readyz`)).status).toBe(200);
    expect(await (await fetch(`${base}/metrics`)).text()).toContain('concert_generation 12');
    expect((await fetch(`${base}/../etc/passwd`)).status).toBe(404);
    expect((await fetch(`${base}/metrics`, { method: 'POST' })).status).toBe(405);
  } finally {
    server.close();
    server.closeAllConnections();
  }
});

test('a port in use is told in one line', async () => {
  const first = await openAdminListener('127.0.0.1:0', new Health(), new Metrics());
  const { port } = first.address() as AddressInfo;
  await expect(openAdminListener(`127.0.0.1:${port}`, new Health(), new Metrics())).rejects.toThrow(
    `port ${port} on 127.0.0.1 is in use`,
  );
  first.close();
});
