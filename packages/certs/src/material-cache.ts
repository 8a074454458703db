/**
 * The last-known-good material of a service, on disk, so that it can start while the registry is away.
 * Encrypted with AES-256-GCM under a key that is derived from a secret kept elsewhere: a copy of
 * the file alone is worth nothing. A file that is damaged, cut short or another's is ignored
 * with a warning and never ends the process.
 *
 * All processes of the service share the folder: replicas, workers, and those that come after them. A file
 * holds one generation and is named by it, so nobody ever writes over another generation, and who reads
 * takes the highest. No lock is needed, and none is left by a process that was killed.
 *
 * Layout: magic and version (8 octets), nonce (12), tag (16), ciphertext of a mail.certs.v1.Material.
 * The header and the service's name are authenticated with it.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Material as MaterialMessage } from '@mail/proto';
import { type Logger, makeFolder, replaceFile } from '@mail/service';

const HEADER = Buffer.from('CNCRTMC\x01', 'latin1');
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const PREFIX_BYTES = HEADER.length + NONCE_BYTES + TAG_BYTES;
/** A chain of dozens of certificates stays far below. */
const MAX_FILE_BYTES = 1024 * 1024;
/** "12.material", and what a writer that was killed has left beside it. A generation is 64 bits. */
const FILE_NAME = /^(\d{1,20})\.material(\..+)?$/;
/** Between listing and opening, siblings may have gone on to another generation. */
const MAX_LISTINGS = 3;

export interface MaterialCacheOptions {
  /** Of this service alone; made (0700) where it is missing. */
  readonly folder: string;
  /** Whose material it is; authenticated. */
  readonly service: string;
  /** What it may be sealed under now, asked at each use; the first is written with. */
  readonly secrets: () => Promise<readonly [Uint8Array, ...Uint8Array[]]>;
  readonly logger: Logger;
}

function deriveKey(secret: Uint8Array, service: string): Buffer {
  const info = `concert material cache ${service}`;
  return Buffer.from(hkdfSync('sha256', secret, '', info, 32));
}

/** Encrypts `material` for the holder of `secret`. */
export function sealMaterial(
  material: MaterialMessage,
  secret: Uint8Array,
  service: string,
): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', deriveKey(secret, service), nonce);
  cipher.setAAD(Buffer.concat([HEADER, Buffer.from(service)]));
  const plain = MaterialMessage.encode(material).finish();
  const body = Buffer.concat([cipher.update(plain), cipher.final()]);
  return Buffer.concat([HEADER, nonce, cipher.getAuthTag(), body]);
}

/**
 * Decrypts what sealMaterial made.
 * @throws Error, saying why, for anything else
 */
export function openSealedMaterial(
  sealed: Uint8Array,
  secret: Uint8Array,
  service: string,
): MaterialMessage {
  const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
  if (bytes.length < PREFIX_BYTES || !bytes.subarray(0, HEADER.length).equals(HEADER)) {
    throw new Error('it is no cached material of this version');
  }
  const nonce = bytes.subarray(HEADER.length, HEADER.length + NONCE_BYTES);
  const decipher = createDecipheriv('aes-256-gcm', deriveKey(secret, service), nonce, {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(Buffer.concat([HEADER, Buffer.from(service)]));
  decipher.setAuthTag(bytes.subarray(HEADER.length + NONCE_BYTES, PREFIX_BYTES));
  const plain = Buffer.concat([decipher.update(bytes.subarray(PREFIX_BYTES)), decipher.final()]);
  return MaterialMessage.decode(plain);
}

/** One folder. Never throws: what goes wrong is logged, and the service goes on without a cache. */
export class MaterialCache {
  readonly #options: MaterialCacheOptions;
  #lastWrite: Promise<void> = Promise.resolve();

  constructor(options: MaterialCacheOptions) {
    this.#options = options;
  }

  /** The material of the highest generation that can be read, or undefined. */
  async read(): Promise<MaterialMessage | undefined> {
    const { folder, logger } = this.#options;
    try {
      for (let listings = 0; listings < MAX_LISTINGS; listings += 1) {
        const generations = await this.#generations();
        const found = await this.#readFirst(generations);
        if (found !== 'gone') return found;
      }
    } catch (error) {
      logger.warn({ error, folder }, 'cached certificates cannot be read; going on without them');
    }
    return undefined;
  }

  /**
   * Keeps it in place of older generations, durably when this resolves. Writes follow each other in the
   * order of the calls.
   */
  write(material: MaterialMessage): Promise<void> {
    const { folder, service, secrets, logger } = this.#options;
    const { generation } = material;
    this.#lastWrite = this.#lastWrite.then(async () => {
      try {
        const [secret] = await secrets();
        makeFolder(folder);
        await replaceFile(this.#path(generation), sealMaterial(material, secret, service));
        await this.#removeBelow(generation);
      } catch (error) {
        if (isMissing(error) && (await this.#isBehind(generation))) return;
        logger.warn({ error, folder }, 'the certificate could not be cached');
      }
    });
    return this.#lastWrite;
  }

  /** "gone": what was there when it was listed has been replaced by something newer. */
  async #readFirst(generations: readonly bigint[]): Promise<MaterialMessage | undefined | 'gone'> {
    const { service, secrets, logger } = this.#options;
    for (const generation of generations) {
      const path = this.#path(generation);
      try {
        const material = openWithAny(await readBounded(path), await secrets(), service);
        if (material.generation === generation) return material;
        throw new Error(`it holds generation ${material.generation}`);
      } catch (error) {
        if (isMissing(error)) return 'gone';
        logger.warn({ error, path }, 'the cached certificate cannot be used; going on without it');
      }
    }
    return undefined;
  }

  /** Highest first. */
  async #generations(): Promise<bigint[]> {
    const names = await readdir(this.#options.folder).catch((error) => {
      if (isMissing(error)) return [];
      throw error;
    });
    return names
      .flatMap((name) => {
        const [, generation, rest] = FILE_NAME.exec(name) ?? [];
        return generation === undefined || rest !== undefined ? [] : [BigInt(generation)];
      })
      .sort((a, b) => (a < b ? 1 : -1));
  }

  /** A sibling that is further on has cleared away what was being written. */
  async #isBehind(generation: bigint): Promise<boolean> {
    const found = await this.#generations().catch(() => []);
    return found.some((other) => other > generation);
  }

  async #removeBelow(generation: bigint): Promise<void> {
    const { folder } = this.#options;
    for (const name of await readdir(folder)) {
      const [, found] = FILE_NAME.exec(name) ?? [];
      if (found === undefined || BigInt(found) >= generation) continue;
      await rm(join(folder, name), { force: true });
    }
  }

  #path(generation: bigint): string {
    return join(this.#options.folder, `${generation}.material`);
  }
}

/**
 * Removes what the service cached when each of its processes had a file of its own, named by an instance
 * that may never come again. Throws what the file system says.
 */
export async function removeCachesByInstance(parent: string, service: string): Promise<void> {
  const names = await readdir(parent).catch(() => []);
  for (const name of names) {
    if (name.startsWith(`${service}-`) && /\.material(\..+)?$/.test(name)) {
      await rm(join(parent, name), { force: true });
    }
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

function openWithAny(
  sealed: Buffer,
  [secret, ...others]: readonly [Uint8Array, ...Uint8Array[]],
  service: string,
): MaterialMessage {
  try {
    return openSealedMaterial(sealed, secret, service);
  } catch (error) {
    const [next, ...rest] = others;
    if (next === undefined) throw error;
    return openWithAny(sealed, [next, ...rest], service);
  }
}

async function readBounded(path: string): Promise<Buffer> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    if (size > MAX_FILE_BYTES) throw new Error('it is too large');
    return await file.readFile();
  } finally {
    await file.close();
  }
}
