/**
 * The folder that holds one identity towards the internal network: cert.pem, key.pem and ca.pem. Owns how
 * it is read, replaced and locked, for everybody: the registry that makes identities, the services that
 * renew theirs, the command that has them issued. Several processes may share a folder. When an identity
 * is due for another is its holder's to say.
 */
import { createPrivateKey, type KeyObject, randomBytes, X509Certificate } from 'node:crypto';
import { access, constants, link, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile, syncFolder } from './durable-file.ts';
import { ServiceError } from './errors.ts';
import { identityFromAltName } from './identity-name.ts';
import { makeFolder } from './make-folder.ts';

/** The texts of an identity: PEM each, the key as PKCS#8. */
export interface IdentityParts {
  readonly chainPem: string;
  readonly keyPem: string;
  readonly caPem: string;
}

export interface Identity extends IdentityParts {
  /** "spiffe://concert/service/imap" */
  readonly uri: string;
  readonly certificate: X509Certificate;
  readonly privateKey: KeyObject;
}

/** Whoever holds the lock works for seconds; one who has held it this long is taken to be dead. */
const LOCK_STALE_MS = 60_000;

const CERT = 'cert.pem';
const KEY = 'key.pem';
const CA = 'ca.pem';
/** A new certificate waits here until its key is in place. */
const NEXT_CERT = 'cert.pem.next';
const LOCK = 'renewal.lock';
const SECRET = 'cache.secret';
const SECRET_BYTES = 32;

/**
 * Reads the folder. Where a replacement was cut off between its two last renames, the waiting
 * certificate belongs to the key and is taken. Expired ones are read like any other.
 * @throws ServiceError bad-identity; its cause is the file system's error if that is why
 */
export async function readIdentity(folder: string): Promise<Identity> {
  const [keyPem, caPem] = await Promise.all([readPart(folder, KEY), readPart(folder, CA)]);
  const privateKey = parse(folder, KEY, () => createPrivateKey(keyPem));
  parse(folder, CA, () => new X509Certificate(caPem));
  const current = await readPart(folder, CERT).catch((error: unknown) => error);
  const next = await readPart(folder, NEXT_CERT).catch(() => undefined);
  for (const chainPem of [current, next]) {
    if (typeof chainPem !== 'string') continue;
    const certificate = parse(folder, CERT, () => new X509Certificate(chainPem));
    if (!certificate.checkPrivateKey(privateKey)) continue;
    const name = identityFromAltName(certificate.subjectAltName);
    if (name === undefined) {
      throw bad(`${join(folder, CERT)} names no identity of Concert`);
    }
    return { uri: name.uri, chainPem, keyPem, caPem, certificate, privateKey };
  }
  if (typeof current !== 'string') throw current;
  throw bad(`${CERT} and ${KEY} in ${folder} do not belong together`);
}

function bad(message: string, cause?: unknown): ServiceError {
  return new ServiceError('bad-identity', message, { cause });
}

async function readPart(folder: string, name: string): Promise<string> {
  const path = join(folder, name);
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    throw bad(`cannot read the identity ${path}: ${code}`, error);
  }
}

function parse<T>(folder: string, name: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw bad(`${join(folder, name)} cannot be read as PEM`, error);
  }
}

/** Whether two readings are the same identity. */
export function isSameIdentity(one: Identity, other: Identity): boolean {
  return (
    one.caPem === other.caPem && one.certificate.fingerprint256 === other.certificate.fingerprint256
  );
}

/** What to tell the operator of an identity that has ended by `now`; undefined for one that has not. */
export function describeExpiry(
  { uri, certificate }: Identity,
  folder: string,
  now: Date,
): { readonly message: string; readonly remedy: string } | undefined {
  const ended = certificate.validToDate;
  if (ended > now) return undefined;
  const name = uri.split('/').slice(-2).join('/');
  return {
    message: `the identity ${uri} in ${folder} expired on ${ended.toISOString()}`,
    remedy:
      'Restart the registry if it keeps this folder (CONCERT_REGISTRY_IDENTITIES), or run, as an ' +
      `operator: concert identity issue ${name} --out ${folder} --replace`,
  };
}

/** Whether this process may replace the identity; mounted secrets are replaced from outside. */
export async function isWritable(folder: string): Promise<boolean> {
  return access(folder, constants.W_OK).then(
    () => true,
    () => false,
  );
}

/**
 * Makes or replaces the identity, durably, so that a reader at any moment, also after a crash in between,
 * finds a pair that belongs together. Makes the folder (0700) where it is missing. Hold the lock where
 * others may write. Throws what the file system says.
 */
export async function writeIdentity(folder: string, parts: IdentityParts): Promise<void> {
  makeFolder(folder);
  await replaceFile(join(folder, CA), parts.caPem);
  await replaceFile(join(folder, NEXT_CERT), parts.chainPem);
  await replaceFile(join(folder, KEY), parts.keyPem);
  // last: whoever watches takes it as the sign
  await rename(join(folder, NEXT_CERT), join(folder, CERT));
  await syncFolder(folder);
}

/**
 * Runs `work` unless another process that shares the folder is at it; then resolves with false. Throws
 * what `work` throws, and what the file system says where no lock can be made.
 */
export async function withIdentityLock(
  folder: string,
  work: () => Promise<void>,
): Promise<boolean> {
  makeFolder(folder);
  const lock = join(folder, LOCK);
  await removeStale(lock);
  let mine: Awaited<ReturnType<typeof open>>;
  try {
    mine = await open(lock, 'wx', 0o600);
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
  try {
    await work();
    return true;
  } finally {
    // taken for dead meanwhile, it would be somebody else's by now
    if ((await mine.stat()).nlink > 0) await rm(lock, { force: true });
    await mine.close();
  }
}

/**
 * Takes the lock of a dead holder away. Of several who find it stale only one can move it aside; who
 * comes late and has moved a fresh one, made since, puts it back.
 */
async function removeStale(lock: string): Promise<void> {
  if (!(await isStale(lock).catch(() => false))) return;
  const aside = `${lock}.${randomBytes(8).toString('hex')}`;
  try {
    await rename(lock, aside);
    if (!(await isStale(aside))) await link(aside, lock);
  } catch (error) {
    // gone, or there again: somebody else was faster
    if (!['ENOENT', 'EEXIST'].includes(codeOf(error))) throw error;
  } finally {
    await rm(aside, { force: true });
  }
}

async function isStale(lock: string): Promise<boolean> {
  return Date.now() - (await stat(lock)).mtimeMs > LOCK_STALE_MS;
}

/**
 * A secret of the folder that outlives each of its keys, so that what one process sealed under it opens
 * after another has renewed the identity. Made at the first call; undefined where it neither is there
 * nor can be made.
 */
export async function folderSecret(folder: string): Promise<Buffer | undefined> {
  const path = join(folder, SECRET);
  const found = await readSecret(path);
  if (found !== undefined) return found;
  const draft = `${path}.${randomBytes(8).toString('hex')}`;
  try {
    await replaceFile(draft, randomBytes(SECRET_BYTES));
    // whoever links first has made it
    await link(draft, path);
    await syncFolder(folder);
  } catch {
    // a folder that only others write, or another process was faster
  } finally {
    await rm(draft, { force: true }).catch(() => {});
  }
  return readSecret(path);
}

async function readSecret(path: string): Promise<Buffer | undefined> {
  const secret = await readFile(path).catch(() => undefined);
  return secret?.length === SECRET_BYTES ? secret : undefined;
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
