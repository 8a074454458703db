import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { Certificate, CertificateState, Source, SourcePolicy, SourceState } from '@mail/proto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCommandLine } from '../program.ts';
import {
  type FakeRegistry,
  openFakeRegistry,
  refusal,
  writeIdentity,
} from '../testing/fake-registry.ts';

let folder: string;
let registry: FakeRegistry;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'concert-acme-'));
  registry = await openFakeRegistry();
  const identity = join(folder, 'identities/operator/admin');
  await writeIdentity(identity, registry.ca, 'spiffe://concert/operator/admin');
});
afterAll(async () => {
  registry.close();
  await rm(folder, { recursive: true });
});

async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ['', ''];
  const terminal = {
    out: (text: string) => {
      out += text;
    },
    err: (text: string) => {
      err += text;
    },
    interactive: false,
    outputIsTerminal: false,
    colour: false,
    now: () => new Date('2026-11-24T12:00:00Z'),
    sayIfInterrupted: () => {},
    readSecretLine: async () => '',
    askHidden: async () => '',
    confirm: async () => false,
  };
  const settings = { CONCERT_DATA: folder, CONCERT_REGISTRY: registry.address };
  const code = await runCommandLine(['acme', ...args], terminal, () => settings, '/nowhere');
  return { code, out, err };
}

const certificate = Certificate.fromPartial({
  id: '3f2a9c01',
  state: CertificateState.CERTIFICATE_STATE_ACTIVE,
  dnsNames: ['mail.example.test'],
  notAfter: new Date('2027-01-31T12:00:00Z'),
});
const SOURCE = Source.fromPartial({
  name: 'acme',
  policy: SourcePolicy.SOURCE_POLICY_ROTATE,
  state: SourceState.SOURCE_STATE_IDLE,
  detail: 'what it brought last is in force',
  location: 'https://ca.test/directory',
  certificateId: certificate.id,
  lastSuccessAt: new Date('2026-11-01T12:00:00Z'),
  nextActionAt: new Date('2027-01-01T12:00:00Z'),
  acme: {
    accountUrl: 'https://ca.test/account/1',
    challenge: 'http-01',
    dnsNames: ['mail.example.test', 'imap.example.test'],
    renewAt: new Date('2027-01-01T12:00:00Z'),
    renewAtFromCa: true,
    nextSpkiSha256: 'cd'.repeat(32),
  },
});

test('status tells all that is known', async () => {
  registry.answer('listSources', { sources: [SOURCE] });
  registry.answer('listCertificates', { certificates: [certificate] });
  const { code, out } = await run('status');
  expect(code).toBe(0);
  expect(out).toBe(`acme idle: what it brought last is in force.
directory     https://ca.test/directory
account       https://ca.test/account/1
names         mail.example.test, imap.example.test
challenge     http-01
policy        rotate
certificate   3f2a9c01 (active)
ends          2027-01-31 12:00:00Z, 68 days left
renews        2027-01-01 12:00:00Z, as the CA suggests
next key      ${'cd'.repeat(32)}
last success  2026-11-01 12:00:00Z
next          2027-01-01 12:00:00Z
`);
  expect(JSON.parse((await run('status', '--json')).out)).toMatchObject({
    source: { acme: { renewAt: '2027-01-01T12:00:00.000Z' } },
    certificate: { id: '3f2a9c01' },
  });
});

test('status of one that fails, in the words of the CA and nothing for the terminal', async () => {
  const failed = {
    state: SourceState.SOURCE_STATE_FAILED,
    detail: 'the CA says no\u001b[2J',
    failures: 3,
    certificateId: '',
  };
  registry.answer('listSources', {
    sources: [{ ...SOURCE, ...failed, lastFailureAt: new Date('2026-11-24T11:00:00Z') }],
  });
  registry.answer('listCertificates', { certificates: [] });
  const { out } = await run('status');
  expect(out).toContain('acme failed: the CA says no [2J.');
  expect(out).toContain('certificate   none yet');
  expect(out).toContain('last failure  2026-11-24 11:00:00Z, 3 in a row');
});

test('without ACME it says how to switch it on', async () => {
  registry.answer('listSources', { sources: [] });
  const { code, err } = await run('status');
  expect(code).not.toBe(0);
  expect(err).toContain('CONCERT_ACME_DIRECTORY');
});

test('renew tells each step, and asks for what it was told to', async () => {
  const working = {
    ...SOURCE,
    state: SourceState.SOURCE_STATE_WORKING,
    detail: 'asks the CA to sign',
  };
  registry.answer('runSource', [{ source: working }, { source: SOURCE }]);
  const { code, out } = await run('renew', '--force');
  expect(code).toBe(0);
  expect(out).toBe('acme asks the CA to sign\nacme idle: what it brought last is in force.\n');
  expect(registry.requests.at(-1)?.request).toEqual({ name: 'acme', force: true });
});

test('a rate limit is the CA’s word', async () => {
  registry.answer(
    'runSource',
    refusal({ code: status.RESOURCE_EXHAUSTED, message: 'ask again tomorrow' }),
  );
  const { code, err } = await run('renew');
  expect(code).not.toBe(0);
  expect(err).toContain('ask again tomorrow');
});
