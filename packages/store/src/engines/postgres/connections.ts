/** Connections to PostgreSQL: how each is made, and the pool that reads and writes share. */
import type { Logger } from '@mail/service';
import type { PostgresPool, PostgresPoolClient, PostgresQueryResult } from 'kysely';
import pg from 'pg';
import type { StoreError } from '../../errors.ts';
import {
  fromConnecting,
  fromConnection,
  isCrowded,
  isRefusal,
  isStaleStatement,
} from './errors.ts';
import type { PostgresLocation } from './location.ts';

/** Connections of one process; the change feed and the maildrop locks have one more each. */
export const POOL_SIZE = 8;
/** For a connection: to be made, or to become free. */
const CONNECT_TIMEOUT_MS = 10_000;
/** The server ends a statement, waits for locks included, after this. */
const STATEMENT_TIMEOUT_MS = 30_000;
/** And a transaction that a lost process left open. */
const IDLE_TRANSACTION_TIMEOUT_MS = 30_000;
/** We give a statement up, and its connection, when not even the server's own end of it arrives. */
const ANSWER_TIMEOUT_MS = STATEMENT_TIMEOUT_MS + 10_000;
/** Before a connection that is not used is closed. */
const IDLE_CONNECTION_MS = 60_000;
/** A peer that vanished is noticed some ten seconds after this. */
const KEEPALIVE_AFTER_MS = 10_000;
/** So long a server may turn us away before that is taken for an operator's business. */
const REFUSAL_PATIENCE_MS = 60_000;

/** Under load some wait too long and others do not: one line in this time is enough. */
const CROWDED_LOG_MS = 60_000;

/** Distinct statements that are kept prepared: planning one takes longer than running it. */
const MAX_PREPARED = 200;

const INT8_OID = 20;

/** Every whole number in the store is below 2^53. */
function parseWhole(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError('a number in the database is too large');
  return value;
}

const getTypeParser: typeof pg.types.getTypeParser = (oid, format) =>
  oid === INT8_OID ? parseWhole : pg.types.getTypeParser(oid, format);

/**
 * Says everything that pg would else take from the environment. A commit is on the disk, and on those of
 * synchronous standbys, when it returns.
 */
function settingsFor({ host, port, user, password, database, tls }: PostgresLocation) {
  return {
    host,
    port,
    user,
    password: () => password,
    database,
    ssl: tls ?? false,
    application_name: 'concert',
    options: '-c synchronous_commit=on',
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEPALIVE_AFTER_MS,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: ANSWER_TIMEOUT_MS,
    types: { getTypeParser },
  } satisfies pg.ClientConfig;
}

/** A connection of its own, not yet made. */
export function createClient(location: PostgresLocation): pg.Client {
  const client = new pg.Client(settingsFor(location));
  // its loss shows by 'end' and by the queries that fail; without a listener it would end the process
  client.on('error', () => {});
  return client;
}

/** One connection that no statement is too long for, to bring a schema up to date by. */
export function createPatientPool(location: PostgresLocation): ConnectionPool {
  return new ConnectionPool({ ...settingsFor(location), query_timeout: 0, max: 1 });
}

export function createPool(location: PostgresLocation, logger: Logger): ConnectionPool {
  return new ConnectionPool(
    {
      ...settingsFor(location),
      statement_timeout: STATEMENT_TIMEOUT_MS,
      idle_in_transaction_session_timeout: IDLE_TRANSACTION_TIMEOUT_MS,
      max: POOL_SIZE,
      idleTimeoutMillis: IDLE_CONNECTION_MS,
    },
    logger,
  );
}

/** pg's pool as Kysely uses one, with errors in the store's words. Lost connections are replaced. */
export class ConnectionPool implements PostgresPool {
  readonly options: object = {};
  readonly #pool: pg.Pool;
  readonly #logger: Logger | undefined;
  readonly #names = new StatementNames();
  readonly #failure = Promise.withResolvers<never>();
  #refusedSince: number | undefined;
  #outOfReach = false;
  #crowdedToldAt = Number.NEGATIVE_INFINITY;
  #ended: Promise<void> | undefined;

  constructor(config: pg.PoolConfig, logger?: Logger) {
    this.#pool = new pg.Pool(config);
    this.#logger = logger;
    this.#failure.promise.catch(() => {});
    this.#pool.on('error', (error) => logger?.debug({ error }, 'an idle connection was lost'));
    // while it is in use the pool does not listen, and an error without a listener ends the process
    this.#pool.on('connect', (client) => client.on('error', () => {}));
  }

  /** Rejects when the server has turned us away for a minute: it is there, and wants somebody else. */
  get failed(): Promise<never> {
    return this.#failure.promise;
  }

  /** Throws StoreError (database-unavailable). */
  async connect(): Promise<PostgresPoolClient> {
    try {
      const client = await this.#pool.connect();
      this.#noteReached();
      return new PooledConnection(client, this.#names);
    } catch (cause) {
      const error = fromConnecting(cause);
      if (isCrowded(error)) this.#noteCrowded(error);
      else this.#noteOutOfReach(error);
      throw error;
    }
  }

  #noteReached(): void {
    this.#refusedSince = undefined;
    if (!this.#outOfReach) return;
    this.#outOfReach = false;
    this.#logger?.info('PostgreSQL is reached again');
  }

  #noteCrowded(error: StoreError): void {
    const now = performance.now();
    if (now - this.#crowdedToldAt < CROWDED_LOG_MS) return;
    this.#crowdedToldAt = now;
    this.#logger?.warn(
      { error, connections: this.#pool.totalCount },
      'no connection to PostgreSQL has become free in time: clients are told to try again',
    );
  }

  #noteOutOfReach(error: StoreError): void {
    if (!this.#outOfReach) {
      this.#outOfReach = true;
      this.#logger?.error({ error }, 'PostgreSQL is out of reach: clients are told to try again');
    }
    if (!isRefusal(error)) return;
    const now = performance.now();
    this.#refusedSince ??= now;
    if (now - this.#refusedSince > REFUSAL_PATIENCE_MS) this.#failure.reject(error);
  }

  end(): Promise<void> {
    this.#ended ??= this.#pool.end();
    return this.#ended;
  }
}

/** Names of the statements that the server keeps prepared, the same on each connection. */
class StatementNames {
  readonly #names = new Map<string, string>();

  /** Undefined for what comes once there are enough of them. */
  nameOf(sql: string): string | undefined {
    const known = this.#names.get(sql);
    if (known !== undefined || this.#names.size >= MAX_PREPARED) return known;
    const name = `concert_${this.#names.size}`;
    this.#names.set(sql, name);
    return name;
  }
}

class PooledConnection implements PostgresPoolClient {
  readonly #client: pg.PoolClient;
  readonly #names: StatementNames;
  #broken = false;

  constructor(client: pg.PoolClient, names: StatementNames) {
    this.#client = client;
    this.#names = names;
  }

  query<R>(sql: string, parameters: readonly unknown[]): Promise<PostgresQueryResult<R>>;
  query(): never;
  async query(sql = '', parameters: readonly unknown[] = []): Promise<unknown> {
    try {
      const values = [...parameters];
      const name = values.length === 0 ? undefined : this.#names.nameOf(sql);
      return await this.#client.query({
        text: sql,
        values,
        ...(name === undefined ? {} : { name }),
      });
    } catch (cause) {
      const error = fromConnection(cause);
      // in doubt the connection goes: an answer that comes late would be taken for another's
      this.#broken ||= error !== cause || isStaleStatement(cause);
      throw error;
    }
  }

  release(destroy = false): void {
    this.#client.release(destroy || this.#broken);
  }
}
