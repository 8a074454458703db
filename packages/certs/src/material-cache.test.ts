import type { KeyObject } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Material as MaterialMessage } from '@mail/proto';
import { silentLogger } from '@mail/service';
import { generateKey } from '@mail/x509';
import fc from 'fast-check';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { MaterialCache, openSealedMaterial, sealMaterial } from './material-cache.ts';
import { makeTestMaterial } from './testing/self-signed.ts';

let material: MaterialMessage;
let key: KeyObject;
let otherKey: KeyObject;

beforeAll(async () => {
  material = await makeTestMaterial({ generation: 12 });
  key = await generateKey('ecdsa-p256');
  otherKey = await generateKey('ecdsa-p256');
});

describe('sealed material', () => {
  it('comes back as it was, and shows nothing of itself', () => {
    const sealed = sealMaterial(material, key, 'imap');
    expect(openSealedMaterial(sealed, key, 'imap')).toEqual(material);
    for (const secret of ['PRIVATE KEY', 'BEGIN', material.certificateId]) {
      expect(sealed.includes(secret)).toBe(false);
    }
    expect(sealed.includes(material.ticketSeed)).toBe(false);
    expect(sealMaterial(material, key, 'imap').equals(sealed)).toBe(false);
  });

  it('is of no use to another identity or another service', () => {
    const sealed = sealMaterial(material, key, 'imap');
    expect(() => openSealedMaterial(sealed, otherKey, 'imap')).toThrow();
    expect(() => openSealedMaterial(sealed, key, 'pop3')).toThrow();
  });

  it('is refused whole when any octet differs', () => {
    const sealed = sealMaterial(material, key, 'imap');
    fc.assert(
      fc.property(fc.nat(sealed.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
        const damaged = Buffer.from(sealed);
        damaged[at] = (damaged[at] ?? 0) ^ mask;
        expect(() => openSealedMaterial(damaged, key, 'imap')).toThrow();
      }),
      { numRuns: 300 },
    );
  });

  it('is refused cut short, lengthened, or made up', () => {
    const sealed = sealMaterial(material, key, 'imap');
    const cut = fc.nat(sealed.length - 1).map((length) => sealed.subarray(0, length));
    const longer = fc.uint8Array({ minLength: 1 }).map((more) => Buffer.concat([sealed, more]));
    const headed = fc.uint8Array().map((more) => Buffer.concat([sealed.subarray(0, 8), more]));
    fc.assert(
      fc.property(fc.oneof(cut, longer, headed, fc.uint8Array()), (bytes) => {
        expect(() => openSealedMaterial(bytes, key, 'imap')).toThrow(Error);
      }),
    );
  });
});

describe('MaterialCache', () => {
  let folder: string;
  let path: string;
  const logger = silentLogger();
  const warn = vi.spyOn(logger, 'warn');

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'concert-cache-'));
    path = join(folder, 'cache', 'imap-a.material');
    warn.mockClear();
  });
  afterEach(() => rm(folder, { recursive: true }));

  const open = () => new MaterialCache({ path, service: 'imap', logger });

  it('has nothing at first, which is no reason to warn', async () => {
    expect(await open().read(key)).toBeUndefined();
    expect(warn).not.toHaveBeenCalled();
  });

  it('keeps what was written last, for its owner alone', async () => {
    const cache = open();
    const later = { ...material, generation: 13n };
    await Promise.all([cache.write(material, key), cache.write(later, key)]);
    expect(await open().read(key)).toEqual(later);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder, 'cache'))).mode & 0o777).toBe(0o700);
    expect(await readdir(join(folder, 'cache'))).toEqual(['imap-a.material']);
  });

  it('ignores a damaged or foreign file, and warns', async () => {
    await open().write(material, key);
    const whole = await readFile(path);
    for (const bytes of [whole.subarray(0, 50), Buffer.from('nonsense'), Buffer.alloc(0)]) {
      await writeFile(path, bytes);
      expect(await open().read(key)).toBeUndefined();
    }
    await writeFile(path, whole);
    expect(await open().read(otherKey)).toBeUndefined();
    await writeFile(path, Buffer.alloc(2 * 1024 * 1024));
    expect(await open().read(key)).toBeUndefined();
    expect(warn).toHaveBeenCalledTimes(5);
  });

  it('goes on without a cache where none can be written', async () => {
    await writeFile(join(folder, 'cache'), 'a file where the folder should be');
    await open().write(material, key);
    expect(await open().read(key)).toBeUndefined();
    expect(warn).toHaveBeenCalled();
  });
});
