import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KeyType } from '@mail/proto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readConfig } from '../../config.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'acme-config-'));
  writeFileSync(join(folder, 'hook'), '#!/bin/sh\n', { mode: 0o755 });
  writeFileSync(join(folder, 'plain'), 'no program, no certificate', { mode: 0o644 });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const DIRECTORY = 'https://ca.example/directory';

/** Names are settings without "CONCERT_ACME_"; "DIR/" stands for the folder. */
function read(settings: Record<string, string>) {
  const entries = Object.entries(settings).map(([name, value]) => [
    `CONCERT_ACME_${name}`,
    value.replace('DIR/', `${folder}/`),
  ]);
  return readConfig({ CONCERT_ACME_DIRECTORY: DIRECTORY, ...Object.fromEntries(entries) }).acme;
}

const UPDATE = {
  CHALLENGE: 'dns-01',
  DNS_SERVER: 'ns1.example:5353',
  DNS_ZONE: 'Example.ORG',
  DNS_TSIG_NAME: 'concert',
  DNS_TSIG_KEY: 'c2VjcmV0LXNlY3JldA==',
};

test('off without a directory', () => {
  expect(readConfig({}).acme).toBeUndefined();
});

test('what is not set', () => {
  expect(read({})).toMatchObject({
    account: {
      directoryUrl: DIRECTORY,
      contact: [],
      termsAgreed: false,
      externalAccount: undefined,
    },
    names: [],
    challenge: { type: 'http-01', listen: { host: '127.0.0.1', port: 5002 } },
    keyType: KeyType.KEY_TYPE_ECDSA_P256,
    keyPolicy: 'fresh',
    policy: 'rotate',
  });
});

test('dns-01, both ways', () => {
  expect(read(UPDATE)?.challenge).toMatchObject({
    type: 'dns-01',
    writer: {
      update: {
        server: { host: 'ns1.example', port: 5353 },
        zone: 'example.org',
        key: { name: 'concert' },
      },
    },
    waitMs: 120_000,
  });
  expect(read({ CHALLENGE: 'dns-01', DNS_HOOK: 'DIR/hook', NAMES: '*.Example.org' })).toMatchObject(
    {
      names: ['*.example.org'],
      challenge: { writer: { hook: join(folder, 'hook') } },
    },
  );
});

test.each<[string, Record<string, string>, RegExp]>([
  [
    'a directory in the clear',
    { DIRECTORY: 'http://ca.example/' },
    /ACME_DIRECTORY: wants an https URL/,
  ],
  ['no URL', { DIRECTORY: 'letsencrypt' }, /ACME_DIRECTORY: wants an https URL/],
  ['no addresses', { CONTACT: 'admin' }, /wants mail addresses/],
  ['half an external account', { EAB_KEY_ID: 'x' }, /each wants the other/],
  ['a key that is none', { EAB_KEY_ID: 'x', EAB_HMAC_KEY: 'not base64!' }, /wants base64url/],
  [
    'a wildcard by http-01',
    { NAMES: '*.example.org' },
    /wildcards want CONCERT_ACME_CHALLENGE=dns-01/,
  ],
  ['no name', { NAMES: 'a..b' }, /ACME_NAMES/],
  [
    'dns-01 by nothing',
    { CHALLENGE: 'dns-01' },
    /wants either CONCERT_ACME_DNS_SERVER or CONCERT_ACME_DNS_HOOK/,
  ],
  ['dns-01 both ways', { ...UPDATE, DNS_HOOK: 'DIR/hook' }, /wants either/],
  [
    'a hook that cannot be run',
    { CHALLENGE: 'dns-01', DNS_HOOK: 'DIR/plain' },
    /wants the absolute path of a program/,
  ],
  [
    'a hook that is not absolute',
    { CHALLENGE: 'dns-01', DNS_HOOK: 'hook' },
    /wants the absolute path/,
  ],
  [
    'an update without a key',
    { CHALLENGE: 'dns-01', DNS_SERVER: 'ns1.example' },
    /DNS_SERVER: wants CONCERT_ACME_DNS_ZONE/,
  ],
  [
    'a TSIG key that is none',
    { ...UPDATE, DNS_TSIG_KEY: '%%' },
    /DNS_TSIG_KEY: a TSIG secret is base64/,
  ],
  ['a listener that is none', { HTTP_LISTEN: '5002' }, /CONCERT_ACME_HTTP_LISTEN wants host:port/],
  ['a CA file that is missing', { CA: 'DIR/missing' }, /CONCERT_ACME_CA: cannot read/],
  ['a CA file that is none', { CA: 'DIR/plain' }, /holds no certificate/],
  ['a window without one', { POLICY: 'window' }, /window wants CONCERT_MAINTENANCE_WINDOW/],
])('%s', (_, settings, message) => {
  expect(() => read(settings)).toThrow(message);
});
