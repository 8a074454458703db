/**
 * Makes the internal CA and the identities without a registry being run: what a one-shot container does
 * before all others start. It alone need see every identity's folder; each process then sees its own.
 */
import { join } from 'node:path';
import {
  describeExpiry,
  type Logger,
  readIdentity,
  ServiceError,
  type Settings,
} from '@mail/service';
import { readConfig } from './config.ts';
import { type DatabaseFiles, isHeldByRegistry, RegistryDatabase } from './database.ts';
import { Identities } from './identities.ts';
import { isSealed, loadVaultKey, openVault } from './key-vault.ts';
import { parseIdentity } from './roles.ts';

/**
 * Sees to it that the identities of CONCERT_REGISTRY_IDENTITIES lie in CONCERT_IDENTITIES, each of this
 * registry's CA. Beside a running registry, which has the CA, it makes none and only looks whether they
 * are there. Throws ServiceError (bad-setting, folder-not-writable, start-failed, database-corrupt),
 * VaultError.
 */
export async function provision(settings: Settings, logger: Logger): Promise<void> {
  const config = readConfig(settings);
  const { identitiesFolder, identities: names } = config;
  const database = openUnlessRunning(config);
  if (database === undefined) {
    for (const name of names) await expectUsable(identitiesFolder, name);
    logger.info('the registry is running, and the identities are there');
    return;
  }
  try {
    const vaultKey = loadVaultKey(config.vaultKey, config.vaultKeyFile, !isSealed(database));
    const vault = openVault(vaultKey, database);
    const days = config.identityDays;
    const identities = await Identities.open({ database, vault, days, now: Date.now });
    await identities.provide(identitiesFolder, names, logger);
    logger.info({ folder: identitiesFolder, identities: names }, 'the identities are there');
  } finally {
    database.close();
  }
}

/** Undefined where a registry holds the database. */
function openUnlessRunning(files: DatabaseFiles): RegistryDatabase | undefined {
  try {
    return RegistryDatabase.open(files);
  } catch (error) {
    if (isHeldByRegistry(error)) return undefined;
    throw error;
  }
}

async function expectUsable(folder: string, name: string): Promise<void> {
  const home = join(folder, name);
  try {
    const found = await readIdentity(home);
    if (found.uri !== parseIdentity(name).uri) throw new Error(`it is ${found.uri}`);
    const expiry = describeExpiry(found, home, new Date());
    if (expiry !== undefined) throw new Error(expiry.message);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ServiceError(
      'start-failed',
      `${home} holds no usable identity ${name} (${why}), and while the registry runs none is made; stop the registry and run this again`,
      { cause },
    );
  }
}
