import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isWritable, readIdentity, silentLogger } from '@mail/service';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { IdentityKeeper, renewalTime } from './identity-keeper.ts';
import { FakeRegistry } from './testing/fake-registry.ts';

// root may write everywhere, so that a folder which can only be read has to be acted
vi.mock('@mail/service', async (original) => {
  const service = await original<typeof import('@mail/service')>();
  return { ...service, isWritable: vi.fn(service.isWritable) };
});

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

it('is due at two thirds of the life', async () => {
  const identity = await readIdentity(folder);
  const life = identity.certificate.validToDate.getTime() - renewalTime(identity).getTime();
  expect(life / DAY_MS).toBeCloseTo(10, 0);
});

describe('IdentityKeeper', () => {
  let keeper: IdentityKeeper;
  const logger = silentLogger();
  const warn = vi.spyOn(logger, 'warn');
  const error = vi.spyOn(logger, 'error');
  const changes: string[] = [];

  beforeEach(async () => {
    warn.mockClear();
    error.mockClear();
    changes.length = 0;
    keeper = await IdentityKeeper.open({ folder, registry: registry.address, logger });
    keeper.observe((identity) => changes.push(identity.certificate.fingerprint256));
    await keeper.check();
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

  it('keeps what it has while the registry is away', async () => {
    const { chainPem } = keeper.identity;
    registry.pause();
    await keeper.check(inDays(21));
    await registry.resume();
    expect(warn).toHaveBeenCalledOnce();
    expect(keeper.identity.chainPem).toBe(chainPem);
  });

  it('goes on with what is in memory while the folder is broken, and mends it when renewal is due', async () => {
    const { chainPem } = keeper.identity;
    await writeFile(join(folder, 'cert.pem'), 'half of a certific');
    await keeper.check(inDays(19));
    expect(warn).toHaveBeenCalledOnce();
    expect(keeper.identity.chainPem).toBe(chainPem);
    await keeper.check(inDays(21));
    expect(keeper.identity.chainPem).not.toBe(chainPem);
    expect(await readIdentity(folder)).toMatchObject({ chainPem: keeper.identity.chainPem });
  });

  it('keeps a renewed identity that could not be written, and writes it later', async () => {
    // a folder where the next certificate should go
    await mkdir(join(folder, 'cert.pem.next'));
    await keeper.check(inDays(21));
    expect(warn).toHaveBeenCalledOnce();
    const [renewed] = changes;
    expect(keeper.identity.certificate.fingerprint256).toBe(renewed);
    await rm(join(folder, 'cert.pem.next'), { recursive: true });
    await keeper.check();
    expect(changes).toEqual([renewed]);
    expect((await readIdentity(folder)).certificate.fingerprint256).toBe(renewed);
  });

  describe('of a folder that it may only read', () => {
    beforeEach(() => {
      vi.mocked(isWritable).mockResolvedValue(false);
    });
    afterEach(() => {
      vi.mocked(isWritable).mockReset();
    });

    it('renews in memory when that is due, once, and leaves the folder as it was', async () => {
      const { chainPem } = keeper.identity;
      const before = await readdir(folder);
      await keeper.check(inDays(21));
      expect(warn).not.toHaveBeenCalled();
      expect(changes).toEqual([keeper.identity.certificate.fingerprint256]);
      await keeper.check(inDays(1));
      expect(changes).toHaveLength(1);
      expect((await readIdentity(folder)).chainPem).toBe(chainPem);
      expect(await readdir(folder)).toEqual(before);
    });

    it('is not troubled that the one in the folder ends, and takes a newer one from there', async () => {
      await registry.identityFor('imap', inDays(-21));
      await keeper.close();
      keeper = await IdentityKeeper.open({ folder, registry: registry.address, logger });
      keeper.observe((identity) => changes.push(identity.certificate.fingerprint256));
      await keeper.check();
      expect(changes).toHaveLength(1);
      await keeper.check(inDays(19));
      expect(error).not.toHaveBeenCalled();
      await registry.identityFor('imap', new Date(Date.now() + 2_000));
      await keeper.check();
      expect(changes).toHaveLength(2);
      expect(keeper.identity.chainPem).toBe((await readIdentity(folder)).chainPem);
    });
  });

  it('says of an expired one whose it is, when it ended, and what to run', async () => {
    await keeper.check(inDays(31));
    expect(error.mock.calls).toEqual([
      [
        expect.stringMatching(
          /^the identity spiffe:\/\/concert\/service\/imap in \S+ expired on 20/,
        ),
      ],
    ]);
    expect(error).toHaveBeenCalledWith(expect.stringContaining('concert identity issue'));
    expect(changes).toEqual([]);
  });

  it.each([
    ['renews one that is due', 21, 1, 0],
    ['tells of one that is over', 31, 0, 1],
  ])('%s as soon as it is opened', async (_, daysAgo, renewals, complaints) => {
    await keeper.close();
    await registry.identityFor('imap', inDays(-daysAgo));
    keeper = await IdentityKeeper.open({ folder, registry: registry.address, logger });
    keeper.observe((identity) => changes.push(identity.certificate.fingerprint256));
    await keeper.close();
    expect(changes).toHaveLength(renewals);
    expect(error).toHaveBeenCalledTimes(complaints);
  });
});
