import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Material as MaterialMessage } from '@mail/proto';
import { silentLogger } from '@mail/service';
import fc from 'fast-check';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  MaterialCache,
  openSealedMaterial,
  removeCachesByInstance,
  sealMaterial,
} from './material-cache.ts';
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
  let scratch: string;
  let folder: string;
  let path: string;
  const logger = silentLogger();
  const warn = vi.spyOn(logger, 'warn');

  beforeEach(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'concert-cache-'));
    folder = join(scratch, 'cache', 'imap');
    path = join(folder, '12.material');
    warn.mockClear();
  });
  afterEach(() => rm(scratch, { recursive: true }));

  /** As one process of the service has it. */
  const open = (secrets: [Uint8Array, ...Uint8Array[]] = [key]) =>
    new MaterialCache({ folder, service: 'imap', secrets: async () => secrets, logger });
  const at = (generation: bigint): MaterialMessage => ({ ...material, generation });

  it('has nothing at first, which is no reason to warn', async () => {
    expect(await open().read()).toBeUndefined();
    expect(warn).not.toHaveBeenCalled();
  });

  it('keeps what was written last, for its owner alone', async () => {
    const cache = open();
    await Promise.all([cache.write(material), cache.write(at(13n))]);
    expect(await open().read()).toEqual(at(13n));
    expect((await stat(join(folder, '13.material'))).mode & 0o777).toBe(0o600);
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
    expect(await readdir(folder)).toEqual(['13.material']);
  });

  it('never goes back: who is late with an older generation replaces no newer one', async () => {
    await open().write(at(100n));
    await open().write(at(99n));
    expect(await open().read()).toEqual(at(100n));
    await open().write(at(101n));
    expect(await readdir(folder)).toEqual(['101.material']);
  });

  it('is written by several processes at once and whole at any moment', async () => {
    await mkdir(folder, { recursive: true });
    const script = `
      import { MaterialCache, openSealedMaterial } from '${new URL('./material-cache.ts', import.meta.url)}';
      const [folder, key, sealed] = process.argv.slice(1);
      const secret = Buffer.from(key, 'hex');
      const material = openSealedMaterial(Buffer.from(sealed, 'hex'), secret, 'imap');
      const logger = { warn: (entry, text) => console.log(text, entry.error) };
      const cache = new MaterialCache({ folder, service: 'imap', secrets: async () => [secret], logger });
      for (let generation = 13n; generation <= 40n; generation += 1n) {
        await cache.write({ ...material, generation });
      }`;
    const sealed = sealMaterial(material, key, 'imap').toString('hex');
    const node = ['--input-type=module', '-e', script, folder, key.toString('hex'), sealed];
    const writers = [1, 2].map(() => spawn(process.execPath, node));
    let said = '';
    for (const { stdout, stderr } of writers) {
      for (const output of [stdout, stderr]) output.on('data', (text) => (said += text));
    }
    const ended = Promise.all(writers.map((writer) => once(writer, 'exit')));
    let running = true;
    void ended.then(() => {
      running = false;
    });
    let newest = 0n;
    const reader = open();
    while (running) {
      const { generation } = (await reader.read()) ?? { generation: newest };
      expect(generation).toBeGreaterThanOrEqual(newest);
      newest = generation;
    }
    expect(said).toBe('');
    expect(await ended).toEqual([
      [0, null],
      [0, null],
    ]);
    expect(await reader.read()).toEqual(at(40n));
    expect(warn).not.toHaveBeenCalled();
  });

  it('looks again where what it has found is replaced before it is opened', async () => {
    await open().write(at(12n));
    // passed over; meanwhile a sibling goes on from 12 to 13
    await writeFile(join(folder, '20.material'), 'nonsense');
    const secrets = async (): Promise<[Uint8Array]> => {
      await open().write(at(13n));
      return [key];
    };
    const reader = new MaterialCache({ folder, service: 'imap', secrets, logger });
    expect(await reader.read()).toEqual(at(13n));
  });

  it('clears away what a killed writer has left', async () => {
    await open().write(material);
    for (const name of ['11.material', '12.material.0a1b.new']) {
      await writeFile(join(folder, name), 'half');
    }
    await open().write(at(13n));
    expect(await readdir(folder)).toEqual(['13.material']);
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

  it('takes no file for another generation than it holds', async () => {
    await open().write(material);
    await writeFile(join(folder, '99.material'), await readFile(path));
    expect(await open().read()).toEqual(material);
    expect(warn).toHaveBeenCalledTimes(1);
  });

  it('reads what was sealed under any of its secrets, and seals under the first', async () => {
    await open([otherKey]).write(material);
    expect(await open([key, otherKey]).read()).toEqual(material);
    await open([key, otherKey]).write(material);
    expect(await open([key]).read()).toEqual(material);
    expect(warn).not.toHaveBeenCalled();
  });

  it('goes on without a cache where none can be written', async () => {
    await writeFile(join(scratch, 'cache'), 'a file where the folder should be');
    await open().write(material);
    expect(await open().read()).toBeUndefined();
    expect(warn).toHaveBeenCalled();
  });

  it('removes the files of instances, and nobody else’s', async () => {
    await open().write(material);
    const parent = join(scratch, 'cache');
    const names = ['imap-0a1b.material', 'imap-0a1b-w2.material', 'imap-0a1b.material.1.new'];
    for (const name of [...names, 'pop-0a1b.material', 'imap-notes.txt']) {
      await writeFile(join(parent, name), '');
    }
    await removeCachesByInstance(parent, 'imap');
    expect((await readdir(parent)).sort()).toEqual(['imap', 'imap-notes.txt', 'pop-0a1b.material']);
    expect(await readdir(folder)).toEqual(['12.material']);
    await removeCachesByInstance(join(scratch, 'nothing'), 'imap');
  });
});
