/**
 * The store's engine for many hosts: a PostgreSQL database that all services share. Statements run over a
 * pool of connections; writes of all processes run side by side, kept apart by row locks (locks.ts), and
 * PostgreSQL lets those that commit together share a flush of the disk. A mailbox's row is locked until
 * the commit, so UIDs and modification sequences become visible in their order.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from '@mail/service';
import { Kysely, PostgresDialect, sql } from 'kysely';
import type { ChangeSignal, Engine, Touched } from '../engine.ts';
import { StoreError } from '../errors.ts';
import type { AccountId, MaildropLock, StoreStatistics, TextPage } from '../mail-store.ts';
import { type EngineTypes, migrate } from '../migrate.ts';
import type { Schema } from '../schema.ts';
import { findText, type TextQuery } from '../search.ts';
import type { TextIndex } from '../search-index.ts';
import { Touches } from '../touches.ts';
import {
  isSlowToPrepare,
  type PreparedWrite,
  prepareWrite,
  runWrite,
  type WriteArguments,
  type WriteName,
  type WriteResult,
} from '../writes.ts';
import { SCHEMA_LOCK, SWEEP_LOCK } from './postgres/advisory-locks.ts';
import { ChangeListener, ChangeNotifier } from './postgres/changes.ts';
import { type ConnectionPool, createPatientPool, createPool } from './postgres/connections.ts';
import { fromPostgres, isConflict, mayPass } from './postgres/errors.ts';
import type { PostgresLocation } from './postgres/location.ts';
import { MaildropLocks } from './postgres/maildrop-locks.ts';
import { WritePreparer } from './postgres/preparer.ts';
import { prepareTextIndex } from './postgres/text-index.ts';
import { Turns } from './postgres/turns.ts';

const POSTGRES_TYPES: EngineTypes = {
  id: 'bigint generated always as identity primary key',
  whole: 'bigint',
  text: 'text collate "C"',
  bytes: 'bytea',
  clustered: '',
  textIndex: [],
};

/** Fewer than there are connections, so that reads go on while writes wait for each other. */
const WRITES = { running: 6, waiting: 20_000, patienceMs: 30_000 };
/** Of a write that was undone because it was in another's way. */
const MAX_ATTEMPTS = 10;
/** Before it is run again, at most, and times the attempts. */
const CONFLICT_PAUSE_MS = 20;
/** For what is under way no more: telling the other processes, and the ends of connections. */
const CLOSE_TIMEOUT_MS = 2_000;
/** Between two tries to reach a server at the start, doubled up to the second figure. */
const START_RETRY_MS = { least: 250, most: 2_000 };

class PostgresEngine implements Engine {
  readonly #location: PostgresLocation;
  readonly #textIndex: TextIndex | undefined;
  readonly #logger: Logger;
  readonly #pool: ConnectionPool;
  readonly #db: Kysely<Schema>;
  readonly #turns = new Turns(WRITES);
  readonly #preparer = new WritePreparer();
  readonly #notifier: ChangeNotifier;
  readonly #locks: MaildropLocks;
  readonly #signals = new Set<ChangeSignal>();
  #listener: ChangeListener | undefined;
  readonly #underWay = new Set<Promise<unknown>>();
  #commits = 0;
  #writes = 0;
  #closed: Promise<void> | undefined;

  constructor(location: PostgresLocation, textIndex: TextIndex | undefined, logger: Logger) {
    this.#location = location;
    this.#textIndex = textIndex;
    this.#logger = logger;
    this.#pool = createPool(location, logger);
    this.#db = kyselyOn(this.#pool);
    this.#notifier = new ChangeNotifier(this.#db, logger);
    this.#locks = new MaildropLocks(location);
  }

  get failed(): Promise<never> {
    return this.#pool.failed;
  }

  statistics(): StoreStatistics {
    return { commits: this.#commits, writes: this.#writes };
  }

  read<T>(query: (db: Kysely<Schema>) => Promise<T>): Promise<T> {
    return this.#keep(() => query(this.#db));
  }

  readAtOnce<T>(queries: (db: Kysely<Schema>) => Promise<T>): Promise<T> {
    return this.read((db) =>
      db
        .transaction()
        .setIsolationLevel('repeatable read')
        .setAccessMode('read only')
        .execute(queries),
    );
  }

  findText(query: TextQuery): Promise<TextPage> {
    return this.readAtOnce((db) => findText(db, this.#textIndex, query));
  }

  write<N extends WriteName>(name: N, args: WriteArguments<N>): Promise<WriteResult<N>> {
    return this.#keep(() => this.#turns.run(() => this.#write(name, args)));
  }

  listen(signal: ChangeSignal): () => void {
    this.#requireOpen();
    this.#signals.add(signal);
    this.#listener ??= new ChangeListener(this.#location, this.#signal, this.#logger);
    return () => {
      this.#signals.delete(signal);
      if (this.#signals.size === 0) void this.#stopListening();
    };
  }

  /** Its server has tools for that: data checksums, pg_amcheck. */
  async examine(): Promise<string[]> {
    this.#requireOpen();
    return [];
  }

  lockMaildrop(accountId: AccountId): Promise<MaildropLock> {
    return this.#keep(() => this.#locks.lock(accountId));
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  readonly #signal: ChangeSignal = (touched) => {
    for (const signal of this.#signals) signal(touched);
  };

  async #write<N extends WriteName>(name: N, args: WriteArguments<N>): Promise<WriteResult<N>> {
    try {
      const slow = isSlowToPrepare(name);
      const prepared = slow ? await this.#preparer.prepare(name, args) : prepareWrite(name, args);
      return await this.#commit(name, prepared);
    } finally {
      this.#writes += 1;
    }
  }

  /** Runs the write again, from its start, where PostgreSQL has undone it for another's sake. */
  async #commit<N extends WriteName>(name: N, prepared: PreparedWrite<N>): Promise<WriteResult<N>> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#commitOnce(name, prepared);
      } catch (error) {
        if (!isConflict(error) || attempt === MAX_ATTEMPTS) throw error;
        await pause(Math.random() * CONFLICT_PAUSE_MS * attempt);
      }
    }
  }

  async #commitOnce<N extends WriteName>(
    name: N,
    prepared: PreparedWrite<N>,
  ): Promise<WriteResult<N>> {
    const touched = new Touches();
    const result = await this.#db.transaction().execute(async (db) => {
      if (name === 'sweep') await lockUntilCommit(db, SWEEP_LOCK);
      const context = {
        db,
        locksRows: true,
        textIndex: this.#textIndex,
        now: new Date(),
        randomId: () => randomBytes(16).toString('base64url'),
        touch: touched.touch,
        touchAccount: touched.touchAccount,
      };
      return runWrite(context, name, prepared);
    });
    this.#commits += 1;
    if (!touched.isEmpty) this.#tell(touched.take());
    return result;
  }

  #tell(touched: Touched): void {
    this.#signal(touched);
    this.#notifier.tell(touched);
  }

  /** Begins `work` at once; errors become the store's. */
  async #keep<T>(work: () => Promise<T>): Promise<T> {
    this.#requireOpen();
    const result = work();
    this.#underWay.add(result);
    try {
      return await result;
    } catch (error) {
      throw fromPostgres(error);
    } finally {
      this.#underWay.delete(result);
    }
  }

  async #stopListening(): Promise<void> {
    const listener = this.#listener;
    this.#listener = undefined;
    await listener?.close();
  }

  async #close(): Promise<void> {
    await Promise.allSettled(this.#underWay);
    const closed = this.#notifier
      .close()
      .then(() =>
        Promise.all([
          this.#stopListening(),
          this.#locks.close(),
          this.#preparer.close(),
          this.#pool.end(),
        ]),
      );
    // a server that is out of reach does not say goodbye
    await Promise.race([closed, pause(CLOSE_TIMEOUT_MS, undefined, { ref: false })]);
  }

  #requireOpen(): void {
    if (this.#closed !== undefined) throw new StoreError('closed', 'the store is closed');
  }
}

function kyselyOn(pool: ConnectionPool): Kysely<Schema> {
  return new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) });
}

async function lockUntilCommit(db: Kysely<Schema>, key: bigint): Promise<void> {
  await sql`select pg_advisory_xact_lock(${String(key)}::bigint)`.execute(db);
}

/** Brings the database to this version's schema; services that start together take turns. */
async function prepareSchema(location: PostgresLocation): Promise<TextIndex | undefined> {
  const pool = createPatientPool(location);
  try {
    return await kyselyOn(pool)
      .transaction()
      .execute(async (db) => {
        await lockUntilCommit(db, SCHEMA_LOCK);
        await migrate(db, POSTGRES_TYPES, new Date());
        return prepareTextIndex(db);
      });
  } catch (error) {
    throw fromPostgres(error);
  } finally {
    await pool.end();
  }
}

/**
 * Waits up to `patienceMs` for a server that does not answer yet: orchestrators start everything at once.
 * Throws StoreError (database-unavailable, database-corrupt, schema-too-new).
 */
export async function openPostgresEngine(
  location: PostgresLocation,
  patienceMs: number,
  logger: Logger,
): Promise<Engine> {
  if (location.carelessly) {
    logger.warn(
      `the connection to ${location.name} is not encrypted: say sslmode=verify-full, or sslmode=disable where the network is yours`,
    );
  }
  const deadline = performance.now() + patienceMs;
  for (let wait = START_RETRY_MS.least; ; wait = Math.min(wait * 2, START_RETRY_MS.most)) {
    try {
      const textIndex = await prepareSchema(location);
      if (textIndex === undefined) {
        logger.info(
          `${location.name} has no extension pg_trgm and does not let it be made: searches go through all texts of a mailbox`,
        );
      }
      return new PostgresEngine(location, textIndex, logger);
    } catch (error) {
      const passing = error instanceof StoreError && mayPass(error);
      if (!passing || performance.now() + wait > deadline) throw error;
      logger.warn({ why: error.message }, `waiting for the mail store ${location.name}`);
      await pause(wait);
    }
  }
}
