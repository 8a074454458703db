import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TlsaRecord, TlsaUse } from '@mail/proto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCommandLine } from '../program.ts';
import { type FakeRegistry, openFakeRegistry, writeIdentity } from '../testing/fake-registry.ts';

const OWNER = '_25._tcp.mail.example.org';
const SINCE = new Date('2026-11-24T11:42:16Z');
let folder: string;
let registry: FakeRegistry;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'concert-cli-'));
  registry = await openFakeRegistry();
  const identity = join(folder, 'identities/operator/admin');
  await writeIdentity(identity, registry.ca, 'spiffe://concert/operator/admin');
});
afterAll(async () => {
  registry.close();
  await rm(folder, { recursive: true });
});

async function dane(...flags: string[]): Promise<string> {
  let out = '';
  const terminal = {
    colour: false,
    outputIsTerminal: false,
    out: (text: string) => {
      out += text;
    },
    err: () => {},
    now: () => SINCE,
    sayIfInterrupted: () => {},
    interactive: false,
    readSecretLine: async () => '',
    askHidden: async () => '',
    confirm: async () => false,
  };
  const code = await runCommandLine(
    ['dane', ...flags, '--registry', registry.address],
    terminal,
    () => ({}),
    folder,
  );
  expect(code).toBe(0);
  return out;
}

const record = (changes: Partial<TlsaRecord>): TlsaRecord =>
  TlsaRecord.create({ owner: OWNER, checkedAt: SINCE, ...changes });
const key = (digit: string) => digit.repeat(64);

test('a table, and the lines of what is to be published', async () => {
  const visible = { visibleSince: SINCE, ttlSeconds: 600 };
  registry.answer('listTlsaRecords', {
    records: [
      record({
        spkiSha256: key('a'),
        use: TlsaUse.TLSA_USE_ACTIVE,
        certificateId: '3f2a9c01',
        settled: true,
        ...visible,
      }),
      record({ spkiSha256: key('b'), use: TlsaUse.TLSA_USE_NEXT }),
      record({ spkiSha256: key('c'), use: TlsaUse.TLSA_USE_HELD, certificateId: '11112222' }),
      record({ spkiSha256: key('d'), use: TlsaUse.TLSA_USE_FOREIGN, ...visible }),
    ],
  });
  const text = await dane();
  expect(text).toMatch(/aaaaaaaaaaaaaaaa +active +3f2a9c01 +settled +2026-11-24 11:42:16Z +600 s/);
  expect(text).toMatch(/bbbbbbbbbbbbbbbb +next +not there/);
  expect(text).toContain(`To publish:\n${OWNER}. 600 IN TLSA 3 1 1 ${key('b')} ; next\n`);
  expect(text).toContain(
    `twice the TTL:\n${OWNER}. 600 IN TLSA 3 1 1 ${key('c')} ; held, certificate 11112222\n`,
  );
  expect(text).toContain(
    `the registry holds:\n${OWNER}. 600 IN TLSA 3 1 1 ${key('d')} ; foreign\n`,
  );
  expect(text).toContain('Warning: the resolver does not say that DNSSEC vouches');
  expect(JSON.parse(await dane('--json')).records).toMatchObject([
    { use: 'active', settled: true, visibleSince: SINCE.toISOString() },
    { use: 'next', visibleSince: null, line: `${OWNER}. 600 IN TLSA 3 1 1 ${key('b')}` },
    { use: 'held' },
    { use: 'foreign' },
  ]);
});

test('what is not known is said, and nothing about DNSSEC where nothing was seen', async () => {
  const problem = 'the DNS server did not answer';
  registry.answer('listTlsaRecords', {
    records: [record({ spkiSha256: key('a'), use: TlsaUse.TLSA_USE_ACTIVE, problem })],
  });
  const text = await dane();
  expect(text).toMatch(/active +unknown/);
  expect(text).toContain(`Warning: ${OWNER} could not be looked up: ${problem}`);
  expect(text).not.toContain('DNSSEC');
  expect(text).toContain(`${OWNER}. 3600 IN TLSA`);
});

test('switched off', async () => {
  registry.answer('listTlsaRecords', { records: [] });
  expect(await dane()).toContain('CONCERT_DANE_NAMES');
});
