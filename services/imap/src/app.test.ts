/** The whole service in one process, with a registry that switches certificates. */
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import type { Worker } from 'node:worker_threads';
import { FakeRegistry } from '@mail/certs/testing';
import { commonSettings, Health, Metrics, parseSettings, silentLogger } from '@mail/service';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { buildApp } from './app.ts';

let registry: FakeRegistry;
let folder = '';
beforeAll(async () => {
  registry = await FakeRegistry.start();
  folder = await mkdtemp(join(tmpdir(), 'concert-imap-app-'));
});
afterAll(async () => {
  await registry.close();
  await rm(folder, { recursive: true });
});

async function build() {
  const settings = {
    CONCERT_DATA: folder,
    CONCERT_REGISTRY: registry.address,
    CONCERT_IDENTITY: await registry.identityFor('imap'),
    CONCERT_IMAP_LISTENERS: 'starttls://127.0.0.1:0 tls://127.0.0.1:0',
  };
  const health = new Health();
  const app = await buildApp({
    service: 'imap',
    instance: 'test',
    settings,
    common: parseSettings(commonSettings, settings),
    logger: silentLogger(),
    metrics: new Metrics(),
    health,
    clustered: false,
  });
  onTestFinished(() => app.close(0));
  return { app, health };
}

test('is ready once its listeners are open, and no more once it stops', async () => {
  const { app, health } = await build();
  expect(health.unmet).toHaveProperty('listeners');
  await app.run();
  expect(health.unmet).toEqual({});
  await app.close(0);
  expect(health.unmet).toHaveProperty('listeners');
});

test('both ports show the next certificate after a switch', async () => {
  const { app } = await build();
  await app.run();
  const { ports, material } = await registry.rotate();
  expect(ports.get('test')).toEqual(
    [/^imap 127\.0\.0\.1:\d+$/, /^imaps 127\.0\.0\.1:\d+$/].map((listener) =>
      expect.objectContaining({
        listener: expect.stringMatching(listener),
        fingerprintSha256: material.fingerprintSha256,
        error: '',
      }),
    ),
  );
});

test('ends when the store can write no more', async () => {
  const threads: Worker[] = [];
  const collect = (thread: Worker) => threads.push(thread);
  process.on('worker', collect);
  onTestFinished(() => void process.off('worker', collect));
  const { app } = await build();
  await app.run();
  expect(threads).toHaveLength(1);
  const failed = expect(app.failed).rejects.toMatchObject({ name: 'StoreError' });
  await threads[0]?.terminate();
  await failed;
});

test('leaves the fleet before its sessions end, and upgrades them under what is in force', async () => {
  const { app } = await build();
  await app.run();
  const { ports, material } = await registry.rotate();
  const port = Number(ports.get('test')?.[0]?.listener.split(':').at(-1));
  const socket = connectTcp(port, '127.0.0.1');
  await once(socket, 'data');
  socket.write('a STARTTLS\r\n');
  await once(socket, 'data');
  const closed = app.close(60_000);
  await registry.deserted();
  const client = connectTls({ socket, rejectUnauthorized: false });
  await once(client, 'secureConnect');
  const shown = client.getPeerX509Certificate()?.fingerprint256;
  expect(shown).toBe(new X509Certificate(material.chainPem).fingerprint256);
  client.destroy();
  await closed;
});
