/** The suite in containers with an ACME CA beside it: the certificate comes by itself, and is served. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { TestPki } from '../testing/pki.ts';
import { type ComposeSystem, servedOn, startCompose } from './compose-system.ts';

const NAME = 'mail.acme.test';

interface Status {
  readonly source: {
    readonly state: string;
    readonly detail: string;
    readonly acme: { readonly nextSpkiSha256: string };
  };
  readonly certificate: {
    readonly state: string;
    readonly dnsNames: readonly string[];
    readonly spkiSha256: string;
    readonly fingerprintSha256: string;
  } | null;
}

let folder: string;
let system: ComposeSystem;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'concert-pebble-'));
  // users in containers are others than ours
  chmodSync(folder, 0o755);
  const pki = await TestPki.make('Pebble');
  const { certificatePem, privateKeyPem } = await pki.issue({ names: ['pebble'] });
  const write = (name: string, text: string): void =>
    writeFileSync(join(folder, name), text, { mode: 0o644 });
  write('ca.pem', pki.rootPem);
  write('cert.pem', `${certificatePem}${pki.intermediatePem}`);
  write('key.pem', privateKeyPem);
  const pebble = {
    listenAddress: '0.0.0.0:14000',
    certificate: '/pebble/cert.pem',
    privateKey: '/pebble/key.pem',
    httpPort: 5002,
    tlsPort: 5001,
    ocspResponderURL: '',
    externalAccountBindingRequired: false,
  };
  write('pebble.json', JSON.stringify({ pebble }));
  system = await startCompose({
    files: ['deploy/compose/acme.yml', 'tests/containers/acme.yml'],
    settings: {
      TEST_PEBBLE: folder,
      CONCERT_PORT_HTTP: '0',
      CONCERT_REGISTRY_NAMES: NAME,
      CONCERT_ACME_DIRECTORY: 'https://pebble:14000/dir',
      CONCERT_ACME_CA: '/etc/concert/acme-ca.pem',
      CONCERT_ACME_TERMS_AGREED: 'yes',
    },
  });
});
afterAll(async () => {
  await system?.close();
  rmSync(folder, { recursive: true, force: true });
});

const status = (): Promise<Status> => system.concertJson(['acme', 'status']);

test('a certificate comes by itself, and every port shows it; another comes by hand', async () => {
  // the CA may come up after the registry: then the next try is the operator's
  const first = await vi.waitFor(
    async () => {
      const now = await status();
      if (now.source.state === 'failed') await system.concert(['acme', 'renew']);
      if (now.certificate?.state !== 'active') throw new Error(now.source.detail);
      return now;
    },
    { timeout: 60_000, interval: 1_000 },
  );
  expect(first.certificate?.dnsNames).toEqual([NAME]);
  const ports = Object.values(system.ports);
  expect(await servedOn(ports)).toEqual(new Set([first.certificate?.fingerprintSha256]));

  const began = performance.now();
  const said = await system.concert(['acme', 'renew', '--force']);
  const seconds = (performance.now() - began) / 1000;
  console.info(`in containers, from renew to verified: ${seconds.toFixed(1)} s`);
  expect(said).toContain('3 of 3 subscribers verified');
  expect(seconds).toBeLessThan(10);
  const second = await status();
  expect(second.certificate?.spkiSha256).toBe(first.source.acme.nextSpkiSha256);
  expect(await servedOn(ports)).toEqual(new Set([second.certificate?.fingerprintSha256]));
});
