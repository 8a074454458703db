import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { KeyVault, loadVaultKey, openVault, VaultError } from './key-vault.ts';

const vault = new KeyVault(Buffer.alloc(32, 1));

describe('a sealed secret', () => {
  test('opens under its record and nowhere else', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.string(), fc.string(), (secret, record, other) => {
        fc.pre(record !== other);
        const sealed = vault.seal(record, secret);
        expect(vault.open(record, sealed)).toEqual(Buffer.from(secret));
        expect(() => vault.open(other, sealed)).toThrow(VaultError);
      }),
    );
  });

  test('does not open with any bit turned, nor cut short', () => {
    const sealed = vault.seal('a', 'secret');
    fc.assert(
      fc.property(fc.nat(sealed.length * 8 - 1), (bit) => {
        const damaged = Buffer.from(sealed);
        damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(() => vault.open('a', damaged)).toThrow(VaultError);
        expect(() => vault.open('a', sealed.subarray(0, bit >> 3))).toThrow(VaultError);
      }),
    );
  });

  test('looks different each time and does not show what it is', () => {
    const [first, second] = [vault.seal('a', 'PRIVATE KEY'), vault.seal('a', 'PRIVATE KEY')];
    expect(first).not.toEqual(second);
    expect(first.toString('latin1')).not.toContain('PRIVATE');
  });

  test('does not open with another key', () => {
    const other = new KeyVault(Buffer.alloc(32, 2));
    expect(() => other.open('a', vault.seal('a', 'x'))).toThrow(VaultError);
  });
});

describe('the vault key', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'vault-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test.each(['hex', 'base64'] as const)('comes from a setting as %s', (encoding) => {
    const key = randomBytes(32);
    const loaded = loadVaultKey(` ${key.toString(encoding)}\n`, join(folder, 'unused'), false);
    expect(loaded.key).toEqual(key);
    expect(loaded.source).toBe('CONCERT_REGISTRY_KEY');
  });

  test.each(['short', 'A'.repeat(44), 'ä'.repeat(43), `${'A'.repeat(20)} ${'A'.repeat(23)}`])(
    'is refused when it is "%s", which is not shown',
    (text) => {
      expect(() => loadVaultKey(text, join(folder, 'unused'), true)).toThrow(
        expect.objectContaining({
          code: 'bad-setting',
          message: expect.not.stringContaining(text),
        }),
      );
    },
  );

  test('is made once, for its owner alone', () => {
    const file = join(folder, 'vault.key');
    const made = loadVaultKey(undefined, file, true);
    expect(made).toMatchObject({ made: true, source: file });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const again = loadVaultKey('', file, false);
    expect(again).toEqual({ ...made, made: false });
    expect(readFileSync(file, 'utf8').trim()).toBe(made.key.toString('base64'));
  });

  test('is not made where secrets are sealed with another already', () => {
    expect(() => loadVaultKey(undefined, join(folder, 'gone'), false)).toThrow(
      expect.objectContaining({ code: 'bad-setting', message: expect.stringContaining('missing') }),
    );
  });

  test('is refused when the file holds none', () => {
    const file = join(folder, 'broken');
    writeFileSync(file, 'x');
    expect(() => loadVaultKey(undefined, file, true)).toThrow(
      expect.objectContaining({ code: 'bad-setting', message: expect.stringContaining(file) }),
    );
  });

  test.each([
    ['may be made anew while nothing is sealed', true, /is empty; delete it/],
    ['is to be put back once something is', false, /is empty; put it back from its copy/],
  ])('an empty file says so, and %s', (_, mayMake, message) => {
    const file = join(folder, 'empty');
    writeFileSync(file, '');
    expect(() => loadVaultKey(undefined, file, mayMake)).toThrow(
      expect.objectContaining({ code: 'bad-setting', message: expect.stringMatching(message) }),
    );
    expect(readFileSync(file, 'utf8')).toBe('');
  });

  test('is whole before it bears its name, and nothing else is left behind', () => {
    const home = mkdtempSync(join(folder, 'fresh-'));
    const file = join(home, 'vault.key');
    // what a start that was cut off leaves
    writeFileSync(`${file}.${process.pid}.new`, 'half of a k');
    expect(loadVaultKey(undefined, file, true)).toMatchObject({ made: true });
    expect(readdirSync(home)).toEqual(['vault.key']);
  });

  test('is told from another before anything is opened', () => {
    const secrets = new Map<string, Uint8Array>();
    const store = {
      secret: (name: string) => secrets.get(name),
      setSecret: (name: string, sealed: Uint8Array) => void secrets.set(name, sealed),
    };
    const [right, wrong] = [1, 2].map((fill) => ({
      key: Buffer.alloc(32, fill),
      source: `key ${fill}`,
      made: false,
    }));
    if (right === undefined || wrong === undefined) throw new Error('no keys');
    openVault(right, store);
    openVault(right, store);
    expect(() => openVault(wrong, store)).toThrow(
      expect.objectContaining({ code: 'bad-setting', message: expect.stringContaining('key 2') }),
    );
  });
});
