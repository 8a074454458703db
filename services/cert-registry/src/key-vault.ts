/**
 * Secrets at rest: AES-256-GCM under the vault's key, one nonce per secret, and the record's own name as
 * additional data, so that a sealed value moved to another record does not open. Where the key comes
 * from is here as well; where sealed values lie is the database's.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { existsSync, linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { ServiceError } from '@mail/service';
import { syncFolder } from './sync-folder.ts';

const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const FORMAT = 1;
const KEY_FILE_MODE = 0o600;

export class VaultError extends Error {
  /** `cannot-open`: other key, other record, or damaged. */
  readonly code = 'cannot-open';

  constructor(record: string, options?: ErrorOptions) {
    super(`the secret of ${record} does not open with this vault key`, options);
    this.name = 'VaultError';
  }
}

export class KeyVault {
  readonly #key: Buffer;

  /** `key` is 32 bytes. */
  constructor(key: Buffer) {
    this.#key = key;
  }

  /** `record` names where the secret belongs, for example "certificate/3f…"; not secret. */
  seal(record: string, secret: Uint8Array | string): Buffer {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce);
    cipher.setAAD(Buffer.from(record));
    const sealed = [cipher.update(secret), cipher.final()];
    return Buffer.concat([Buffer.of(FORMAT), nonce, cipher.getAuthTag(), ...sealed]);
  }

  /** Throws VaultError. */
  open(record: string, sealed: Uint8Array): Buffer {
    try {
      if (sealed[0] !== FORMAT) throw new Error(`format ${sealed[0]} is not known`);
      const tagAt = 1 + NONCE_BYTES;
      const secretAt = tagAt + TAG_BYTES;
      const decipher = createDecipheriv('aes-256-gcm', this.#key, sealed.subarray(1, tagAt), {
        authTagLength: TAG_BYTES,
      });
      decipher.setAAD(Buffer.from(record));
      decipher.setAuthTag(sealed.subarray(tagAt, secretAt));
      return Buffer.concat([decipher.update(sealed.subarray(secretAt)), decipher.final()]);
    } catch (error) {
      throw new VaultError(record, { cause: error });
    }
  }
}

/** 32 bytes as hex or base64. Throws ServiceError (bad-setting) that names `source`, never the text. */
function parseVaultKey(text: string, source: string): Buffer {
  const trimmed = text.trim();
  const key = /^[0-9a-f]{64}$/i.test(trimmed)
    ? Buffer.from(trimmed, 'hex')
    : Buffer.from(trimmed, 'base64');
  if (key.length !== KEY_BYTES || !/^[\w+/=-]+$/.test(trimmed)) {
    throw new ServiceError(
      'bad-setting',
      `${source} wants 32 bytes as base64 or hex; make one with: openssl rand -base64 32`,
    );
  }
  return key;
}

export interface VaultKey {
  readonly key: Buffer;
  /** For the log: where it came from. */
  readonly source: string;
  /** True when it was made just now: the operator should put a copy in a safe place. */
  readonly made: boolean;
}

/**
 * The vault's key from the setting, else from `file`. Where that is missing too it is made (0600) if
 * `mayMake`, which is so only while nothing has been sealed. Throws ServiceError (bad-setting).
 */
export function loadVaultKey(
  setting: string | undefined,
  file: string,
  mayMake: boolean,
): VaultKey {
  if (setting !== undefined && setting !== '') {
    const source = 'CONCERT_REGISTRY_KEY';
    return { key: parseVaultKey(setting, source), source, made: false };
  }
  try {
    const made = !existsSync(file);
    if (made && !mayMake) {
      throw new ServiceError(
        'bad-setting',
        `the vault key ${file} is missing; put it back from its copy or set CONCERT_REGISTRY_KEY`,
      );
    }
    if (made) {
      writeOnce(file, `${randomBytes(KEY_BYTES).toString('base64')}\n`);
    }
    const text = readFileSync(file, 'utf8');
    if (text.trim() === '') {
      throw new ServiceError(
        'bad-setting',
        `the vault key ${file} is empty; ${mayMake ? 'delete it, and another is made' : 'put it back from its copy or set CONCERT_REGISTRY_KEY'}`,
      );
    }
    return { key: parseVaultKey(text, file), source: file, made };
  } catch (error) {
    if (error instanceof ServiceError) throw error;
    throw new ServiceError('bad-setting', `the vault key ${file} can neither be read nor made`, {
      cause: error,
    });
  }
}

/**
 * Makes a file that must not be there yet, whole and durable when this returns: secrets are sealed with
 * it next, and a power cut must not leave them without it.
 */
function writeOnce(file: string, text: string): void {
  const draft = `${file}.${process.pid}.new`;
  rmSync(draft, { force: true });
  try {
    writeFileSync(draft, text, { mode: KEY_FILE_MODE, flag: 'wx', flush: true });
    linkSync(draft, file);
  } finally {
    rmSync(draft, { force: true });
  }
  syncFolder(dirname(file));
}

const CHECK_RECORD = 'vault-check';
const CHECK_TEXT = 'concert';

/** Where the check value lies; the database is one. */
export interface CheckStore {
  secret(name: string): Uint8Array | undefined;
  setSecret(name: string, sealed: Uint8Array): void;
}

/** Whether anything has been sealed for this store yet. */
export function isSealed(store: CheckStore): boolean {
  return store.secret(CHECK_RECORD) !== undefined;
}

/**
 * Opens the vault: with another key than the one that sealed the store it throws ServiceError
 * (bad-setting), before anything else is touched.
 */
export function openVault({ key, source }: VaultKey, store: CheckStore): KeyVault {
  const vault = new KeyVault(key);
  const sealed = store.secret(CHECK_RECORD);
  if (sealed === undefined) {
    store.setSecret(CHECK_RECORD, vault.seal(CHECK_RECORD, CHECK_TEXT));
    return vault;
  }
  try {
    vault.open(CHECK_RECORD, sealed);
    return vault;
  } catch (cause) {
    throw new ServiceError(
      'bad-setting',
      `the vault key from ${source} is not the one that this registry's secrets are sealed with; use that one`,
      { cause },
    );
  }
}
