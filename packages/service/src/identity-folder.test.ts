import { createPublicKey } from 'node:crypto';
import { cp, mkdtemp, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CertificateAuthority, createCa, generateKey, issueIdentity } from '@mail/x509';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  describeExpiry,
  folderSecret,
  type IdentityParts,
  readIdentity,
  withIdentityLock,
  writeIdentity,
} from './identity-folder.ts';

const hooks = vi.hoisted(() => ({ afterStat: undefined as (() => Promise<void>) | undefined }));
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>();
  const slowStat = async (path: string) => {
    const found = await real.stat(path);
    await hooks.afterStat?.();
    return found;
  };
  return { ...real, stat: slowStat };
});

let ca: CertificateAuthority;
let imap: IdentityParts;
let pop: IdentityParts;
let scratch: string;
let folder: string;

async function issue(uri: string): Promise<IdentityParts> {
  const key = await generateKey('ecdsa-p256');
  const publicKey = createPublicKey(key);
  const certificate = issueIdentity({ ca, publicKey, uri, days: 30, now: new Date() });
  return {
    chainPem: certificate.toString(),
    keyPem: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
    caPem: ca.certificate.toString(),
  };
}

beforeAll(async () => {
  ca = await createCa({ commonName: 'Test CA', days: 30, now: new Date() });
  imap = await issue('spiffe://concert/service/imap');
  pop = await issue('spiffe://concert/service/pop');
});
beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'concert-identity-'));
  folder = join(scratch, 'service', 'imap');
  await writeIdentity(folder, imap);
});
afterEach(() => rm(scratch, { recursive: true }));

describe('readIdentity', () => {
  it('reads who we are', async () => {
    expect(await readIdentity(folder)).toMatchObject({
      ...imap,
      uri: 'spiffe://concert/service/imap',
    });
  });

  it.each([
    ['a missing key', () => rm(join(folder, 'key.pem')), /key\.pem: ENOENT/],
    ['a missing certificate', () => rm(join(folder, 'cert.pem')), /cert\.pem: ENOENT/],
    ['a file that is no PEM', () => writeFile(join(folder, 'ca.pem'), 'x'), /ca\.pem/],
    [
      'a certificate of nobody',
      () => cp(join(folder, 'ca.pem'), join(folder, 'cert.pem')),
      /together/,
    ],
    [
      'a name that is none of ours',
      async () => writeIdentity(folder, await issue('spiffe://concert/root/x')),
      /names no identity/,
    ],
  ])('refuses %s, and names it', async (_, spoil, message) => {
    await spoil();
    const refusal = readIdentity(folder);
    await expect(refusal).rejects.toMatchObject({ code: 'bad-identity' });
    await expect(refusal).rejects.toThrow(message);
  });
});

describe('writeIdentity', () => {
  it('leaves a pair that belongs together wherever it is cut off', async () => {
    const cut = join(scratch, 'cut');
    // the steps of writeIdentity, each of which replaces one file
    await cp(folder, cut, { recursive: true });
    await writeFile(join(cut, 'cert.pem.next'), pop.chainPem);
    expect(await readIdentity(cut)).toMatchObject(imap);
    await writeFile(join(cut, 'key.pem'), pop.keyPem);
    expect(await readIdentity(cut)).toMatchObject(pop);
    // the same where there was no identity before
    await rm(join(cut, 'cert.pem'));
    expect(await readIdentity(cut)).toMatchObject(pop);
    await rename(join(cut, 'cert.pem.next'), join(cut, 'cert.pem'));
    expect(await readIdentity(cut)).toMatchObject(pop);
  });

  it('replaces everything, readable by the owner alone', async () => {
    await writeIdentity(folder, pop);
    expect(await readIdentity(folder)).toMatchObject(pop);
    expect((await readdir(folder)).toSorted()).toEqual(['ca.pem', 'cert.pem', 'key.pem']);
    expect((await stat(join(folder, 'key.pem'))).mode & 0o777).toBe(0o600);
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
  });
});

describe('withIdentityLock', () => {
  it('lets one process at a time in, and forgets one that died', async () => {
    const inner = vi.fn(async () => {});
    const outer = () => withIdentityLock(folder, inner).then(() => {});
    expect(await withIdentityLock(folder, outer)).toBe(true);
    expect(inner).not.toHaveBeenCalled();
    const lock = join(folder, 'renewal.lock');
    await writeFile(lock, '');
    expect(await withIdentityLock(folder, inner)).toBe(false);
    await utimes(lock, new Date(0), new Date(0));
    expect(await withIdentityLock(folder, inner)).toBe(true);
    expect((await readdir(folder)).toSorted()).toEqual(['ca.pem', 'cert.pem', 'key.pem']);
  });

  it('takes a dead one’s lock over once, also for who has looked before and acts late', async () => {
    const lock = join(folder, 'renewal.lock');
    await writeFile(lock, '');
    await utimes(lock, new Date(0), new Date(0));
    const looked = Promise.withResolvers<void>();
    const mayAct = Promise.withResolvers<void>();
    hooks.afterStat = async () => {
      hooks.afterStat = undefined;
      looked.resolve();
      await mayAct.promise;
    };
    const inner = vi.fn(async () => {});
    const late = withIdentityLock(folder, inner);
    await looked.promise;
    await withIdentityLock(folder, async () => {
      mayAct.resolve();
      expect(await late).toBe(false);
    });
    expect(inner).not.toHaveBeenCalled();
    expect((await readdir(folder)).toSorted()).toEqual(['ca.pem', 'cert.pem', 'key.pem']);
  });

  it('leaves a lock alone that is another’s by now', async () => {
    const lock = join(folder, 'renewal.lock');
    await withIdentityLock(folder, async () => {
      await rm(lock);
      await writeFile(lock, 'another');
    });
    expect(await readdir(folder)).toContain('renewal.lock');
  });
});

describe('folderSecret', () => {
  it('is made once, outlives the key, and is the same for all', async () => {
    const secrets = await Promise.all(Array.from({ length: 5 }, () => folderSecret(folder)));
    expect(secrets[0]).toHaveLength(32);
    for (const secret of secrets) expect(secret).toEqual(secrets[0]);
    await writeIdentity(folder, pop);
    expect(await folderSecret(folder)).toEqual(secrets[0]);
    expect((await stat(join(folder, 'cache.secret'))).mode & 0o777).toBe(0o600);
    expect(await readdir(folder)).toHaveLength(4);
  });

  it('is none where it cannot be made', async () => {
    await writeFile(join(scratch, 'file'), '');
    expect(await folderSecret(join(scratch, 'file'))).toBeUndefined();
    expect(await folderSecret(join(scratch, 'nowhere'))).toBeUndefined();
  });
});

it('tells of an expired identity when, whose, and what to run', async () => {
  const identity = await readIdentity(folder);
  expect(describeExpiry(identity, folder, new Date())).toBeUndefined();
  const ended = identity.certificate.validToDate;
  const told = describeExpiry(identity, folder, ended);
  expect(told?.message).toBe(
    `the identity spiffe://concert/service/imap in ${folder} expired on ${ended.toISOString()}`,
  );
  expect(told?.remedy).toContain(`concert identity issue service/imap --out ${folder} --replace`);
});
