/**
 * The suite in containers with an ACME CA beside it: the certificate comes by itself, and is served; and where
 * it does not come, a mail tells.
 */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ImapFlow } from 'imapflow';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { TestPki } from '../testing/pki.ts';
import { type ComposeSystem, PASSWORD, servedOn, startCompose, USER } from './compose-system.ts';

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
      CONCERT_NOTIFY_MAIL_TO: USER,
      CONCERT_NOTIFY_DELAY: '1s',
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
  const second = await status();
  expect(second.certificate?.spkiSha256).toBe(first.source.acme.nextSpkiSha256);
  expect(await servedOn(ports)).toEqual(new Set([second.certificate?.fingerprintSha256]));
});

test('a renewal that fails is told by a mail to an account of the suite itself', async () => {
  await system.compose('stop', '--timeout', '0', 'pebble');
  await expect(system.concert(['acme', 'renew', '--force'])).rejects.toThrow();
  const reader = new ImapFlow({
    host: 'localhost',
    port: system.ports.imaps.port,
    secure: true,
    auth: { user: USER, pass: PASSWORD },
    tls: { rejectUnauthorized: false, servername: 'localhost' },
    logger: false,
  });
  await reader.connect();
  await reader.mailboxOpen('INBOX');
  const mail = await vi.waitFor(
    async () => {
      await reader.noop();
      const [uid] = (await reader.search({ subject: 'acme' }, { uid: true })) || [];
      if (uid === undefined) throw new Error('no mail tells of it');
      return reader.fetchOne(String(uid), { source: true, envelope: true }, { uid: true });
    },
    // one that could not be sent before the account was there is tried again after 30 s
    { timeout: 60_000, interval: 500 },
  );
  await reader.logout();
  if (mail === false) throw new Error('the mail is gone');
  expect(mail.envelope?.subject).toMatch(/^\[Concert\] /);
  expect(mail.envelope?.from?.[0]?.address).toBe('concert@localhost');
  // from the registry, by TLS
  expect(String(mail.source)).toMatch(/^Received: from [^;]+ with ESMTPS/m);
  const warnings = await system.concert(['fleet']);
  expect(warnings).not.toContain('cannot be sent');
});
