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
import { runTranscript } from '@mail/line-server/testing';
import { commonSettings, Health, Metrics, parseSettings, silentLogger } from '@mail/service';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { buildApp } from './app.ts';

let registry: FakeRegistry;
let folder = '';
beforeAll(async () => {
  registry = await FakeRegistry.start();
  folder = await mkdtemp(join(tmpdir(), 'concert-pop-app-'));
});
afterAll(async () => {
  await registry.close();
  await rm(folder, { recursive: true });
});

const opened: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0)) await close();
});

async function build(settings: Record<string, string> = {}) {
  const all = {
    CONCERT_DATA: folder,
    CONCERT_REGISTRY: registry.address,
    CONCERT_IDENTITY: await registry.identityFor('pop'),
    CONCERT_POP_LISTENERS: 'starttls://127.0.0.1:0 tls://127.0.0.1:0',
    ...settings,
  };
  const health = new Health();
  const app = await buildApp({
    service: 'pop',
    instance: 'test',
    settings: all,
    common: parseSettings(commonSettings, all),
    logger: silentLogger(),
    metrics: new Metrics(),
    health,
    clustered: false,
  });
  opened.push(() => app.close(0));
  return { app, health };
}

describe('the service', () => {
  it('switches both its ports, keeps sessions, and drains them when told to', async () => {
    const { app, health } = await build();
    expect(health.ready).toBe(false);
    await app.run();
    expect(health.unmet).toEqual({});

    const { ports, material } = await registry.rotate();
    const shown = ports.get('test') ?? [];
    expect(shown.map(({ listener }) => listener)).toEqual([
      expect.stringMatching(/^pop3 127\.0\.0\.1:\d+$/),
      expect.stringMatching(/^pop3s 127\.0\.0\.1:\d+$/),
    ]);
    for (const { fingerprintSha256, error } of shown) {
      expect({ fingerprintSha256, error }).toEqual({
        fingerprintSha256: material.fingerprintSha256,
        error: '',
      });
    }

    const port = Number(shown[1]?.listener.split(':').at(-1));
    const greeted = Promise.withResolvers<void>();
    const session = runTranscript(
      `S: +OK <any>
       S: -ERR [SYS/TEMP] The server has a new certificate, please connect again
       CLOSED`,
      { port, implicitTls: true, onLine: () => greeted.resolve() },
    );
    await greeted.promise;
    await registry.rotate();
    registry.drain(0);
    await session;

    await app.close(0);
    await expect(runTranscript('S: +OK', { port, implicitTls: true })).rejects.toThrow();
  });

  it('stops while it still waits for a certificate', async () => {
    const { app } = await build({
      CONCERT_REGISTRY: '127.0.0.1:1',
      CONCERT_DATA: join(folder, 'new'),
    });
    const running = app.run();
    await Promise.all([expect(running).rejects.toThrow('the service stops'), app.close(0)]);
  });

  it('ends when the store can write no more', async () => {
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

  it.each([
    [{ CONCERT_POP_LISTENERS: 'none://0.0.0.0:110?login=plain' }, /CONCERT_POP_LISTENERS/],
    [{ CONCERT_POP_IDLE_TIMEOUT: 'soon' }, /CONCERT_POP_IDLE_TIMEOUT/],
  ])('says which setting is wrong: %j', async (settings, message) => {
    await expect(build(settings)).rejects.toThrow(message);
  });
});

it('leaves the fleet before its sessions end, and upgrades them under what is in force', async () => {
  const { app } = await build();
  await app.run();
  const { ports, material } = await registry.rotate();
  const port = Number(ports.get('test')?.[0]?.listener.split(':').at(-1));
  const socket = connectTcp(port, '127.0.0.1');
  await once(socket, 'data');
  socket.write('STLS\r\n');
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
