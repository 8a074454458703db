/** Opens the store that a URL names. */
import { resolve } from 'node:path';
import {
  type Logger,
  Metrics,
  ServiceError,
  type ServiceErrorCode,
  silentLogger,
} from '@mail/service';
import { openSqliteEngine } from './engines/sqlite.ts';
import { StoreError, type StoreErrorCode } from './errors.ts';
import type { MailStore } from './mail-store.ts';
import { measureEngine } from './measured-engine.ts';
import { createStore } from './store.ts';

export interface OpenStoreOptions {
  /** "sqlite:PATH". */
  readonly url: string;
  readonly logger?: Logger;
  readonly metrics?: Metrics;
}

const SQLITE = 'sqlite:';

/** What the operator can do about a database that does not open. */
const REMEDIES: Partial<Record<StoreErrorCode, { code: ServiceErrorCode; remedy: string }>> = {
  'database-unavailable': {
    code: 'folder-not-writable',
    remedy: 'check the folder, its owner and its disk, or set CONCERT_STORE',
  },
  'database-corrupt': { code: 'database-corrupt', remedy: 'restore it from a backup' },
};

/**
 * Opens the store, makes it where there is none, and brings it to the current schema. Any number of
 * processes may do so at once. Throws ServiceError with one line for the operator (bad-setting,
 * folder-not-writable, database-corrupt, start-failed); its cause is a StoreError.
 */
export async function openStore(options: OpenStoreOptions): Promise<MailStore> {
  const { url, logger = silentLogger(), metrics = new Metrics() } = options;
  if (!url.startsWith(SQLITE) || url === SQLITE) {
    throw new ServiceError('bad-setting', 'CONCERT_STORE wants sqlite:PATH');
  }
  const path = resolve(url.slice(SQLITE.length));
  try {
    return createStore(measureEngine(await openSqliteEngine(path, logger), metrics), logger);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    const known = REMEDIES[error.code];
    const remedy = known === undefined ? '' : `; ${known.remedy}`;
    throw new ServiceError(
      known?.code ?? 'start-failed',
      `cannot open the mail store ${path}: ${error.message}${remedy}`,
      { cause: error },
    );
  }
}
