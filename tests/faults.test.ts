/** What goes wrong around a switch, on real processes: every end is all or nothing, and the fleet converges. */

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { SWITCH_STEPS } from '@mail/cert-registry';
import { type CertRegistryServiceClient, RotationState } from '@mail/proto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { handshake } from './testing/handshakes.ts';
import { fleetWhere, getFleet, operatorClient, rotate } from './testing/operator.ts';
import { RawSubscriber } from './testing/raw-subscriber.ts';
import { imapBusy } from './testing/sessions.ts';
import {
  layOutSystem,
  type MailPort,
  makeCertificate,
  type System,
  startSystem,
} from './testing/system.ts';

const ABORTED = 10;

async function served(ports: readonly MailPort[]): Promise<Set<string>> {
  const seen = await Promise.all(ports.map((port) => handshake(port)));
  for (const { socket } of seen) socket.destroy();
  return new Set(seen.map(({ fingerprint }) => fingerprint));
}

const allPorts = (system: System): MailPort[] => Object.values(system.ports);

/** Waits until everybody connected serves what is committed, then holds the ports to it. */
async function expectConverged(system: System, client: CertRegistryServiceClient): Promise<bigint> {
  const fleet = await fleetWhere(
    client,
    ({ subscribers, generation, rotation }) =>
      rotation === undefined &&
      ['imap', 'pop', 'smtp'].every((service) =>
        subscribers.some(
          (one) => one.service === service && one.state === 1 && one.generation === generation,
        ),
      ),
  );
  expect(await served(allPorts(system))).toEqual(
    new Set([fleet.activeCertificate?.fingerprintSha256]),
  );
  return fleet.generation;
}

describe('subscribers that stand in the way', () => {
  let system: Awaited<ReturnType<typeof startSystem>>;
  let client: CertRegistryServiceClient;
  const guests: RawSubscriber[] = [];
  const guest = (instance: string): RawSubscriber => {
    const subscriber = new RawSubscriber(system, { service: 'pop', instance });
    guests.push(subscriber);
    return subscriber;
  };

  beforeAll(async () => {
    system = await startSystem({ CONCERT_REGISTRY_LEASE: '3s' });
    client = operatorClient(system);
  });
  afterEach(async () => {
    for (const one of guests.splice(0)) await one.leave();
  });
  afterAll(async () => {
    client?.close();
    await system?.close();
  });

  test('one rejects: nothing is switched anywhere, and the call says who and why', async () => {
    const before = await getFleet(client);
    const rejecting = guest('rejecting');
    await rejecting.join();
    const rotation = rotate(client, await makeCertificate(system));
    rejecting.reject(await rejecting.next('prepare'), 'unusable-material', 'no room for it');
    const result = await rotation;
    if (result.ok) throw new Error('it was switched all the same');
    expect(result.refusal.code).toBe(ABORTED);
    expect(result.refusal.message).toMatch(/pop.*rejecting/);
    const outcome = result.refusal.rotation?.outcomes.find(
      ({ instance }) => instance === 'rejecting',
    );
    expect(outcome).toMatchObject({
      service: 'pop',
      code: 'unusable-material',
      detail: 'no room for it',
    });
    expect((await getFleet(client)).generation).toBe(before.generation);
    expect(await served(allPorts(system))).toEqual(
      new Set([before.activeCertificate?.fingerprintSha256]),
    );
    await rejecting.next('abort');
  });

  test('one is silent: at the deadline nothing is switched; with --require of others it is', async () => {
    const before = await getFleet(client);
    const silent = guest('silent');
    await silent.join();
    const certificate = await makeCertificate(system);
    const late = await rotate(client, certificate, { prepareTimeoutMs: 1_000 });
    expect(!late.ok && late.refusal.code).toBe(ABORTED);
    expect(!late.ok && late.refusal.message).toMatch(/silent/);
    expect((await getFleet(client)).generation).toBe(before.generation);

    const without = await rotate(client, certificate, {
      prepareTimeoutMs: 1_000,
      require: { policy: { $case: 'services', value: { services: ['imap', 'smtp'] } } },
    });
    if (!without.ok) throw new Error(without.refusal.message);
    expect(without.rotation.toGeneration).toBe(before.generation + 1n);
    const left = without.rotation.outcomes.find(({ instance }) => instance === 'silent');
    expect(left).toMatchObject({ required: false });
    expect(await served(allPorts(system))).toEqual(
      new Set([(await getFleet(client)).activeCertificate?.fingerprintSha256]),
    );
  });

  test('a slow one: the switch waits for it, and nobody goes ahead', async () => {
    const before = await getFleet(client);
    const slow = guest('slow');
    await slow.join();
    const rotation = rotate(client, await makeCertificate(system));
    const prepare = await slow.next('prepare');
    await pause(1_500);
    expect(await served(allPorts(system))).toEqual(
      new Set([before.activeCertificate?.fingerprintSha256]),
    );
    slow.ready(prepare);
    slow.swapped(prepare, await slow.next('activate'));
    expect(await rotation).toMatchObject({
      ok: true,
      rotation: { state: RotationState.ROTATION_STATE_VERIFIED },
    });
    await expectConverged(system, client);
  });

  test('one is lost before commit: the switch waits for its lease, then goes on without it', async () => {
    const before = await getFleet(client);
    const lost = new RawSubscriber(system, { service: 'pop', instance: 'lost-before' });
    await lost.join();
    const certificate = await makeCertificate(system);
    const short = rotate(client, certificate, { prepareTimeoutMs: 800 });
    await lost.next('prepare');
    lost.vanish();
    const refused = await short;
    expect(!refused.ok && refused.refusal.code).toBe(ABORTED);
    expect(!refused.ok && refused.refusal.message).toMatch(/lost-before/);
    expect((await getFleet(client)).generation).toBe(before.generation);
    // its lease of 3 s runs out within the 10 s that this one may take
    const patient = await rotate(client, certificate);
    if (!patient.ok) throw new Error(patient.refusal.message);
    expect(patient.rotation.toGeneration).toBe(before.generation + 1n);
    await expectConverged(system, client);
  });

  test('one is lost after commit: it is listed, and holds nobody back', async () => {
    const lost = new RawSubscriber(system, { service: 'pop', instance: 'lost-after' });
    await lost.join();
    const rotation = rotate(client, await makeCertificate(system));
    lost.ready(await lost.next('prepare'));
    await lost.next('activate');
    lost.vanish();
    const result = await rotation;
    if (!result.ok) throw new Error(result.refusal.message);
    expect(result.rotation.state).toBe(RotationState.ROTATION_STATE_INCOMPLETE);
    expect(
      result.rotation.outcomes.find(({ instance }) => instance === 'lost-after'),
    ).toMatchObject({ phase: 5 });
    await expectConverged(system, client);
  });

  test('one joins during the prepare: it takes part', async () => {
    const slow = guest('slow-again');
    await slow.join();
    const rotation = rotate(client, await makeCertificate(system));
    const slowPrepare = await slow.next('prepare');
    const joiner = guest('joiner');
    await joiner.join();
    joiner.ready(await joiner.next('prepare'));
    slow.ready(slowPrepare);
    for (const one of [slow, joiner]) one.swapped(slowPrepare, await one.next('activate'));
    const result = await rotation;
    if (!result.ok) throw new Error(result.refusal.message);
    expect(result.rotation.state).toBe(RotationState.ROTATION_STATE_VERIFIED);
    expect(result.rotation.outcomes.map(({ instance }) => instance)).toContain('joiner');
  });

  test('a service that is stopped says goodbye: a switch right after does not wait for it', async () => {
    await system.stop('pop');
    await fleetWhere(client, ({ subscribers }) =>
      subscribers.every(({ service }) => service !== 'pop'),
    );
    const result = await rotate(client, await makeCertificate(system), { prepareTimeoutMs: 1_000 });
    await system.start('pop');
    if (!result.ok) throw new Error(result.refusal.message);
    await expectConverged(system, client);
  });

  test('a service is killed in the middle and comes back: the fleet converges', async () => {
    const slow = guest('slow-killer');
    await slow.join();
    const rotation = rotate(client, await makeCertificate(system));
    const prepare = await slow.next('prepare');
    await system.kill('imap');
    await system.start('imap');
    slow.ready(prepare);
    slow.swapped(prepare, await slow.next('activate'));
    expect(await rotation).toMatchObject({
      ok: true,
      rotation: { state: RotationState.ROTATION_STATE_VERIFIED },
    });
    await expectConverged(system, client);
  });
});

/** A subscriber that rejects the next prepare, and vanishes with the registry. */
async function rejectNext(system: System): Promise<void> {
  const rejecting = new RawSubscriber(system, { service: 'pop', instance: 'rejecting' });
  await rejecting.join();
  void rejecting.next('prepare').then((prepare) => {
    rejecting.reject(prepare, 'unusable-material', 'for the test');
  });
  void rejecting.ended.then(() => rejecting.vanish());
}

describe('the registry is killed', () => {
  const committedFrom = SWITCH_STEPS.indexOf('committed');

  test.each(SWITCH_STEPS)(
    'at "%s": after restart the fleet converges on what is committed',
    async (step) => {
      const system = await layOutSystem({ CONCERT_REGISTRY_LEASE: '3s' });
      try {
        // the first start makes what the switch needs; the second dies where it is told to
        await system.start('cert-registry');
        const wanted = await system.concertJson<{ id: string; fingerprintSha256: string }>([
          'cert',
          'self-signed',
          'localhost',
        ]);
        await system.stop('cert-registry');
        const entry = new URL('./testing/registry-that-dies.ts', import.meta.url).pathname;
        const dying = await system.start(
          'cert-registry',
          { CONCERT_TEST_DIE_AT: step },
          undefined,
          entry,
        );
        await Promise.all((['smtp', 'pop', 'imap'] as const).map((name) => system.start(name)));
        const first = operatorClient(system);
        const before = await getFleet(first);
        if (step === 'aborting') await rejectNext(system);
        await rotate(first, wanted.id);
        first.close();
        for (let tries = 0; tries < 100 && dying.signalCode === null; tries += 1) await pause(50);
        expect(dying.signalCode).toBe('SIGKILL');
        // mail goes on meanwhile, with one certificate or the other, on every port
        const known = [before.activeCertificate?.fingerprintSha256, wanted.fingerprintSha256];
        for (const fingerprint of await served(allPorts(system))) {
          expect(known).toContain(fingerprint);
        }

        await system.start('cert-registry');
        const client = operatorClient(system);
        const generation = await expectConverged(system, client);
        const committed = step !== 'aborting' && SWITCH_STEPS.indexOf(step) >= committedFrom;
        expect(generation).toBe(committed ? before.generation + 1n : before.generation);
        // and the next switch works, under a number that was never used
        const next = await rotate(client, await makeCertificate(system));
        if (!next.ok) throw new Error(next.refusal.message);
        expect(next.rotation.toGeneration > generation).toBe(true);
        await expectConverged(system, client);
        client.close();
      } finally {
        await system.close();
      }
    },
  );
});

describe('a registry that is down when a service starts', () => {
  test('without a cache the ports stay closed until it comes; with one they serve what was last good', async () => {
    const system = await startSystem();
    try {
      const client = operatorClient(system);
      expect(await rotate(client, await makeCertificate(system))).toMatchObject({ ok: true });
      const { activeCertificate } = await getFleet(client);
      client.close();
      await system.stop('imap');
      await system.kill('cert-registry');

      // with the cache: in service, generation 2, no registry
      await system.start('imap');
      expect(await served([system.ports.imaps, system.ports.imap])).toEqual(
        new Set([activeCertificate?.fingerprintSha256]),
      );
      const session = await imapBusy(system, 'imaps', {
        user: system.user,
        password: system.password,
      });
      await session.work();

      // without one: a host that never heard the registry knows nothing
      await system.stop('pop');
      rmSync(join(system.data, 'cache', 'pop'), { recursive: true });
      const waiting = system.start('pop', {}, 'elsewhere');
      waiting.catch(() => {});
      await pause(4_000);
      await expect(handshake(system.ports.pop3s)).rejects.toThrow(/ECONNREFUSED/);

      // the registry comes back: everybody finds it, and a switch moves them all
      await system.start('cert-registry');
      await waiting;
      const again = operatorClient(system);
      const generation = await expectConverged(system, again);
      const result = await rotate(again, await makeCertificate(system), {
        // the old instance of pop stopped while nobody listened: it counts until its lease is out
        require: { policy: { $case: 'services', value: { services: ['imap', 'smtp'] } } },
        prepareTimeoutMs: 2_000,
      });
      if (!result.ok) throw new Error(result.refusal.message);
      expect(result.rotation.toGeneration).toBe(generation + 1n);
      await expectConverged(system, again);
      await session.work();
      await session.finish();
      again.close();
    } finally {
      await system.close();
    }
  });
});
