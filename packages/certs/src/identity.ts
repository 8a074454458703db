/**
 * A process's identity towards the registry: the folder with cert.pem, key.pem and ca.pem. Owns how it
 * is read, judged and replaced. Several processes may share one folder.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { access, constants, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describeCertificate } from '@mail/x509';
import { replaceFile } from './durable-file.ts';
import { CertsError } from './errors.ts';

export interface Identity {
  /** "spiffe://concert/service/imap" */
  readonly uri: string;
  readonly chainPem: string;
  readonly keyPem: string;
  readonly caPem: string;
  readonly certificate: X509Certificate;
  readonly privateKey: KeyObject;
}

/** A renewal that another process began and never finished is taken to be dead after this long. */
const LOCK_STALE_MS = 60_000;

const CERT = 'cert.pem';
const KEY = 'key.pem';
const CA = 'ca.pem';
/** A renewed certificate waits here until its key is in place. */
const NEXT_CERT = 'cert.pem.next';

/** Whether two readings are the same identity. */
export function isSameIdentity(one: Identity, other: Identity): boolean {
  return (
    one.caPem === other.caPem && one.certificate.fingerprint256 === other.certificate.fingerprint256
  );
}

/** Two thirds into the identity's life. */
export function renewalTime({ certificate }: Identity): Date {
  const from = certificate.validFromDate.getTime();
  return new Date(from + ((certificate.validToDate.getTime() - from) * 2) / 3);
}

/**
 * Reads the folder. Where a renewal was cut off between its two renames, the waiting certificate
 * belongs to the key and is taken.
 * @throws CertsError bad-identity
 */
export async function readIdentity(folder: string): Promise<Identity> {
  const [keyPem, caPem] = await Promise.all([readPart(folder, KEY), readPart(folder, CA)]);
  const privateKey = parse(folder, KEY, () => createPrivateKey(keyPem));
  parse(folder, CA, () => new X509Certificate(caPem));
  for (const name of [CERT, NEXT_CERT]) {
    const chainPem = await readPart(folder, name).catch((error) => {
      if (name === CERT) throw error;
      return undefined;
    });
    if (chainPem === undefined) break;
    const certificate = parse(folder, name, () => new X509Certificate(chainPem));
    if (!certificate.checkPrivateKey(privateKey)) continue;
    const [uri] = describeCertificate(certificate).uris;
    if (uri === undefined) throw new CertsError('bad-identity', `${name} in ${folder} has no URI`);
    return { uri, chainPem, keyPem, caPem, certificate, privateKey };
  }
  throw new CertsError('bad-identity', `${CERT} and ${KEY} in ${folder} do not belong together`);
}

async function readPart(folder: string, name: string): Promise<string> {
  try {
    return await readFile(join(folder, name), 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    throw new CertsError(
      'bad-identity',
      `cannot read the identity ${join(folder, name)}: ${code}`,
      {
        cause: error,
      },
    );
  }
}

function parse<T>(folder: string, name: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new CertsError('bad-identity', `${join(folder, name)} cannot be read as PEM`, {
      cause: error,
    });
  }
}

/** Whether this process may replace the identity; mounted secrets are replaced from outside. */
export async function isWritable(folder: string): Promise<boolean> {
  return access(folder, constants.W_OK).then(
    () => true,
    () => false,
  );
}

/**
 * Replaces certificate, key and CA so that a reader at any moment, also after a crash in between, finds
 * a pair that belongs together. Throws what the file system says.
 */
export async function writeIdentity(
  folder: string,
  parts: Pick<Identity, 'chainPem' | 'keyPem' | 'caPem'>,
): Promise<void> {
  await replaceFile(join(folder, CA), parts.caPem);
  await replaceFile(join(folder, NEXT_CERT), parts.chainPem);
  await replaceFile(join(folder, KEY), parts.keyPem);
  await rename(join(folder, NEXT_CERT), join(folder, CERT));
}

/**
 * Runs `renew` unless another process that shares the folder is at it; then resolves with false. Throws
 * what `renew` throws.
 */
export async function renewAlone(folder: string, renew: () => Promise<void>): Promise<boolean> {
  const lock = join(folder, 'renewal.lock');
  const held = await stat(lock).catch(() => undefined);
  if (held !== undefined && Date.now() - held.mtimeMs > LOCK_STALE_MS)
    await rm(lock, { force: true });
  const file = await open(lock, 'wx', 0o600).catch(() => undefined);
  if (file === undefined) return false;
  try {
    await renew();
    return true;
  } finally {
    await file.close();
    await rm(lock, { force: true });
  }
}
