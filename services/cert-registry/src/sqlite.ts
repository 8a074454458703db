/**
 * SQLite as the registry uses it: node:sqlite runs the queries, Kysely writes and types them. Both ends
 * are synchronous on purpose. A transaction here is a plain function, so nothing can slip between its
 * statements, and the coordinator's shell can write "committed" and go on in one step. The registry
 * writes a few rows per switch; a mail store, which writes all the time, chooses otherwise.
 */
import {
  DatabaseSync,
  type SQLInputValue,
  type SQLOutputValue,
  type StatementSync,
} from 'node:sqlite';
import {
  type CompiledQuery,
  DummyDriver,
  Kysely,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';

/** Distinct statements are few; the limit only guards against a query text built from data. */
const MAX_CACHED_STATEMENTS = 200;

/** `commit-uncertain`: only a restart, which reads the disk, can tell whether the write is there. */
export class CommitUncertainError extends Error {
  readonly code = 'commit-uncertain';

  constructor(cause: unknown) {
    super('the database failed while it committed; only a restart can tell what it holds', {
      cause,
    });
    this.name = 'CommitUncertainError';
  }
}

type Compilable<Row> = { compile(): CompiledQuery<Row> };

/** One connection; `Tables` are Kysely's table types. Values are text, numbers, bytes and null. */
export class Sqlite<Tables> {
  /** Builds queries; running them through Kysely itself does nothing. */
  readonly query: Kysely<Tables>;
  readonly #connection: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  /** Throws what node:sqlite throws; see `sqliteErrorCode`. */
  constructor(path: string) {
    this.#connection = new DatabaseSync(path, { enableForeignKeyConstraints: true, timeout: 0 });
    this.query = new Kysely<Tables>({
      dialect: {
        createAdapter: () => new SqliteAdapter(),
        createDriver: () => new DummyDriver(),
        createIntrospector: (kysely) => new SqliteIntrospector(kysely),
        createQueryCompiler: () => new SqliteQueryCompiler(),
      },
    });
  }

  all<Row>(query: Compilable<Row>): Row[] {
    const { sql, parameters } = query.compile();
    return this.#statement(sql).all(...(parameters as SQLInputValue[])) as Row[];
  }

  first<Row>(query: Compilable<Row>): Row | undefined {
    return this.all(query)[0];
  }

  /** Returns how many rows changed. */
  run(query: Compilable<unknown>): number {
    const { sql, parameters } = query.compile();
    return Number(this.#statement(sql).run(...(parameters as SQLInputValue[])).changes);
  }

  /** Statements that are no queries: schema and pragmas. */
  execute(sql: string): void {
    this.#connection.exec(sql);
  }

  /** The first column of the first row of a pragma. */
  pragma(name: string): SQLOutputValue | undefined {
    const row = this.#connection.prepare(`PRAGMA ${name}`).get();
    return row === undefined ? undefined : Object.values(row)[0];
  }

  /**
   * All of `body` or nothing. Throws what `body` throws, after a rollback, so that nothing has happened;
   * so does a commit that finds the disk full, since the log then lacks the record that ends it. Throws
   * CommitUncertainError when the commit failed in any other way.
   */
  transaction<T>(body: () => T): T {
    this.#connection.exec('BEGIN IMMEDIATE');
    let result: T;
    try {
      result = body();
    } catch (error) {
      if (this.#connection.isTransaction) this.#connection.exec('ROLLBACK');
      throw error;
    }
    try {
      this.#connection.exec('COMMIT');
    } catch (error) {
      if (!isDiskFull(error)) throw new CommitUncertainError(error);
      if (this.#connection.isTransaction) this.#connection.exec('ROLLBACK');
      throw error;
    }
    return result;
  }

  /** Writes of `body` survive the process but perhaps not the power (SQLite's synchronous=NORMAL). */
  withoutSync<T>(body: () => T): T {
    this.#connection.exec('PRAGMA synchronous = NORMAL');
    try {
      return body();
    } finally {
      this.#connection.exec('PRAGMA synchronous = FULL');
    }
  }

  close(): void {
    if (this.#connection.isOpen) this.#connection.close();
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      if (this.#statements.size >= MAX_CACHED_STATEMENTS) this.#statements.clear();
      statement = this.#connection.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

const SQLITE_FULL = 13;

/** Whether a write failed for want of room. */
export function isDiskFull(error: unknown): boolean {
  return sqliteErrorCode(error) === SQLITE_FULL;
}

/** SQLite's primary result code of an error, undefined for other errors (sqlite.org/rescode.html). */
export function sqliteErrorCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error)) return undefined;
  return Number(error.errcode) & 0xff;
}
