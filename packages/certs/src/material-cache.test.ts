import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Material as MaterialMessage } from '@mail/proto';
import { silentLogger } from '@mail/service';
import fc from 'fast-check';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { MaterialCache, openSealedMaterial, sealMaterial } from './material-cache.ts';
import { makeTestMaterial } from './testing/self-signed.ts';

let material: MaterialMessage;
const key = randomBytes(32);
const otherKey = randomBytes(121);

beforeAll(async () => {
  material = await makeTestMaterial({ generation: 12 });
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

  it('is of no use under another secret or to another service', () => {
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

  const open = (secrets: [Uint8Array, ...Uint8Array[]] = [key]) =>
    new MaterialCache({ path, service: 'imap', secrets: async () => secrets, logger });

  it('has nothing at first, which is no reason to warn', async () => {
    expect(await open().read()).toBeUndefined();
    expect(warn).not.toHaveBeenCalled();
  });

  it('keeps what was written last, for its owner alone', async () => {
    const cache = open();
    const later = { ...material, generation: 13n };
    await Promise.all([cache.write(material), cache.write(later)]);
    expect(await open().read()).toEqual(later);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder, 'cache'))).mode & 0o777).toBe(0o700);
    expect(await readdir(join(folder, 'cache'))).toEqual(['imap-a.material']);
  });

  it('ignores a damaged or foreign file, and warns', async () => {
    await open().write(material);
    const whole = await readFile(path);
    for (const bytes of [whole.subarray(0, 50), Buffer.from('nonsense'), Buffer.alloc(0)]) {
      await writeFile(path, bytes);
      expect(await open().read()).toBeUndefined();
    }
    await writeFile(path, whole);
    expect(await open([otherKey]).read()).toBeUndefined();
    await writeFile(path, Buffer.alloc(2 * 1024 * 1024));
    expect(await open().read()).toBeUndefined();
    expect(warn).toHaveBeenCalledTimes(5);
  });

  it('reads what was sealed under any of its secrets, and seals under the first', async () => {
    await open([otherKey]).write(material);
    expect(await open([key, otherKey]).read()).toEqual(material);
    await open([key, otherKey]).write(material);
    expect(await open([key]).read()).toEqual(material);
    expect(warn).not.toHaveBeenCalled();
  });

  it('goes on without a cache where none can be written', async () => {
    await writeFile(join(folder, 'cache'), 'a file where the folder should be');
    await open().write(material);
    expect(await open().read()).toBeUndefined();
    expect(warn).toHaveBeenCalled();
  });
});
