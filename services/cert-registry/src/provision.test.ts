import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readIdentity, silentLogger } from '@mail/service';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readConfig } from './config.ts';
import { RegistryDatabase } from './database.ts';
import { provision } from './provision.ts';

let data: string;
let settings: Record<string, string>;
beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'concert-provision-'));
  settings = {
    CONCERT_DATA: data,
    CONCERT_IDENTITIES: join(data, 'apart'),
    CONCERT_REGISTRY_IDENTITIES: 'service/imap operator/admin',
  };
});
afterEach(() => rmSync(data, { recursive: true, force: true }));

const identity = (name: string) => readIdentity(join(data, 'apart', name));
const logger = silentLogger();

/** Holds the database as a registry does, while `work` runs. */
async function besideRegistry(work: () => Promise<void>): Promise<void> {
  const database = RegistryDatabase.open(readConfig(settings));
  try {
    await work();
  } finally {
    database.close();
  }
}

test('makes what is named, under one CA, and leaves it as it is from then on', async () => {
  await provision(settings, logger);
  const imap = await identity('service/imap');
  expect(imap.uri).toBe('spiffe://concert/service/imap');
  expect((await identity('operator/admin')).caPem).toBe(imap.caPem);

  await provision(settings, logger);
  expect((await identity('service/imap')).chainPem).toBe(imap.chainPem);
});

test('beside a running registry it makes none and says which is missing', async () => {
  await provision(settings, logger);
  await besideRegistry(() => provision(settings, logger));

  rmSync(join(data, 'apart/service/imap/key.pem'));
  await besideRegistry(async () => {
    await expect(provision(settings, logger)).rejects.toMatchObject({
      code: 'start-failed',
      message: expect.stringMatching(/service\/imap .*stop the registry/),
    });
  });
  expect(existsSync(join(data, 'apart/service/imap/key.pem'))).toBe(false);

  await provision(settings, logger);
  expect((await identity('service/imap')).uri).toBe('spiffe://concert/service/imap');
});

test('an identity in another’s place is no identity', async () => {
  await provision(settings, logger);
  settings['CONCERT_REGISTRY_IDENTITIES'] = 'service/pop';
  await besideRegistry(async () => {
    await expect(provision(settings, logger)).rejects.toMatchObject({ code: 'start-failed' });
  });
});
