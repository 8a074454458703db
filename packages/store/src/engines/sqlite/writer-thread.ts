/**
 * The one thread of a process that writes the SQLite database. Writes that wait when it is free go into
 * one transaction and so share one flush of the disk; each has a savepoint, so that one which fails is
 * undone alone. Results leave when the commit is durable.
 */
import { randomBytes } from 'node:crypto';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import {
  type MessagePort,
  parentPort,
  receiveMessageOnPort,
  workerData,
} from 'node:worker_threads';
import type { Kysely } from 'kysely';
import { migrate } from '../../migrate.ts';
import type { Schema } from '../../schema.ts';
import { Touches } from '../../touches.ts';
import type { WriteContext } from '../../write-context.ts';
import { prepareWrite, runWrite } from '../../writes.ts';
import { sendError } from '../sent-error.ts';
import { Bell } from './bell.ts';
import { kyselyOn, openWriter, SQLITE_TYPES } from './connection.ts';
import { fromSqlite, isBusy } from './errors.ts';
import { SQLITE_TEXT_INDEX } from './text-index.ts';
import type { Answer, FromWriter, ToWriter, WriteRequest, WriterData } from './writer-messages.ts';

/** How long other processes may hold the lock before we give up. */
const LOCK_PATIENCE_MS = 15_000;
/** Pause between two tries for the lock. */
const LOCK_RETRY_MS = 1;
/** A transaction takes in no more writes after this, so that other processes get their turn. */
const MAX_BATCH_MS = 50;
/** Writes made ready for one transaction. */
const MAX_BATCH_WRITES = 128;

const nothing = new Int32Array(new SharedArrayBuffer(4));

/** Blocks this thread, which has nothing else to do, while another process holds the lock. */
function patiently<T>(attempt: () => T): T {
  const deadline = performance.now() + LOCK_PATIENCE_MS;
  for (;;) {
    try {
      return attempt();
    } catch (error) {
      if (!isBusy(error) || performance.now() > deadline) throw error;
      Atomics.wait(nothing, 0, 0, LOCK_RETRY_MS);
    }
  }
}

/** A write made ready: what needs no lock is done. */
interface ReadyWrite {
  readonly id: number;
  run(context: WriteContext): Promise<unknown>;
}

function makeReady({ id, name, args }: WriteRequest): ReadyWrite {
  try {
    const prepared = prepareWrite(name, args);
    return { id, run: (context) => runWrite(context, name, prepared) };
  } catch (error) {
    return { id, run: () => Promise.reject(error) };
  }
}

class WriterThread {
  readonly #port: MessagePort;
  readonly #database: DatabaseSync;
  readonly #db: Kysely<Schema>;
  readonly #bell: Bell;
  readonly #totalChanges: StatementSync;
  readonly #queue: ReadyWrite[] = [];
  #working = false;
  #closing = false;

  constructor(port: MessagePort, { path, bellPath }: WriterData) {
    this.#port = port;
    this.#database = patiently(() => openWriter(path));
    this.#db = kyselyOn(this.#database);
    this.#totalChanges = this.#database.prepare('select total_changes() as changes');
    this.#bell = new Bell(bellPath);
  }

  async migrate(): Promise<void> {
    this.#begin();
    try {
      await migrate(this.#db, SQLITE_TYPES, new Date());
      this.#database.exec('commit');
    } catch (error) {
      this.#rollBack();
      throw error;
    }
  }

  listen(): void {
    this.#port.on('message', (message: ToWriter) => {
      this.#take(message);
      void this.#work();
    });
  }

  #take(message: ToWriter): void {
    if (message.kind === 'close') this.#closing = true;
    else this.#queue.push(makeReady(message));
  }

  /** Takes what came while the thread was busy, as far as one transaction carries it. */
  #gather(): void {
    while (this.#queue.length < MAX_BATCH_WRITES) {
      const received = receiveMessageOnPort(this.#port) as { message: ToWriter } | undefined;
      if (received === undefined) return;
      this.#take(received.message);
    }
  }

  async #work(): Promise<void> {
    if (this.#working) return;
    this.#working = true;
    this.#gather();
    while (this.#queue.length > 0) {
      this.#send(await this.#commitBatch());
      this.#gather();
    }
    this.#working = false;
    if (this.#closing) await this.close();
  }

  async close(): Promise<void> {
    await this.#db.destroy();
    this.#bell.close();
    this.#port.close();
  }

  async #commitBatch(): Promise<FromWriter> {
    const answers: Answer[] = [];
    const taken: ReadyWrite[] = [];
    const touched = new Touches();
    try {
      this.#begin();
      const before = this.#countChanges();
      const deadline = performance.now() + MAX_BATCH_MS;
      do {
        const write = this.#queue.shift();
        if (write === undefined) break;
        taken.push(write);
        answers.push(await this.#runAlone(write, touched));
      } while (performance.now() < deadline);
      const committed = this.#countChanges() > before;
      this.#database.exec('commit');
      if (committed) this.#ring();
      return { kind: 'answers', answers, touched: touched.take(), committed };
    } catch (error) {
      this.#rollBack();
      // without the lock none was taken: the first one pays, so that waiting writes get their answer
      const lost = taken.length > 0 ? taken : this.#queue.splice(0, 1);
      const sent = sendError(fromSqlite(error));
      return {
        kind: 'answers',
        answers: lost.map(({ id }) => ({ id, ok: false, error: sent })),
        touched: new Touches().take(),
        committed: false,
      };
    }
  }

  /** Throws where the failure has ended the whole transaction, as a full disk does. */
  async #runAlone({ id, run }: ReadyWrite, touched: Touches): Promise<Answer> {
    const touchedHere = new Touches();
    this.#database.exec('savepoint one_write');
    try {
      const result = await run({
        db: this.#db,
        locksRows: false,
        textIndex: SQLITE_TEXT_INDEX,
        now: new Date(),
        randomId: () => randomBytes(16).toString('base64url'),
        touch: touchedHere.touch,
        touchAccount: touchedHere.touchAccount,
      });
      this.#database.exec('release one_write');
      touched.add(touchedHere.take());
      return { id, ok: true, result };
    } catch (error) {
      if (!this.#database.isTransaction) throw error;
      this.#database.exec('rollback to one_write');
      this.#database.exec('release one_write');
      return { id, ok: false, error: sendError(fromSqlite(error)) };
    }
  }

  #begin(): void {
    patiently(() => this.#database.exec('begin immediate'));
  }

  #rollBack(): void {
    if (this.#database.isTransaction) this.#database.exec('rollback');
  }

  /** What is committed is committed: where the bell fails, the others' poll finds it. */
  #ring(): void {
    try {
      this.#bell.ring();
    } catch {
      // a full disk, say; the next commit rings again
    }
  }

  #countChanges(): number {
    return Number(this.#totalChanges.get()?.['changes']);
  }

  #send(message: FromWriter): void {
    this.#port.postMessage(message);
  }
}

const port = parentPort;
if (port === null) throw new Error('this module is the start of a worker thread');
try {
  const thread = new WriterThread(port, workerData as WriterData);
  await thread.migrate();
  thread.listen();
  port.postMessage({ kind: 'open' } satisfies FromWriter);
} catch (error) {
  port.postMessage({ kind: 'not-open', error: sendError(fromSqlite(error)) } satisfies FromWriter);
}
