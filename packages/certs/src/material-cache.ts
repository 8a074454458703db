/**
 * The last-known-good material of one process, on disk, so that a service can start while the registry
 * is away. Encrypted with AES-256-GCM under a key that is derived from a secret kept elsewhere: a copy of
 * the file alone is worth nothing. A file that is damaged, cut short or another's is ignored
 * with a warning and never ends the process.
 *
 * Layout: magic and version (8 octets), nonce (12), tag (16), ciphertext of a mail.certs.v1.Material.
 * The header and the service's name are authenticated with it.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Material as MaterialMessage } from '@mail/proto';
import { type Logger, makeFolder, replaceFile } from '@mail/service';

const HEADER = Buffer.from('CNCRTMC\x01', 'latin1');
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const PREFIX_BYTES = HEADER.length + NONCE_BYTES + TAG_BYTES;
/** A chain of dozens of certificates stays far below. */
const MAX_FILE_BYTES = 1024 * 1024;

export interface MaterialCacheOptions {
  readonly path: string;
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

/** One file. Never throws: what goes wrong is logged, and the service goes on without a cache. */
export class MaterialCache {
  readonly #options: MaterialCacheOptions;
  #lastWrite: Promise<void> = Promise.resolve();

  constructor(options: MaterialCacheOptions) {
    this.#options = options;
  }

  /** The material written last, or undefined. */
  async read(): Promise<MaterialMessage | undefined> {
    const { path, service, secrets, logger } = this.#options;
    try {
      const sealed = await readBounded(path);
      return openWithAny(sealed, await secrets(), service);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) {
        logger.warn({ error, path }, 'the cached certificate cannot be used; going on without it');
      }
      return undefined;
    }
  }

  /** Replaces it, durably when this resolves. Writes follow each other in the order of the calls. */
  write(material: MaterialMessage): Promise<void> {
    const { path, service, secrets, logger } = this.#options;
    this.#lastWrite = this.#lastWrite.then(async () => {
      try {
        const [secret] = await secrets();
        makeFolder(dirname(path));
        await replaceFile(path, sealMaterial(material, secret, service));
      } catch (error) {
        logger.warn({ error, path }, 'the certificate could not be cached');
      }
    });
    return this.#lastWrite;
  }
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
