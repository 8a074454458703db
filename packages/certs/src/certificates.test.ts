import { randomBytes, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { connect as connectTcp, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import {
  commonSettings,
  Health,
  METRICS,
  Metrics,
  parseSettings,
  silentLogger,
} from '@mail/service';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  type Certificates,
  type CertificatesOptions,
  openCertificates,
  openCertificatesFor,
} from './certificates.ts';
import { fingerprintOf } from './material.ts';
import type { DrainRequest } from './registry-stream.ts';
import type { ProbeTarget } from './self-probe.ts';
import { FakeRegistry } from './testing/fake-registry.ts';
import { makeTestMaterial } from './testing/self-signed.ts';

describe('openCertificates', () => {
  let registry: FakeRegistry;
  let folder: string;
  const opened: Certificates[] = [];
  const servers: Server[] = [];

  beforeEach(async () => {
    registry = await FakeRegistry.start();
    folder = await mkdtemp(join(tmpdir(), 'concert-certs-'));
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((certificates) => certificates.close()));
    for (const server of servers.splice(0)) server.close();
    await registry.close();
    await rm(folder, { recursive: true });
  });

  async function open(
    options: Partial<CertificatesOptions> = {},
  ): Promise<Certificates & { health: Health; metrics: Metrics }> {
    const service = options.service ?? 'imap';
    const health = new Health();
    const metrics = new Metrics();
    const certificates = await openCertificates({
      service,
      instance: 'a',
      registry: registry.address,
      identityDir: join(folder, 'identity'),
      cacheDir: join(folder, 'cache', service),
      cacheGraceMs: 50,
      version: 'test',
      logger: silentLogger(),
      health,
      metrics,
      ...options,
      ...(options.identityDir ? {} : { identityDir: await identityOf(service) }),
    });
    opened.push(certificates);
    return Object.assign(certificates, { health, metrics });
  }

  const identities = new Map<string, Promise<string>>();
  beforeEach(() => identities.clear());
  function identityOf(service: string): Promise<string> {
    const known = identities.get(service) ?? registry.identityFor(service);
    identities.set(service, known);
    return known;
  }

  /** A listener of the fleet, and how to probe it. */
  async function listen(certificates: Certificates): Promise<ProbeTarget> {
    const acceptor = certificates.acceptor(['imap']);
    const server = createServer((socket) => {
      acceptor.accept(socket).then(
        ({ socket: secured }) => secured.resume(),
        () => {},
      );
    });
    servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    const target = { listener: 'imaps', host: '127.0.0.1', port };
    certificates.setProbeTargets([target]);
    return target;
  }

  async function leafAt(target: ProbeTarget): Promise<string> {
    const client = connect({ port: target.port, rejectUnauthorized: false });
    await once(client, 'secureConnect');
    const leaf = client.getPeerX509Certificate();
    client.end();
    return leaf ? fingerprintOf(leaf) : '';
  }

  /** Resolves when `holds` does, at once or after a change. */
  function until(certificates: Certificates, holds: (state: Certificates['state']) => boolean) {
    return new Promise<void>((resolve) => {
      if (holds(certificates.state)) return resolve();
      const stop = certificates.observe((state) => {
        if (!holds(state)) return;
        stop();
        resolve();
      });
    });
  }

  it('serves what the registry has in force, and says so', async () => {
    const certificates = await open();
    expect(certificates.health.unmet['certificate']).toMatch(/no certificate yet/);
    await certificates.ready();
    const { fingerprintSha256 } = registry.material;
    expect(certificates.state).toEqual({
      generation: 1,
      fingerprintSha256,
      connected: true,
      stale: false,
      fenced: false,
    });
    expect(certificates.health.ready).toBe(true);
    expect(await leafAt(await listen(certificates))).toBe(fingerprintSha256);
    const exposed = await certificates.metrics.expose();
    expect(exposed).toMatch(/^concert_generation 1$/m);
    expect(exposed).toMatch(/^concert_subscriber_stale 0$/m);
    expect(exposed).toMatch(/^concert_registry_stream_up 1$/m);
    expect(exposed).toMatch(/^concert_identity_not_after_timestamp_seconds \d{10}/m);
    expect(exposed).toMatch(/^concert_certificate_not_before_timestamp_seconds \d{10}/m);
    expect(exposed).toMatch(/^concert_self_probe_ports\{result="match"\} 1$/m);
    expect(registry.subscribers).toMatchObject([
      { service: 'imap', instance: 'a', generation: 0n },
    ]);
  });

  it('switches with the fleet, and reports what its ports showed', async () => {
    const fleet = await Promise.all([
      open({ instance: 'a' }),
      open({ instance: 'b' }),
      open({ service: 'pop3' }),
    ]);
    await Promise.all(fleet.map((certificates) => certificates.ready()));
    const targets = await Promise.all(fleet.map(listen));
    await registry.connected(3);
    for (let generation = 2; generation <= 4; generation += 1) {
      const { ports, material } = await registry.rotate();
      const { fingerprintSha256 } = material;
      for (const shown of ports.values()) {
        expect(shown).toEqual([{ listener: 'imaps', fingerprintSha256, error: '' }]);
      }
      for (const certificates of fleet) {
        expect(certificates.state).toMatchObject({ generation, fingerprintSha256 });
      }
      for (const target of targets) expect(await leafAt(target)).toBe(fingerprintSha256);
    }
    // probing its own ports is no failed handshake
    for (const { metrics } of fleet) {
      const { values } = await metrics.counter(METRICS.handshakes).get();
      expect(values.find(({ value }) => value > 0)?.labels.resumed).toBe('no');
      expect((await metrics.counter(METRICS.handshakeFailures).get()).values).toEqual([]);
    }
  });

  it('rejects what it cannot use, and changes nothing', async () => {
    const certificates = await open();
    await certificates.ready();
    await registry.connected(1);
    const good = await makeTestMaterial({ generation: 2 });
    const { privateKeyPem } = await makeTestMaterial();
    const refusal = registry.rotateTo({ ...good, privateKeyPem });
    await expect(refusal).rejects.toThrow(/^unusable-material: the private key does not belong/);
    expect(certificates.state.generation).toBe(1);
    await registry.rotateTo(good);
    expect(certificates.state.generation).toBe(2);
  });

  it('comes back to a registry that went away, and takes what was committed meanwhile', async () => {
    const certificates = await open();
    await certificates.ready();
    registry.pause();
    await until(certificates, ({ connected }) => !connected);
    expect(certificates.state).toMatchObject({ generation: 1, stale: false });
    await registry.resume();
    await until(certificates, ({ connected }) => connected);
    await registry.connected(1);
    await registry.rotate();
    expect(certificates.state.generation).toBe(2);
  });

  it('starts from the cache when the registry is away, says that it may be stale, and is ready', async () => {
    const first = await open();
    await first.ready();
    await registry.connected(1);
    await registry.rotate();
    await first.close();
    registry.pause();
    const second = await open();
    await second.ready();
    expect(second.state).toMatchObject({ generation: 2, connected: false, stale: true });
    expect(second.health.unmet).toEqual({});
    expect(await second.metrics.expose()).toMatch(/^concert_subscriber_stale 1$/m);
    expect(await leafAt(await listen(second))).toBe(registry.material.fingerprintSha256);
    await registry.resume();
    await until(second, ({ stale }) => !stale);
  });

  it('starts from the cache also where the process has a name that nobody had before', async () => {
    const data = join(folder, 'data');
    const identity = await identityOf('imap');
    const openFor = async (instance: string) => {
      const settings = {
        CONCERT_DATA: data,
        CONCERT_IDENTITY: identity,
        CONCERT_INSTANCE: instance,
        CONCERT_REGISTRY: registry.address,
      };
      const certificates = await openCertificatesFor({
        service: 'imap',
        instance,
        settings,
        common: parseSettings(commonSettings, settings),
        logger: silentLogger(),
        metrics: new Metrics(),
        health: new Health(),
        clustered: false,
      });
      opened.push(certificates);
      return certificates;
    };
    await mkdir(join(data, 'cache'), { recursive: true });
    await writeFile(join(data, 'cache', 'imap-0a1b2c.material'), 'of a container that is gone');
    const siblings = await Promise.all(['3d4e5f-w1', '3d4e5f-w2'].map(openFor));
    await Promise.all(siblings.map((sibling) => sibling.ready()));
    await registry.connected(2);
    await registry.rotate();
    await Promise.all(siblings.map((sibling) => sibling.close()));
    expect(await readdir(join(data, 'cache'), { recursive: true })).toEqual([
      'imap',
      'imap/2.material',
    ]);
    registry.pause();
    const successor = await openFor('607182');
    await successor.ready();
    expect(successor.state).toMatchObject({ generation: 2, connected: false, stale: true });
    expect(await leafAt(await listen(successor))).toBe(registry.material.fingerprintSha256);
  });

  it('waits, ports closed, with neither registry nor cache', async () => {
    registry.pause();
    await mkdir(join(folder, 'broken'));
    await writeFile(join(folder, 'broken', '7.material'), 'no cache at all');
    const certificates = await open({ cacheDir: join(folder, 'broken') });
    const given = new AbortController();
    const ready = certificates.ready(given.signal);
    given.abort(new Error('no longer'));
    await expect(ready).rejects.toThrow('no longer');
    const other = certificates.ready();
    await certificates.close();
    await expect(other).rejects.toMatchObject({ code: 'closed' });
  });

  it('with fence, refuses new handshakes once the lease is out, and serves again after', async () => {
    await registry.close();
    registry = await FakeRegistry.start({ leaseMs: 200, heartbeatIntervalMs: 40 });
    const certificates = await open({ partitionPolicy: 'fence' });
    await certificates.ready();
    const target = await listen(certificates);
    registry.pause();
    await until(certificates, ({ fenced }) => fenced);
    expect(certificates.health.unmet['certificate']).toMatch(/refused/);
    const tcp = connectTcp(target.port, '127.0.0.1');
    const client = connect({ socket: tcp, rejectUnauthorized: false });
    client.on('error', () => {});
    await new Promise((resolve) => client.once('close', resolve));
    expect(client.getPeerX509Certificate()).toBeUndefined();
    await registry.resume();
    await until(certificates, ({ fenced }) => !fenced);
    expect(await leafAt(target)).toBe(registry.material.fingerprintSha256);
  });

  it('with fence, does not open ports on cached material alone', async () => {
    const first = await open({ partitionPolicy: 'fence' });
    await first.ready();
    await registry.connected(1);
    await registry.rotate();
    await first.close();
    registry.pause();
    const second = await open({ partitionPolicy: 'fence' });
    expect(() => second.current.get()).toThrow(expect.objectContaining({ code: 'fenced' }));
    const ready = second.ready();
    await registry.resume();
    await ready;
    expect(second.current.get().generation).toBe(2);
  });

  it('passes on that older connections are to end', async () => {
    const certificates = await open();
    await certificates.ready();
    await registry.connected(1);
    const drained = new Promise<DrainRequest>((resolve) => certificates.onDrain(resolve));
    await registry.rotate();
    registry.drain(750);
    expect(await drained).toEqual({ belowGeneration: 2, graceMs: 750 });
  });

  it('comes back under a new identity, and can still read its cache with it', async () => {
    const identityDir = await identityOf('imap');
    const certificates = await open();
    await certificates.ready();
    await registry.connected(1);
    await registry.replaceIdentity('imap');
    await certificates.checkIdentity();
    await until(certificates, ({ connected }) => !connected);
    await until(certificates, ({ connected }) => connected);
    await certificates.close();
    registry.pause();
    const again = await open({ identityDir });
    await again.ready();
    expect(again.state.generation).toBe(1);
  });

  it('can read its cache after a sibling has renewed the identity while it was away', async () => {
    const identityDir = await identityOf('imap');
    const first = await open();
    await first.ready();
    await first.close();
    await registry.replaceIdentity('imap');
    registry.pause();
    const again = await open({ identityDir });
    await again.ready();
    expect(again.state.generation).toBe(1);
  });

  describe('with a certificate that has expired', () => {
    const ended = new Date(Date.now() - 91 * 86_400_000);
    const logger = silentLogger();
    const warn = vi.spyOn(logger, 'warn');
    beforeEach(() => warn.mockClear());
    const complaints = () =>
      warn.mock.calls.filter(([, text]) => /has expired/.test(String(text))).length;

    /** As if the active certificate had run out: the registry has it in force at its next start. */
    async function expire(): Promise<void> {
      await registry.close();
      const material = await makeTestMaterial({ madeAt: ended });
      registry = await FakeRegistry.start({ material });
      identities.clear();
    }

    it('serves it as long as it is the one in force, from the registry and the cache', async () => {
      await expire();
      const first = await open({ logger });
      await first.ready();
      const { fingerprintSha256 } = registry.material;
      expect(await leafAt(await listen(first))).toBe(fingerprintSha256);
      expect(complaints()).toBe(1);
      await first.close();
      registry.pause();
      const second = await open({ logger });
      await second.ready();
      expect(second.state).toMatchObject({ generation: 1, fingerprintSha256 });
      expect(complaints()).toBe(2);
    });

    it('takes a new ticket seed for it, and no other that has ended', async () => {
      await expire();
      const certificates = await open({ logger });
      await certificates.ready();
      await registry.connected(1);
      const { material } = registry;
      await registry.rotateTo({ ...material, generation: 2n, ticketSeed: randomBytes(32) });
      expect(certificates.state.generation).toBe(2);
      const other = await makeTestMaterial({ generation: 3, madeAt: ended });
      await expect(registry.rotateTo(other)).rejects.toThrow(
        /^unusable-material: the certificate ended on /,
      );
      expect(certificates.state.generation).toBe(2);
    });
  });

  it('goes on whatever an observer throws', async () => {
    const logger = silentLogger();
    const error = vi.spyOn(logger, 'error');
    const certificates = await open({ logger });
    const target = await listen(certificates);
    const fail = () => {
      throw new Error('an observer');
    };
    certificates.observe(fail);
    certificates.onDrain(fail);
    await certificates.ready();
    await registry.connected(1);
    const { material } = await registry.rotate();
    registry.drain(0);
    expect(await leafAt(target)).toBe(material.fingerprintSha256);
    expect(error).toHaveBeenCalledWith(expect.anything(), expect.stringMatching(/observer/));
    expect((await registry.rotate()).ports.get('a')).toMatchObject([{ error: '' }]);
  });

  it('is never ready again once it is closed', async () => {
    const certificates = await open();
    await certificates.ready();
    await certificates.close();
    await expect(certificates.ready()).rejects.toMatchObject({ code: 'closed' });
  });

  it.each([
    ['warns when nobody names the ports', undefined, 1],
    ['takes it that there are none when that is said', [], 0],
  ])('%s', async (_, targets, warnings) => {
    const logger = silentLogger();
    const warn = vi.spyOn(logger, 'warn');
    const certificates = await open({ logger });
    await until(certificates, ({ connected }) => connected);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      await certificates.ready();
      if (targets !== undefined) certificates.setProbeTargets(targets);
      vi.advanceTimersByTime(10_000);
    } finally {
      vi.useRealTimers();
    }
    expect(warn).toHaveBeenCalledTimes(warnings);
  });

  it('does not take a peer for the registry that is another identity of the same CA', async () => {
    await registry.close();
    registry = await FakeRegistry.start({ uri: 'spiffe://concert/service/imap' });
    const logger = silentLogger();
    const why = new Promise((resolve) => {
      vi.spyOn(logger, 'warn').mockImplementation((entry: unknown) => resolve(entry));
    });
    const certificates = await open({ logger });
    expect(await why).toMatchObject({ why: expect.stringMatching(/does not prove that it is/) });
    expect(certificates.state.generation).toBe(0);
  });

  it('refuses to be another service than its identity says', async () => {
    const identityDir = await identityOf('pop3');
    await expect(open({ service: 'imap', identityDir })).rejects.toThrow(
      /is spiffe:\/\/concert\/service\/pop3, not spiffe:\/\/concert\/service\/imap/,
    );
    await expect(open({ identityDir: join(folder, 'nothing') })).rejects.toMatchObject({
      code: 'bad-identity',
    });
  });

  it('writes no key in the clear', async () => {
    const certificates = await open();
    await certificates.ready();
    await registry.connected(1);
    await registry.rotate();
    await certificates.close();
    const cached = await readFile(join(folder, 'cache', 'imap', '2.material'));
    expect(cached.includes('PRIVATE KEY')).toBe(false);
    expect(cached.includes(new X509Certificate(registry.material.chainPem).raw)).toBe(false);
  });
});
