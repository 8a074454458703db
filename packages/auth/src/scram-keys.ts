/**
 * What SCRAM-SHA-256 (RFC 5802 §3, RFC 7677) is checked against: StoredKey and ServerKey of a password,
 * as text (RFC 5803 §2.1), and the salt that goes into them.
 *
 * An account's salt is made of its address and a secret of the store, whether or not there is such an
 * account: what a stranger is told never changes, not even with a password, and so tells nothing.
 */
import { createHash, createHmac, pbkdf2 } from 'node:crypto';
import { promisify } from 'node:util';
import { saslprep } from '@mongodb-js/saslprep';
import { AuthError } from './errors.ts';

export interface ScramKeys {
  readonly iterations: number;
  readonly salt: Buffer;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

/**
 * RFC 7677 §4 wants 4096 at least. Clients pay for them, at each connection; whoever steals the store pays
 * for them too, and finds no argon2 there. These are the most that Cyrus SASL computes (its scram.c), and
 * with it mbsync: some 20 ms of a desktop.
 */
export const SCRAM_ITERATIONS = 65_536;
const MIN_ITERATIONS = 4_096;
/** Of stored keys: clients refuse to be kept busy for ever. */
const MAX_ITERATIONS = 10_000_000;
const SALT_BYTES = 16;
const KEY_BYTES = 32;
/** SHA-256 in base64. */
const KEY = '([A-Za-z0-9+/]{43}=)';
const STORED = new RegExp(
  `^SCRAM-SHA-256\\$(\\d{4,8}):([A-Za-z0-9+/]{11,86}={0,2})\\$${KEY}:${KEY}$`,
);

const derive = promisify(pbkdf2);

export function hmac(key: Uint8Array, data: string | Uint8Array): Buffer {
  return createHmac('sha256', key).update(data).digest();
}

export function sha256(data: string | Uint8Array): Buffer {
  return createHash('sha256').update(data).digest();
}

/** Throws AuthError (bad-hash), which does not show them. */
export function parseScramKeys(text: string): ScramKeys {
  const [, iterations, salt = '', storedKey = '', serverKey = ''] = STORED.exec(text) ?? [];
  const keys = {
    iterations: Number(iterations),
    salt: Buffer.from(salt, 'base64'),
    storedKey: Buffer.from(storedKey, 'base64'),
    serverKey: Buffer.from(serverKey, 'base64'),
  };
  if (keys.iterations >= MIN_ITERATIONS && keys.iterations <= MAX_ITERATIONS) return keys;
  throw new AuthError('bad-hash', 'stored SCRAM keys are not what RFC 5803 says');
}

export function formatScramKeys({ iterations, salt, storedKey, serverKey }: ScramKeys): string {
  const [salted, stored, server] = [salt, storedKey, serverKey].map((octets) =>
    octets.toString('base64'),
  );
  return `SCRAM-SHA-256$${iterations}:${salted}$${stored}:${server}`;
}

/** `addressKey` is equal for all spellings of one address. */
export function scramSalt(saltSecret: Uint8Array, addressKey: string): Buffer {
  return hmac(saltSecret, `SCRAM salt of ${addressKey}`).subarray(0, SALT_BYTES);
}

/** Of an account that does not exist, or whose password nobody has told us yet: no proof fits them. */
export function unknownScramKeys(saltSecret: Uint8Array, addressKey: string): ScramKeys {
  return {
    iterations: SCRAM_ITERATIONS,
    salt: scramSalt(saltSecret, addressKey),
    storedKey: hmac(saltSecret, `SCRAM stored key of ${addressKey}`),
    serverKey: hmac(saltSecret, `SCRAM server key of ${addressKey}`),
  };
}

/**
 * Undefined for a password that SASLprep (RFC 4013) has no form for: it can't be used with SCRAM.
 * Code points younger than that RFC are taken as they are, for passwords have them and clients send them.
 */
export async function deriveScramKeys(
  password: string,
  salt: Buffer,
  iterations: number = SCRAM_ITERATIONS,
): Promise<ScramKeys | undefined> {
  let prepared: string;
  try {
    prepared = saslprep(password, { allowUnassigned: true });
  } catch {
    return undefined;
  }
  if (prepared === '') return undefined;
  const salted = await derive(Buffer.from(prepared, 'utf8'), salt, iterations, KEY_BYTES, 'sha256');
  return {
    iterations,
    salt,
    storedKey: sha256(hmac(salted, 'Client Key')),
    serverKey: hmac(salted, 'Server Key'),
  };
}
