import {
  cp,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@mail/service';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { readIdentity, renewAlone, renewalTime, writeIdentity } from './identity.ts';
import { IdentityKeeper } from './identity-keeper.ts';
import { FakeRegistry } from './testing/fake-registry.ts';

const DAY_MS = 86_400_000;

let registry: FakeRegistry;
let folder: string;

beforeAll(async () => {
  registry = await FakeRegistry.start();
});
afterAll(() => registry.close());
beforeEach(async () => {
  folder = await registry.identityFor('imap');
});

describe('readIdentity', () => {
  it('reads who we are', async () => {
    const identity = await readIdentity(folder);
    expect(identity.uri).toBe('spiffe://concert/service/imap');
    const life = identity.certificate.validToDate.getTime() - renewalTime(identity).getTime();
    expect(life / DAY_MS).toBeCloseTo(10, 0);
  });

  it.each([
    ['a missing file', () => rm(join(folder, 'key.pem')), /key\.pem: ENOENT/],
    ['a file that is no PEM', () => writeFile(join(folder, 'ca.pem'), 'x'), /ca\.pem/],
    [
      'a certificate of nobody',
      () => cp(join(folder, 'ca.pem'), join(folder, 'cert.pem')),
      /together/,
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
    const before = await readIdentity(folder);
    const other = await readIdentity(await registry.identityFor('pop3'));
    const scratch = await mkdtemp(join(tmpdir(), 'concert-identity-'));
    // the steps of writeIdentity, each of which replaces one file
    await cp(folder, scratch, { recursive: true });
    await writeFile(join(scratch, 'cert.pem.next'), other.chainPem);
    expect((await readIdentity(scratch)).uri).toBe(before.uri);
    await writeFile(join(scratch, 'key.pem'), other.keyPem);
    expect((await readIdentity(scratch)).uri).toBe(other.uri);
    await rename(join(scratch, 'cert.pem.next'), join(scratch, 'cert.pem'));
    expect((await readIdentity(scratch)).uri).toBe(other.uri);
    await rm(scratch, { recursive: true });
  });

  it('replaces everything, readable by the owner alone', async () => {
    const other = await readIdentity(await registry.identityFor('pop3'));
    await writeIdentity(folder, other);
    expect((await readIdentity(folder)).uri).toBe(other.uri);
    expect((await readdir(folder)).toSorted()).toEqual(['ca.pem', 'cert.pem', 'key.pem']);
    expect((await stat(join(folder, 'key.pem'))).mode & 0o777).toBe(0o600);
  });
});

describe('renewAlone', () => {
  it('lets one process at a time in, and forgets one that died', async () => {
    const inner = vi.fn(async () => {});
    expect(await renewAlone(folder, () => renewAlone(folder, inner).then(() => {}))).toBe(true);
    expect(inner).not.toHaveBeenCalled();
    const lock = join(folder, 'renewal.lock');
    await writeFile(lock, '');
    expect(await renewAlone(folder, inner)).toBe(false);
    await utimes(lock, new Date(0), new Date(0));
    expect(await renewAlone(folder, inner)).toBe(true);
  });
});

describe('IdentityKeeper', () => {
  let keeper: IdentityKeeper;
  const logger = silentLogger();
  const warn = vi.spyOn(logger, 'warn');
  const changes: string[] = [];

  beforeEach(async () => {
    warn.mockClear();
    changes.length = 0;
    keeper = await IdentityKeeper.open({ folder, registry: registry.address, logger });
    keeper.observe((identity) => changes.push(identity.certificate.fingerprint256));
  });
  afterEach(() => keeper.close());

  const inDays = (days: number) => new Date(Date.now() + days * DAY_MS);

  it('renews at two thirds of the life, under the same name and a fresh key', async () => {
    const { certificate, keyPem, uri } = keeper.identity;
    await keeper.check(inDays(19));
    expect(keeper.identity.certificate.fingerprint256).toBe(certificate.fingerprint256);
    await keeper.check(inDays(21));
    expect(warn).not.toHaveBeenCalled();
    expect(keeper.identity.uri).toBe(uri);
    expect(keeper.identity.keyPem).not.toBe(keyPem);
    expect(changes).toEqual([keeper.identity.certificate.fingerprint256]);
    expect((await readIdentity(folder)).keyPem).toBe(keeper.identity.keyPem);
    expect((await readdir(folder)).toSorted()).toEqual(['ca.pem', 'cert.pem', 'key.pem']);
  });

  it('takes what somebody else put there', async () => {
    await registry.replaceIdentity('imap');
    await keeper.check();
    expect(changes).toHaveLength(1);
    expect(keeper.identity.chainPem).toBe(await readFile(join(folder, 'cert.pem'), 'utf8'));
  });

  it('keeps what it has while the folder is broken or the registry away', async () => {
    const { chainPem } = keeper.identity;
    registry.pause();
    await keeper.check(inDays(21));
    await registry.resume();
    await writeFile(join(folder, 'cert.pem'), 'half of a certific');
    await keeper.check(inDays(21));
    expect(warn).toHaveBeenCalledTimes(2);
    expect(keeper.identity.chainPem).toBe(chainPem);
  });
});
