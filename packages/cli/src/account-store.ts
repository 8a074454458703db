/** The mail store as the command opens it, its refusals turned into the command's own errors. */
import { parseSettings } from '@mail/service';
import type { Account, MailStore, StoreErrorCode } from '@mail/store';
import type { CommandContext } from './command.ts';
import { CliError, type CliErrorCode } from './errors.ts';

const CODES: Partial<Record<StoreErrorCode, CliErrorCode>> = {
  'no-such-account': 'not-found',
  'account-exists': 'refused',
  'bad-address': 'usage',
  'bad-domain': 'usage',
  'no-such-domain': 'not-found',
  'domain-exists': 'refused',
  'domain-in-use': 'refused',
  'no-such-alias': 'not-found',
  'alias-exists': 'refused',
  'alias-too-large': 'refused',
  'no-such-target': 'refused',
  'target-not-local': 'refused',
  'over-quota': 'refused',
  'no-such-app-password': 'not-found',
  'app-password-exists': 'refused',
  'bad-app-password-name': 'usage',
  'too-many-app-passwords': 'refused',
  'database-corrupt': 'store-unavailable',
  'database-unavailable': 'store-unavailable',
  'schema-too-new': 'store-unavailable',
};

/** Somebody is waiting: a database that does not answer by then is told as such. */
const PATIENCE_MS = 5_000;

/**
 * Opens the store that the services of this host use, does the work and closes it again. Throws
 * CliError for what the store refuses, ServiceError where it can't be opened.
 */
export async function withStore<R>(
  context: CommandContext,
  work: (store: MailStore) => Promise<R>,
): Promise<R> {
  // loaded only here: commands for the registry have no use for a database
  const { openStore, StoreError, storeSettings, storeUrl } = await import('@mail/store');
  const url = storeUrl({
    ...parseSettings(storeSettings, context.settings),
    CONCERT_DATA: context.dataFolder,
  });
  try {
    const store = await openStore({ url, patienceMs: PATIENCE_MS });
    try {
      return await work(store);
    } finally {
      await store.close();
    }
  } catch (error) {
    const code = error instanceof StoreError ? CODES[error.code] : undefined;
    if (code === undefined || !(error instanceof StoreError)) throw error;
    throw new CliError(code, error.message, { cause: error });
  }
}

/** Throws CliError (not-found). */
export async function findAccount(store: MailStore, address: string): Promise<Account> {
  const account = await store.accounts.find(address);
  if (account === undefined) throw new CliError('not-found', `there is no account ${address}`);
  return account;
}
