import { beforeEach, expect, test } from 'vitest';
import type { RegistryDatabase } from '../../database.ts';
import type { KeyVault } from '../../key-vault.ts';
import { type AccountSettings, AcmeAccount } from './account.ts';
import type { AcmeConnection } from './connection.ts';
import { AcmeError } from './errors.ts';

const settings = new Map<string, string>();
const secrets = new Map<string, Uint8Array>();
const database = {
  setting: (name: string) => settings.get(name),
  setSetting: (name: string, value: string) => void settings.set(name, value),
  secret: (name: string) => secrets.get(name),
  setSecret: (name: string, sealed: Uint8Array) => void secrets.set(name, sealed),
} as unknown as RegistryDatabase;
/** Turns the octets round. */
const vault = {
  seal: (_: string, plain: Buffer | string) => Buffer.from(plain).reverse(),
  open: (_: string, sealed: Uint8Array) => Buffer.from(sealed).reverse(),
} as unknown as KeyVault;

const told: string[] = [];
let meta: object = {};
let location: string | undefined = 'https://ca.example/account/1';
const connection = {
  get directory() {
    return { meta };
  },
  useAccount: (url: string) => {
    if (url.startsWith('http:')) throw new AcmeError('bad-answer', 'a URL of this host');
    told.push(`use ${url}`);
  },
  newAccount: async (payload: object) => {
    told.push(`new ${JSON.stringify(payload)}`);
    return { location };
  },
  post: async (url: string, payload: object) => {
    told.push(`post ${url} ${JSON.stringify(payload)}`);
  },
} as unknown as AcmeConnection;

const usual: AccountSettings = {
  directoryUrl: 'https://ca.example/directory',
  contact: ['a@example.org'],
  termsAgreed: true,
  externalAccount: undefined,
};
const account = (change: Partial<AccountSettings> = {}) =>
  new AcmeAccount(database, vault, { ...usual, ...change });
const enter = async (change: Partial<AccountSettings> = {}): Promise<string[]> => {
  told.length = 0;
  await account(change).enter(connection);
  return [...told];
};
const made = [
  'new {"termsOfServiceAgreed":true,"contact":["mailto:a@example.org"]}',
  'use https://ca.example/account/1',
];

beforeEach(() => {
  settings.clear();
  secrets.clear();
  meta = {};
  location = 'https://ca.example/account/1';
});

test('made once, and used from then on', async () => {
  expect(account().url).toBe('');
  expect(await enter()).toEqual(made);
  expect(account().url).toBe('https://ca.example/account/1');
  expect(await enter()).toEqual(['use https://ca.example/account/1']);
});

test('one at a place that the CA may not name is not kept', async () => {
  location = 'http://127.0.0.1:9000/admin';
  await expect(enter()).rejects.toMatchObject({ code: 'bad-answer' });
  expect(account().url).toBe('');
});

test('other addresses are told to the CA, once', async () => {
  await enter();
  const contact = ['b@example.org'];
  expect(await enter({ contact })).toEqual([
    'use https://ca.example/account/1',
    'post https://ca.example/account/1 {"contact":["mailto:b@example.org"]}',
  ]);
  expect(await enter({ contact })).toEqual(['use https://ca.example/account/1']);
});

test('one that the server has forgotten is registered again, under the same key', async () => {
  const key = await account().key();
  await enter();
  account().forget();
  expect(account().url).toBe('');
  expect(await enter()).toEqual(made);
  expect(await account().key()).toBe(key);
});

test('each directory and each external account has its own, and the first is found again', async () => {
  const externalAccount = { keyId: 'k', hmacKey: 'secret' };
  const others = [{ directoryUrl: 'https://other.example/' }, { externalAccount }];
  const keys = new Set([await account().key()]);
  await enter();
  for (const other of others) {
    expect(await enter(other)).toEqual(made);
    keys.add(await account(other).key());
  }
  expect(keys.size).toBe(3);
  expect(await enter()).toEqual(['use https://ca.example/account/1']);
});

test('the key is kept sealed, and made once', async () => {
  const key = await account().key();
  expect(key).toMatch(/^-----BEGIN PRIVATE KEY-----/);
  expect(await account().key()).toBe(key);
  for (const sealed of secrets.values()) {
    expect(Buffer.from(sealed).toString()).not.toContain('PRIVATE KEY');
  }
});

test.each<[string, object, Partial<AccountSettings>, string]>([
  [
    'terms',
    { termsOfService: 'https://ca.example/terms' },
    { termsAgreed: false },
    'CONCERT_ACME_TERMS_AGREED=yes',
  ],
  ['an external account', { externalAccountRequired: true }, {}, 'CONCERT_ACME_EAB_KEY_ID'],
])('what the CA wants first is explained: %s', async (_, wants, change, words) => {
  meta = wants;
  await expect(enter(change)).rejects.toMatchObject({
    code: 'bad-setting',
    message: expect.stringContaining(words),
  });
  expect(told).toEqual([]);
});

test('an account without a place is none', async () => {
  location = undefined;
  await expect(enter()).rejects.toMatchObject({ code: 'bad-answer' });
  expect(account().url).toBe('');
});
