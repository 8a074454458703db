/** Opens the store that a URL names. */
import { resolve } from 'node:path';
import {
  type Logger,
  Metrics,
  ServiceError,
  type ServiceErrorCode,
  silentLogger,
} from '@mail/service';
import type { Engine } from './engine.ts';
import { isPostgresUrl, parsePostgresUrl } from './engines/postgres/location.ts';
import { openPostgresEngine } from './engines/postgres.ts';
import { openSqliteEngine } from './engines/sqlite.ts';
import { StoreError, type StoreErrorCode } from './errors.ts';
import type { MailStore } from './mail-store.ts';
import { measureEngine } from './measured-engine.ts';
import { createStore } from './store.ts';

export interface OpenStoreOptions {
  /** "sqlite:PATH", or "postgres://USER:PASSWORD@HOST:PORT/DATABASE" as storeUrl makes it. */
  readonly url: string;
  readonly logger?: Logger;
  readonly metrics?: Metrics;
  /** How long a PostgreSQL that does not answer is waited for: services may start before it does. */
  readonly patienceMs?: number;
}

const SQLITE = 'sqlite:';
const PATIENCE_MS = 60_000;

/** What the operator can do about a database that does not open. */
type Remedies = Partial<Record<StoreErrorCode, { code: ServiceErrorCode; remedy: string }>>;

const DAMAGED = { code: 'database-corrupt', remedy: 'restore it from a backup' } as const;
const SQLITE_REMEDIES: Remedies = {
  'database-unavailable': {
    code: 'folder-not-writable',
    remedy: 'check the folder, its owner and its disk, or set CONCERT_STORE',
  },
  'database-corrupt': DAMAGED,
};
const POSTGRES_REMEDIES: Remedies = {
  'database-unavailable': {
    code: 'unreachable',
    remedy: 'check that server and what CONCERT_STORE and CONCERT_STORE_PASSWORD say',
  },
  'database-corrupt': DAMAGED,
};

/** A database, how it is opened, and what to say where it cannot be. */
interface Opening {
  readonly name: string;
  readonly remedies: Remedies;
  open(): Promise<Engine>;
}

function openingOf({
  url,
  logger = silentLogger(),
  patienceMs = PATIENCE_MS,
}: OpenStoreOptions): Opening {
  if (isPostgresUrl(url)) {
    const location = parsePostgresUrl(url);
    return {
      name: location.name,
      remedies: POSTGRES_REMEDIES,
      open: () => openPostgresEngine(location, patienceMs, logger),
    };
  }
  if (!url.startsWith(SQLITE) || url === SQLITE) {
    throw new ServiceError('bad-setting', 'CONCERT_STORE wants sqlite:PATH or postgres://...');
  }
  const path = resolve(url.slice(SQLITE.length));
  return { name: path, remedies: SQLITE_REMEDIES, open: () => openSqliteEngine(path, logger) };
}

/** What to call a store in messages: its file, or its server and database without the password. */
export function storeName(url: string): string {
  return openingOf({ url }).name;
}

/**
 * Opens the store, makes it where there is none, and brings it to the current schema. Any number of
 * processes may do so at once. Throws ServiceError with one line for the operator (bad-setting,
 * folder-not-writable, unreachable, database-corrupt, start-failed); its cause is a StoreError.
 */
export async function openStore(options: OpenStoreOptions): Promise<MailStore> {
  const { name, remedies, open } = openingOf(options);
  try {
    const engine = measureEngine(await open(), options.metrics ?? new Metrics());
    return createStore(engine, options.logger ?? silentLogger());
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    const known = remedies[error.code];
    const remedy = known === undefined ? '' : `; ${known.remedy}`;
    throw new ServiceError(
      known?.code ?? 'start-failed',
      `cannot open the mail store ${name}: ${error.message}${remedy}`,
      { cause: error },
    );
  }
}
