/** One SQLite connection, and Kysely on it. */
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { Kysely, SqliteDialect } from 'kysely';
import type { EngineTypes } from '../../migrate.ts';
import type { Schema } from '../../schema.ts';
import { SQLITE_TEXT_TABLES } from './text-index.ts';

export const SQLITE_TYPES: EngineTypes = {
  id: 'integer primary key autoincrement',
  whole: 'integer',
  text: 'text',
  bytes: 'blob',
  clustered: 'without rowid',
  textIndex: SQLITE_TEXT_TABLES,
};

/** Reads wait this long where a crashed process left a log to recover; they block the thread. */
const READ_BUSY_MS = 2_000;
/** What SQLite itself waits for a lock; the writer tries again around it. */
const WRITE_BUSY_MS = 5;
/** Pages that each connection keeps in memory, in KiB. */
const CACHE_KIB = 16 * 1024;
/** Counted among this process's memory while they are looked at, and the system's to take back. */
const MAPPED_BYTES = 256 * 1024 * 1024;
/** Prepared statements kept by each connection. */
const MAX_STATEMENTS = 200;

/** The log is written back into the database when it is this long (16 MiB), and then cut to at most this. */
const CHECKPOINT_PAGES = 4_096;
const MAX_IDLE_LOG_BYTES = 64 * 1024 * 1024;

/**
 * Readers never write, and see each write that is committed. `maps` is for one that goes through much: the
 * first pages of the database are then looked at where the system has them, and not copied.
 */
export function openReader(path: string, { maps } = { maps: false }): DatabaseSync {
  const database = new DatabaseSync(path, { readOnly: true, timeout: READ_BUSY_MS });
  database.exec(`pragma cache_size = -${CACHE_KIB}`);
  if (maps) database.exec(`pragma mmap_size = ${MAPPED_BYTES}`);
  return database;
}

/**
 * Throws SQLITE_BUSY where another process makes the same first settings; the caller tries again.
 * synchronous=full: a commit is on the disk when it returns, in WAL mode too.
 */
export function openWriter(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: WRITE_BUSY_MS });
  try {
    database.exec('pragma journal_mode = wal');
    database.exec('pragma synchronous = full');
    database.exec('pragma foreign_keys = on');
    database.exec(`pragma cache_size = -${CACHE_KIB}`);
    database.exec(`pragma wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
    database.exec(`pragma journal_size_limit = ${MAX_IDLE_LOG_BYTES}`);
  } catch (error) {
    database.close();
    throw error;
  }
  return database;
}

/** Kysely's SQLite dialect is written for better-sqlite3; this is what it uses of that, on node:sqlite. */
class PreparedStatement {
  readonly reader: boolean;
  readonly #statement: StatementSync;

  constructor(statement: StatementSync) {
    this.#statement = statement;
    this.reader = statement.columns().length > 0;
  }

  all(parameters: readonly unknown[]): unknown[] {
    return this.#statement.all(...(parameters as readonly SQLInputValue[]));
  }

  run(parameters: readonly unknown[]) {
    return this.#statement.run(...(parameters as readonly SQLInputValue[]));
  }

  iterate(parameters: readonly unknown[]): IterableIterator<unknown> {
    return this.#statement.iterate(
      ...(parameters as readonly SQLInputValue[]),
    ) as IterableIterator<unknown>;
  }
}

/** Takes the connection over: destroying the Kysely closes it. */
export function kyselyOn(database: DatabaseSync): Kysely<Schema> {
  const statements = new Map<string, PreparedStatement>();
  return new Kysely<Schema>({
    dialect: new SqliteDialect({
      database: {
        prepare(text) {
          let statement = statements.get(text);
          if (statement === undefined) {
            statement = new PreparedStatement(database.prepare(text));
            const [oldest] = statements.keys();
            if (statements.size >= MAX_STATEMENTS && oldest !== undefined) {
              statements.delete(oldest);
            }
            statements.set(text, statement);
          }
          return statement;
        },
        close() {
          statements.clear();
          database.close();
        },
      },
    }),
  });
}
