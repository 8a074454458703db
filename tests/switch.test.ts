/** The switch on real processes: nobody notices it, and it is proved by the ports. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import type { CertRegistryServiceClient } from '@mail/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { handshake } from './testing/handshakes.ts';
import type { LoadOrder, LoadResult } from './testing/load-process.ts';
import { getFleet, operatorClient, rotate } from './testing/operator.ts';
import { imapBusy, imapIdle, openSessions, popTransaction, smtpIdle } from './testing/sessions.ts';
import { makeCertificate, startSystem } from './testing/system.ts';

let system: Awaited<ReturnType<typeof startSystem>>;
let client: CertRegistryServiceClient;

beforeAll(async () => {
  // two workers each: subscribers of their own on one port
  system = await startSystem({ CONCERT_WORKERS: '2' });
  client = operatorClient(system);
});
afterAll(async () => {
  client?.close();
  await system?.close();
});

const ports = () => Object.values(system.ports);
const fingerprints = async (): Promise<string[]> =>
  Promise.all(
    ports().map(async (port) => {
      const { socket, fingerprint } = await handshake(port);
      socket.destroy();
      return fingerprint;
    }),
  );

test('every worker of every service is a subscriber, and all serve generation 1', async () => {
  const fleet = await getFleet(client);
  expect(fleet.generation).toBe(1n);
  expect(fleet.subscribers.map(({ service, instance }) => `${service}/${instance}`).sort()).toEqual(
    ['imap/one-w1', 'imap/one-w2', 'pop/one-w1', 'pop/one-w2', 'smtp/one-w1', 'smtp/one-w2'],
  );
  const wanted = fleet.activeCertificate?.fingerprintSha256;
  expect(new Set(await fingerprints())).toEqual(new Set([wanted]));
});

test('rotations under load: no failed handshake, no ended session, all ports proved', async () => {
  const login = (user: string) => ({ user: `${user}@example.test`, password: system.password });
  for (const user of ['pop', 'pops']) {
    await system.concertJson(
      ['account', 'add', `${user}@example.test`, '--password-stdin'],
      `${system.password}\n`,
    );
  }
  const sessions = await openSessions(system, login);
  const load = fork(new URL('./testing/load-process.ts', import.meta.url).pathname);
  load.send({ ports: ports(), perSecondAndPort: 10 } satisfies LoadOrder);
  await once(load, 'message');

  const certificates = [await makeCertificate(system), await makeCertificate(system)];
  let generation = (await getFleet(client)).generation;
  for (let index = 0; index < 6; index += 1) {
    const result = await rotate(client, certificates[index % 2] ?? '');
    if (!result.ok) throw new Error(result.refusal.message);
    generation += 1n;
    expect(result.rotation.toGeneration).toBe(generation);
    expect(result.rotation.outcomes).toHaveLength(6);
    const { fingerprintSha256 } = (await getFleet(client)).activeCertificate ?? {};
    for (const outcome of result.rotation.outcomes) {
      expect(outcome.ports.length).toBeGreaterThanOrEqual(2);
      for (const port of outcome.ports) {
        expect(port).toMatchObject({ fingerprintSha256, error: '' });
      }
    }
    // what the registry says is what a stranger sees, on every port
    expect(new Set(await fingerprints())).toEqual(new Set([fingerprintSha256]));
    for (const session of sessions.filter(({ name }) => /busy|DATA|transaction/.test(name))) {
      await session.work();
    }
  }
  load.send('stop');
  const [loaded] = (await once(load, 'message')) as [LoadResult];
  expect(loaded.failures).toEqual([]);
  expect(loaded.samples.length).toBeGreaterThan(50);

  // servers that seem to keep sessions close them seconds later
  const watchedUntil = performance.now() + 30_000;
  while (performance.now() < watchedUntil) {
    expect(sessions.map(({ name, closed }) => [name, closed()])).toEqual(
      sessions.map(({ name }) => [name, undefined]),
    );
    await pause(1_000);
  }
  for (const session of sessions) {
    await session.work();
    await session.finish();
  }
  // both messages whose DATA was open all the time have arrived
  const reading = await imapBusy(system, 'imaps', login('alice'));
  await reading.finish();
});

describe.each(['TLSv1.2', 'TLSv1.3'] as const)('tickets, %s', (maxVersion) => {
  /** A session that can be resumed, from a port. */
  async function ticket(port: Parameters<typeof handshake>[0]): Promise<Buffer> {
    const { socket, session } = await handshake(port, { maxVersion });
    socket.resume();
    const given = await session;
    socket.destroy();
    return given;
  }
  async function resumes(port: Parameters<typeof handshake>[0], session: Buffer): Promise<boolean> {
    const { socket, reused } = await handshake(port, { maxVersion, session });
    socket.destroy();
    return reused;
  }

  test('resume on any worker of the service, on no other service, and never after a switch', async () => {
    const { imaps, pop3s, submissions, imap } = system.ports;
    for (const port of [imaps, pop3s, submissions, imap]) {
      const session = await ticket(port);
      const again: boolean[] = [];
      // connections go to the workers in turn: all of several resume
      for (let index = 0; index < 4; index += 1) again.push(await resumes(port, session));
      expect([port.name, again]).toEqual([port.name, [true, true, true, true]]);
      for (const other of [imaps, pop3s, submissions]) {
        if (other.protocol === port.protocol) continue;
        expect([port.name, other.name, await resumes(other, session)]).toEqual([
          port.name,
          other.name,
          false,
        ]);
      }
      const result = await rotate(client, await makeCertificate(system));
      expect(result.ok).toBe(true);
      for (let index = 0; index < 4; index += 1) expect(await resumes(port, session)).toBe(false);
    }
  });

  test('a rollback and a switch to the same certificate end tickets as well', async () => {
    const session = await ticket(system.ports.imaps);
    const { activeCertificate } = await getFleet(client);
    const same = await rotate(client, activeCertificate?.id ?? '');
    expect(same.ok).toBe(true);
    expect(await resumes(system.ports.imaps, session)).toBe(false);
  });
});

test('two rotations at once: the second is refused, and says which is under way', async () => {
  const certificate = await makeCertificate(system);
  const results = await Promise.all([rotate(client, certificate), rotate(client, certificate)]);
  expect(results.map(({ ok }) => ok).sort()).toEqual([false, true]);
  const refused = results.find((result) => !result.ok);
  expect(refused?.ok === false && refused.refusal.code).toBe(9);
  expect(refused?.ok === false && refused.refusal.message).toMatch(/under way/);
});

test('drain_previous ends the connections of older generations in each protocol’s words', async () => {
  const login = { user: system.user, password: system.password };
  const before = await Promise.all([
    imapIdle(system, 'imaps', login),
    popTransaction(system, 'pop3s', login),
    smtpIdle(system, 'submissions', login),
  ]);
  const result = await rotate(client, await makeCertificate(system), {
    drainPrevious: true,
    drainGraceMs: 500,
  });
  expect(result.ok).toBe(true);
  const after = await imapIdle(system, 'imaps', login);
  for (const session of before) {
    for (let tries = 0; tries < 100 && session.closed() === undefined; tries += 1) await pause(100);
    expect([session.name, session.closed() !== undefined]).toEqual([session.name, true]);
    expect(session.lastWords()).toMatch(/^(\* BYE|-ERR \[SYS\/TEMP\]|421) /m);
  }
  expect(after.closed()).toBeUndefined();
  await after.finish();
});
