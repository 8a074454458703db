/** Certificates by ACME on real processes, from a real CA: pebble. */
import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { namedIsMissing, startNamed } from '@mail/cert-registry/testing';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { handshake } from './testing/handshakes.ts';
import type { LoadOrder, LoadResult } from './testing/load-process.ts';
import { fleetWhere, getFleet, operatorClient } from './testing/operator.ts';
import {
  acmeSettings,
  hasPebble,
  type Pebble,
  type PebbleOptions,
  startPebble,
} from './testing/pebble.ts';
import { layOutSystem, type System, startSystem } from './testing/system.ts';

interface SourceView {
  readonly state: string;
  readonly detail: string;
  readonly certificateId: string;
  readonly failures: number;
  readonly nextActionAt: string | null;
  readonly acme: {
    readonly accountUrl: string;
    readonly challenge: string;
    readonly dnsNames: readonly string[];
    readonly renewAt: string | null;
    readonly renewAtFromCa: boolean;
    readonly nextSpkiSha256: string;
  };
}

interface CertificateView {
  readonly id: string;
  readonly state: string;
  readonly dnsNames: readonly string[];
  readonly spkiSha256: string;
  readonly fingerprintSha256: string;
  readonly issuer: string;
  readonly notBefore: string;
  readonly notAfter: string;
}

interface Status {
  readonly source: SourceView;
  readonly certificate: CertificateView | null;
}

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function pebbleWith(options: PebbleOptions = {}): Promise<Pebble> {
  const pebble = await startPebble(options);
  open.push(pebble);
  return pebble;
}

/** The registry by itself: what is not about ports needs no services. */
async function registryWith(settings: Record<string, string>): Promise<System> {
  const system = await layOutSystem(settings);
  open.push(system);
  await system.start('cert-registry');
  return system;
}

/** The order is over, and what it brought is active. */
const inForce = ({ source, certificate }: Status): boolean =>
  source.state === 'idle' && certificate?.state === 'active';

const status = (system: System): Promise<Status> => system.concertJson(['acme', 'status']);
const renew = (system: System, ...more: string[]): Promise<unknown> =>
  system.concertJson(['acme', 'renew', ...more]);

/** What the status is once it satisfies `wanted`. */
function statusWhere(system: System, wanted: (status: Status) => boolean): Promise<Status> {
  return vi.waitFor(
    async () => {
      const now = await status(system);
      if (!wanted(now)) throw new Error(`acme ${now.source.state}: ${now.source.detail}`);
      return now;
    },
    { timeout: 60_000, interval: 500 },
  );
}

/** The operator's hook for dns-01 as one would write it; it notes how it was called. */
function writeHook(system: System, pebble: Pebble): { path: string; calls: () => string } {
  const path = join(system.data, 'hook');
  const notes = join(system.data, 'hook.log');
  const script = `#!${process.execPath}
const [action, owner, text] = process.argv.slice(2);
const { appendFileSync } = require('node:fs');
const secrets = Object.keys(process.env).filter((name) => name.startsWith('CONCERT_'));
appendFileSync(${JSON.stringify(notes)}, [action, owner, text.length, secrets.length].join(' ') + '\\n');
const call = action === 'add' ? 'set-txt' : 'clear-txt';
fetch(${JSON.stringify(pebble.management)} + '/' + call, {
  method: 'POST',
  body: JSON.stringify({ host: owner + '.', value: text }),
}).then(({ ok }) => process.exit(ok ? 0 : 1));
`;
  writeFileSync(path, script, { mode: 0o755 });
  return { path, calls: () => readFileSync(notes, 'utf8') };
}

describe.skipIf(!hasPebble())('against pebble', () => {
  test('http-01: from the order to the proof on all ports, and again by hand', async () => {
    const pebble = await pebbleWith({ refusedNonces: 15 });
    const system = await startSystem(acmeSettings(pebble));
    open.push(system);
    // the first comes by itself
    const first = await statusWhere(system, inForce);
    expect(first.certificate).toMatchObject({ dnsNames: ['localhost'] });
    expect(first.certificate?.issuer).toMatch(/^CN=Pebble Intermediate CA/);
    expect(first.source).toMatchObject({ failures: 0 });
    expect(first.source.acme).toMatchObject({ challenge: 'http-01', dnsNames: ['localhost'] });
    expect(first.source.acme.accountUrl).toMatch(/^https:\/\/localhost:\d+\/my-account\//);

    const idle = await system.concert(['acme', 'renew']);
    expect(idle).toMatchObject({ code: 0 });
    expect((await status(system)).certificate?.id).toBe(first.certificate?.id);

    const forced = await system.concert(['acme', 'renew', '--force']);
    expect(forced).toMatchObject({ code: 0, stderr: '' });
    expect(forced.stdout).toMatch(/asks the CA to sign[\s\S]*3 of 3 subscribers verified/);

    const second = await status(system);
    expect(second.certificate?.id).not.toBe(first.certificate?.id);
    // the key that was told ahead
    expect(second.certificate?.spkiSha256).toBe(first.source.acme.nextSpkiSha256);
    for (const port of Object.values(system.ports)) {
      const { socket, fingerprint } = await handshake(port);
      socket.destroy();
      expect([port.name, fingerprint]).toEqual([port.name, second.certificate?.fingerprintSha256]);
    }
    expect(system.log('cert-registry')).not.toMatch(/PRIVATE KEY|"d":/);
  });

  test('certificates of seconds renew by themselves under load; no handshake fails', async () => {
    const pebble = await pebbleWith({ validitySeconds: 24 });
    const system = await startSystem(acmeSettings(pebble));
    open.push(system);
    const client = operatorClient(system);
    open.push({ close: async () => client.close() });
    const begun = await fleetWhere(client, ({ generation }) => generation >= 2n);
    const load = fork(new URL('./testing/load-process.ts', import.meta.url).pathname);
    load.send({ ports: Object.values(system.ports), perSecondAndPort: 5 } satisfies LoadOrder);
    await once(load, 'message');
    const seen = new Set<string>();
    await fleetWhere(
      client,
      ({ activeCertificate, generation }) => {
        const { fingerprintSha256 = '', notAfter } = activeCertificate ?? {};
        seen.add(fingerprintSha256);
        expect(notAfter?.getTime()).toBeGreaterThan(Date.now());
        return generation >= begun.generation + 2n;
      },
      90_000,
    );
    load.send('stop');
    const [loaded] = (await once(load, 'message')) as [LoadResult];
    expect(loaded.failures).toEqual([]);
    expect(loaded.samples.length).toBeGreaterThan(100);
    expect(
      new Set(loaded.samples.map(({ fingerprint }) => fingerprint)).size,
    ).toBeGreaterThanOrEqual(2);
    expect(seen.size).toBeGreaterThanOrEqual(3);
    expect((await status(system)).source.failures).toBe(0);
  });

  test('an external account: told what is missing, then bound', async () => {
    const hmacKey = randomBytes(32).toString('base64url');
    const pebble = await pebbleWith({ externalAccounts: { 'kid-1': hmacKey } });
    const system = await registryWith(acmeSettings(pebble));
    const refused = await statusWhere(system, ({ source }) => source.state === 'failed');
    expect(refused.source.detail).toMatch(
      /set CONCERT_ACME_EAB_KEY_ID and CONCERT_ACME_EAB_HMAC_KEY/,
    );
    await system.stop('cert-registry');

    const keyFile = join(system.data, 'eab.key');
    writeFileSync(keyFile, `${hmacKey}\n`);
    // other settings are worth a try at once
    const settings = { CONCERT_ACME_EAB_KEY_ID: 'kid-1', CONCERT_ACME_EAB_HMAC_KEY_FILE: keyFile };
    await system.start('cert-registry', settings);
    const bound = await statusWhere(system, inForce);
    expect(bound.source).toMatchObject({ failures: 0 });
    expect(system.log('cert-registry')).not.toContain(hmacKey);
  });

  test('a proof that the CA cannot see: nothing is switched, the next try is later, also after a restart', async () => {
    const pebble = await pebbleWith({ reusedAuthorizations: 0 });
    // nobody listens where the CA looks
    const system = await registryWith({
      ...acmeSettings(pebble),
      CONCERT_ACME_HTTP_LISTEN: '127.0.0.1:0',
    });
    const orders = (): number => new Set(pebble.log().match(/Added order "[^"]+"/g)).size;
    const failed = await statusWhere(system, ({ source }) => source.state === 'failed');
    expect(failed.source.detail).toMatch(/^the CA could not verify localhost: \w+: /);
    expect(failed.source).toMatchObject({ failures: 1, certificateId: '' });
    const wait = Date.parse(failed.source.nextActionAt ?? '') - Date.now();
    expect(wait).toBeGreaterThan(5_000);
    const client = operatorClient(system);
    open.push({ close: async () => client.close() });
    const fleet = await getFleet(client);
    expect(fleet.generation).toBe(1n);
    expect(fleet.warnings.join('\n')).toMatch(
      /the certificate source acme \(https:\S+\) failed: the CA could not verify/,
    );

    const before = orders();
    expect(before).toBeGreaterThan(0);
    await system.kill('cert-registry');
    await system.start('cert-registry');
    const again = await status(system);
    expect(again.source).toMatchObject({ state: 'failed', failures: 1 });
    expect(again.source.nextActionAt).toBe(failed.source.nextActionAt);
    expect(orders()).toBe(before);

    // an operator need not wait, and hears why
    const renewed = await system.concert(['acme', 'renew']);
    expect(renewed.code).not.toBe(0);
    expect(renewed.stderr).toMatch(/the CA could not verify localhost/);
    expect(orders()).toBe(before + 1);
  });

  test('dns-01 by a hook: a name and its wildcard, without our settings in its environment', async () => {
    const pebble = await pebbleWith();
    const system = await layOutSystem({
      ...acmeSettings(pebble),
      CONCERT_REGISTRY_NAMES: 'mail.acme.test',
      CONCERT_ACME_NAMES: 'acme.test *.acme.test',
      CONCERT_ACME_CHALLENGE: 'dns-01',
      CONCERT_ACME_DNS_WAIT: '0s',
      CONCERT_ACME_KEY: 'reuse',
    });
    open.push(system);
    const hook = writeHook(system, pebble);
    await system.start('cert-registry', { CONCERT_ACME_DNS_HOOK: hook.path });
    const first = await statusWhere(system, inForce);
    expect([...(first.certificate?.dnsNames ?? [])].sort()).toEqual(['*.acme.test', 'acme.test']);
    const called = hook.calls().trim().split('\n').sort();
    const [add, remove] = ['add', 'remove'].map(
      (action) => `${action} _acme-challenge.acme.test 43 0`,
    );
    expect(called).toEqual([add, add, remove, remove]);

    // the key stays, and its TLSA record with it
    expect(first.source.acme.nextSpkiSha256).toBe(first.certificate?.spkiSha256);
    await renew(system, '--force');
    const second = await status(system);
    expect(second.certificate?.id).not.toBe(first.certificate?.id);
    expect(second.certificate?.spkiSha256).toBe(first.certificate?.spkiSha256);
  });

  test.skipIf(namedIsMissing)('dns-01 by RFC 2136, signed by TSIG, at a real BIND', async () => {
    const [zone, keyName, algorithm] = ['acme.test', 'concert', 'hmac-sha256'] as const;
    const secret = randomBytes(32).toString('base64');
    const named = await startNamed({ zone, keyName, algorithm, secret });
    open.push({ close: () => named.stop() });
    const pebble = await pebbleWith({ dnsServer: `127.0.0.1:${named.port}` });
    const system = await registryWith({
      ...acmeSettings(pebble),
      CONCERT_REGISTRY_NAMES: 'mail.acme.test',
      CONCERT_ACME_CHALLENGE: 'dns-01',
      CONCERT_ACME_DNS_SERVER: `127.0.0.1:${named.port}`,
      CONCERT_ACME_DNS_ZONE: zone,
      CONCERT_ACME_DNS_TSIG_NAME: keyName,
      CONCERT_ACME_DNS_TSIG_KEY: secret,
      CONCERT_ACME_DNS_WAIT: '0s',
    });
    const got = await statusWhere(system, inForce);
    expect(got.certificate?.dnsNames).toEqual(['mail.acme.test']);
    expect(system.log('cert-registry')).not.toContain(secret);
  });

  test('other names: another certificate at once, under the key that was told', async () => {
    const pebble = await pebbleWith();
    const system = await registryWith({
      ...acmeSettings(pebble),
      CONCERT_REGISTRY_NAMES: 'mail.acme.test',
    });
    const first = await statusWhere(system, inForce);
    await system.concertJson(['names', 'set', 'mail.acme.test', 'imap.acme.test', '--force']);
    const second = await statusWhere(
      system,
      ({ certificate }) =>
        certificate?.state === 'active' && certificate.id !== first.certificate?.id,
    );
    expect([...(second.certificate?.dnsNames ?? [])].sort()).toEqual([
      'imap.acme.test',
      'mail.acme.test',
    ]);
    expect(second.certificate?.spkiSha256).toBe(first.source.acme.nextSpkiSha256);
  });

  test('a CA that has forgotten the account gets it again', async () => {
    const pebble = await pebbleWith();
    const system = await registryWith(acmeSettings(pebble));
    const first = await statusWhere(system, inForce);
    await pebble.restart();
    await renew(system, '--force');
    const second = await status(system);
    expect(second.certificate?.id).not.toBe(first.certificate?.id);
    expect(second.source).toMatchObject({ state: 'idle', failures: 0 });
  });

  test('killed in the middle of an order: it is gone on with', async () => {
    const pebble = await pebbleWith({ reusedAuthorizations: 0 });
    const system = await layOutSystem({
      ...acmeSettings(pebble),
      CONCERT_ACME_CHALLENGE: 'dns-01',
      CONCERT_ACME_DNS_WAIT: '0s',
    });
    open.push(system);
    const stuck = join(system.data, 'stuck');
    writeFileSync(
      stuck,
      `#!${process.execPath}\nconst parent = process.ppid;\nsetInterval(() => process.ppid === parent || process.exit(), 100);\n`,
      { mode: 0o755 },
    );
    await system.start('cert-registry', { CONCERT_ACME_DNS_HOOK: stuck });
    await statusWhere(system, ({ source }) => source.detail.startsWith('puts the proof'));
    await system.kill('cert-registry');

    const hook = writeHook(system, pebble);
    await system.start('cert-registry', { CONCERT_ACME_DNS_HOOK: hook.path });
    // not by itself at once, whatever became of the attempt; an operator may
    const { source } = await status(system);
    expect(source.state).toBe('idle');
    expect(Date.parse(source.nextActionAt ?? '') - Date.now()).toBeGreaterThan(5_000);
    const renewed = await system.concert(['acme', 'renew']);
    expect(renewed).toMatchObject({ code: 0 });
    expect(renewed.stdout).toContain('goes on with the order that was begun before');
    expect((await status(system)).certificate?.state).toBe('active');
  });
});
