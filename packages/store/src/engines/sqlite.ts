/**
 * The store's engine for one host: a SQLite file in WAL mode that the services share. Reads are short and
 * run on the calling thread; writes go to one thread of this process, and from there in turn with those of
 * other processes. Beside the database lie the bell (bell.ts) and the folder of maildrop locks.
 */
import { closeSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { type Logger, makeFolder } from '@mail/service';
import type { Kysely } from 'kysely';
import type { ChangeSignal, Engine, Touched } from '../engine.ts';
import { StoreError } from '../errors.ts';
import type { AccountId, MaildropLock, StoreStatistics, TextPage } from '../mail-store.ts';
import type { Schema } from '../schema.ts';
import type { TextQuery } from '../search.ts';
import type { WriteArguments, WriteName, WriteResult } from '../writes.ts';
import { listenToBell } from './sqlite/bell.ts';
import { kyselyOn, openReader } from './sqlite/connection.ts';
import { fromSqlite } from './sqlite/errors.ts';
import { examineFile } from './sqlite/examiner.ts';
import { MaildropLocks } from './sqlite/maildrop-locks.ts';
import { TextSearcher } from './sqlite/text-searcher.ts';
import { SqliteWriter } from './sqlite/writer.ts';

/** Only this user may read mail: SQLite gives its log the mode of the database. */
function createFiles(path: string): void {
  let what = 'its folder cannot be made';
  try {
    makeFolder(dirname(path));
    what = 'it cannot be written';
    closeSync(openSync(path, 'a', 0o600));
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw new StoreError('database-unavailable', `${what} (${code})`, { cause: error });
  }
}

class SqliteEngine implements Engine {
  readonly #path: string;
  readonly #writer: SqliteWriter;
  readonly #reader: DatabaseSync;
  readonly #db: Kysely<Schema>;
  readonly #searcher: TextSearcher;
  readonly #locks: MaildropLocks;
  readonly #bellPath: string;
  readonly #signals: Set<ChangeSignal>;
  readonly #logger: Logger;
  readonly #reading = new Set<Promise<unknown>>();
  #closed: Promise<void> | undefined;

  constructor(
    path: string,
    bellPath: string,
    writer: SqliteWriter,
    signals: Set<ChangeSignal>,
    logger: Logger,
  ) {
    this.#path = path;
    this.#writer = writer;
    this.#reader = openReader(path);
    this.#db = kyselyOn(this.#reader);
    this.#searcher = new TextSearcher(path);
    this.#locks = new MaildropLocks(`${path}-maildrops`);
    this.#bellPath = bellPath;
    this.#signals = signals;
    this.#logger = logger;
  }

  get failed(): Promise<never> {
    return this.#writer.failed;
  }

  statistics(): StoreStatistics {
    return this.#writer.statistics();
  }

  read<T>(query: (db: Kysely<Schema>) => Promise<T>): Promise<T> {
    return this.#keep(() => query(this.#db));
  }

  readAtOnce<T>(queries: (db: Kysely<Schema>) => Promise<T>): Promise<T> {
    return this.read((db) => db.transaction().execute(queries));
  }

  findText(query: TextQuery): Promise<TextPage> {
    return this.#keep(() => this.#searcher.find(query));
  }

  write<N extends WriteName>(name: N, args: WriteArguments<N>): Promise<WriteResult<N>> {
    return this.#writer.write(name, args);
  }

  listen(signal: ChangeSignal): () => void {
    this.#requireOpen();
    const stop = listenToBell(this.#bellPath, this.#reader, () => signal(undefined), this.#logger);
    this.#signals.add(signal);
    return () => {
      this.#signals.delete(signal);
      stop();
    };
  }

  async examine(quick: boolean): Promise<string[]> {
    this.#requireOpen();
    return examineFile({ path: this.#path, quick });
  }

  async lockMaildrop(accountId: AccountId): Promise<MaildropLock> {
    this.#requireOpen();
    return this.#locks.lock(accountId);
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await Promise.allSettled(this.#reading);
    this.#locks.close();
    await this.#searcher.close();
    // before the writer: the last connection to close folds the log into the database, if it may write
    this.#reader.close();
    await this.#writer.close();
  }

  async #keep<T>(read: () => Promise<T>): Promise<T> {
    this.#requireOpen();
    const result = read();
    this.#reading.add(result);
    try {
      return await result;
    } catch (error) {
      throw fromSqlite(error);
    } finally {
      this.#reading.delete(result);
    }
  }

  #requireOpen(): void {
    if (this.#closed !== undefined) throw new StoreError('closed', 'the store is closed');
  }
}

/** Throws StoreError (database-unavailable, database-corrupt, schema-too-new). */
export async function openSqliteEngine(path: string, logger: Logger): Promise<Engine> {
  createFiles(path);
  const bellPath = `${path}-bell`;
  const signals = new Set<ChangeSignal>();
  const committed = (touched: Touched): void => {
    for (const signal of signals) signal(touched);
  };
  const writer = await SqliteWriter.start({ path, bellPath }, committed);
  try {
    return new SqliteEngine(path, bellPath, writer, signals, logger);
  } catch (error) {
    await writer.close();
    throw fromSqlite(error);
  }
}
