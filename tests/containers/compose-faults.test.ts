/**
 * What goes wrong around containers: each is killed, the registry is paused or cut off in the middle of a
 * switch. Every end is all or nothing, the other services go on, and the fleet converges.
 */
import { promisify } from 'node:util';
import { type CertRegistryServiceClient, RotationState } from '@mail/proto';
import { ImapFlow } from 'imapflow';
import { createTransport } from 'nodemailer';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { fleetWhere, getFleet, operatorClient, rotate } from '../testing/operator.ts';
import { RawSubscriber } from '../testing/raw-subscriber.ts';
import { imapIdle } from '../testing/sessions.ts';
import { makeCertificate } from '../testing/system.ts';
import {
  type ComposeSystem,
  PASSWORD,
  servedOn,
  startCompose,
  USER,
  underLoad,
} from './compose-system.ts';

const login = { user: USER, password: PASSWORD };

let system: ComposeSystem;
let client: CertRegistryServiceClient;
let network: string;
const guests: RawSubscriber[] = [];

beforeAll(async () => {
  system = await startCompose({ settings: { CONCERT_REGISTRY_LEASE: '3s' } });
  client = operatorClient(system);
  network = `${system.project}_registry`;
});
afterEach(async () => {
  await system.docker('unpause', container('cert-registry')).catch(() => {});
  for (const guest of guests.splice(0)) await guest.leave();
});
afterAll(async () => {
  client?.close();
  await system?.close();
});

const container = (service: string): string => `${system.project}-${service}-1`;
const ports = () => Object.values(system.ports);
/** Waits as `up --wait` does, which gives up at once where the edge has yet to see that a service is back. */
const healthy = () =>
  vi.waitFor(() => system.compose('up', '--wait', '--wait-timeout', '60'), {
    timeout: 60_000,
    interval: 1_000,
  });

/** Everybody serves what is committed, and says so; the ports agree. Returns the generation. */
async function converged(): Promise<bigint> {
  // gRPC answers at once while it waits before it connects again
  await promisify(client.waitForReady.bind(client))(Date.now() + 60_000);
  const fleet = await fleetWhere(
    client,
    ({ subscribers, generation, rotation }) =>
      rotation === undefined &&
      ['imap', 'pop', 'smtp'].every((service) =>
        subscribers.some(
          (one) => one.service === service && one.state === 1 && one.generation === generation,
        ),
      ),
    60_000,
  );
  expect(await servedOn(ports())).toEqual(new Set([fleet.activeCertificate?.fingerprintSha256]));
  return fleet.generation;
}

/** The kernel may fail to freeze a process that is busy; the engine has let it go on then. */
async function pauseRegistry(): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await system.docker('pause', container('cert-registry'));
      return;
    } catch (error) {
      if (tries === 10 || !/unable to freeze/.test(String(error))) throw error;
    }
  }
}

/** A subscriber that a test plays: the switch waits in its prepare until it says ready. */
async function holdPrepare(): Promise<RawSubscriber> {
  const guest = new RawSubscriber(system, { service: 'pop', instance: `slow-${guests.length}` });
  guests.push(guest);
  await guest.join();
  return guest;
}

describe('a container is killed and started again', () => {
  test.each(['smtp', 'pop', 'imap', 'cert-registry', 'edge'])('%s', async (service) => {
    const before = (await getFleet(client)).generation;
    await system.docker('kill', container(service));
    await system.docker('start', container(service));
    await healthy();
    expect(await converged()).toBe(before);
    const result = await rotate(client, await makeCertificate(system));
    if (!result.ok) throw new Error(result.refusal.message);
    expect(result.rotation.state).toBe(RotationState.ROTATION_STATE_VERIFIED);
    expect(await converged()).toBe(before + 1n);
  });

  test('mail that was acknowledged is there after smtp and imap were killed', async () => {
    const { port } = system.ports.submissions;
    const transport = createTransport({
      host: 'localhost',
      port,
      secure: true,
      auth: { user: USER, pass: PASSWORD },
      tls: { rejectUnauthorized: false, servername: 'localhost' },
    });
    await transport.sendMail({ from: USER, to: USER, subject: 'kept', text: 'hello' });
    const killed = [container('smtp'), container('imap')];
    await system.docker('kill', ...killed);
    await system.docker('start', ...killed);
    await healthy();
    const reader = new ImapFlow({
      host: 'localhost',
      port: system.ports.imaps.port,
      secure: true,
      auth: { user: USER, pass: PASSWORD },
      tls: { rejectUnauthorized: false, servername: 'localhost' },
      logger: false,
    });
    await reader.connect();
    expect((await reader.mailboxOpen('INBOX')).exists).toBe(1);
    await reader.logout();
  });

  test('a service starts without the registry, also in a new container, with the certificate that it served before', async () => {
    const { activeCertificate, generation } = await getFleet(client);
    await system.docker('stop', container('cert-registry'));
    await system.docker('restart', container('imap'));
    const restarted = await servedOnceUp();
    await system.compose('up', '--detach', '--no-deps', '--force-recreate', 'imap');
    const recreated = await servedOnceUp();
    await system.docker('start', container('cert-registry'));
    await healthy();
    for (const seen of [restarted, recreated]) {
      expect(seen).toEqual(new Set([activeCertificate?.fingerprintSha256]));
    }
    expect(await converged()).toBe(generation);
  });

  /** The edge refuses nobody for long: asked until the replica that was restarted is there. */
  async function servedOnceUp(): Promise<Set<string>> {
    const signal = AbortSignal.timeout(30_000);
    for (;;) {
      try {
        return await servedOn([system.ports.imaps, system.ports.imap]);
      } catch (error) {
        if (signal.aborted) throw error;
      }
    }
  }
});

describe('the registry is paused in the middle of a switch', () => {
  test('before commit: the old certificate goes on everywhere; afterwards it is all or nothing', async () => {
    const before = await getFleet(client);
    const idle = await imapIdle(system, 'imaps', login);
    const certificate = await makeCertificate(system);
    const slow = await holdPrepare();
    const stop = await underLoad(ports(), 5);
    const rotation = rotate(client, certificate);
    const prepare = await slow.next('prepare');
    await pauseRegistry();
    slow.ready(prepare);
    for (let tries = 0; tries < 10; tries += 1) {
      expect(await servedOn(ports())).toEqual(
        new Set([before.activeCertificate?.fingerprintSha256]),
      );
    }
    await idle.work();
    await system.docker('unpause', container('cert-registry'));
    const result = await rotation;
    await slow.leave();
    const after = await converged();
    expect(after).toBe(before.generation + (result.ok ? 1n : 0n));
    expect((await stop()).failures).toEqual([]);
    await idle.finish();
  });

  test('once it has committed: nobody fails, and all come to the new one', async () => {
    const before = await getFleet(client);
    const idle = await imapIdle(system, 'imaps', login);
    const certificate = await makeCertificate(system);
    const stop = await underLoad(ports(), 5);
    let paused: Promise<void> | undefined;
    const rotation = rotate(client, certificate, {}, ({ state }) => {
      if (state !== RotationState.ROTATION_STATE_COMMITTED) return;
      paused ??= pauseRegistry();
    });
    while (paused === undefined) await new Promise((resolve) => setImmediate(resolve));
    await paused;
    for (let tries = 0; tries < 10; tries += 1) await servedOn(ports());
    await idle.work();
    await system.docker('unpause', container('cert-registry'));
    await rotation;
    expect(await converged()).toBe(before.generation + 1n);
    expect((await stop()).failures).toEqual([]);
    await idle.finish();
  });
});

test('the registry is cut off from the services in the middle of a switch: nothing is switched, and all come back', async () => {
  const before = await getFleet(client);
  const idle = await imapIdle(system, 'imaps', login);
  const certificate = await makeCertificate(system);
  const slow = await holdPrepare();
  const stop = await underLoad(ports(), 5);
  const rotation = rotate(client, certificate, { prepareTimeoutMs: 2_000 });
  await slow.next('prepare');
  await system.docker('network', 'disconnect', network, container('cert-registry'));
  // the deadline ends it: the operator comes by another network and hears so
  const result = await rotation;
  expect(!result.ok && result.refusal.message).toMatch(/nothing was switched/);
  await slow.leave();
  const cut = await fleetWhere(client, ({ subscribers }) =>
    subscribers.every(({ state }) => state !== 1),
  );
  expect(cut.generation).toBe(before.generation);
  expect(await servedOn(ports())).toEqual(new Set([before.activeCertificate?.fingerprintSha256]));
  await idle.work();

  await system.docker(
    ...['network', 'connect', '--alias', 'cert-registry', network, container('cert-registry')],
  );
  expect(await converged()).toBe(before.generation);
  const again = await rotate(client, certificate);
  if (!again.ok) throw new Error(again.refusal.message);
  expect(again.rotation.state).toBe(RotationState.ROTATION_STATE_VERIFIED);
  expect(await converged()).toBe(before.generation + 1n);
  expect((await stop()).failures).toEqual([]);
  await idle.finish();
});
