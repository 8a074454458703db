/** The owner of the writer thread (writer-thread.ts): hands writes over and waits for their answers. */
import { Worker } from 'node:worker_threads';
import type { Touched } from '../../engine.ts';
import { StoreError } from '../../errors.ts';
import type { StoreStatistics } from '../../mail-store.ts';
import { countWriteOctets, ownOctets } from '../../write-octets.ts';
import type { WriteArguments, WriteName, WriteResult } from '../../writes.ts';
import { receiveError, sendError } from '../sent-error.ts';
import type { Answer, FromWriter, ToWriter, WriteRequest, WriterData } from './writer-messages.ts';

/**
 * What the thread holds at most; further writes wait here, where they take no second copy of their
 * message. One write always goes through, whatever its size.
 */
const MAX_SENT = { writes: 1_024, bytes: 64 * 1024 * 1024 };
/** Beyond so many waiting writes the disk is not keeping up, and refusing is kinder than queueing. */
const MAX_WAITING = 20_000;

interface Pending {
  readonly name: WriteName;
  readonly args: WriteArguments<WriteName>;
  readonly bytes: number;
  resolve(result: unknown): void;
  reject(error: Error): void;
}

export class SqliteWriter {
  readonly #worker: Worker;
  readonly #committed: (touched: Touched) => void;
  readonly #waiting: Pending[] = [];
  readonly #sent = new Map<number, Pending>();
  #sentBytes = 0;
  #nextId = 1;
  #commits = 0;
  #writes = 0;
  /** Why no write is taken any more. */
  #ended: StoreError | undefined;
  #drained: (() => void) | undefined;
  readonly #exited: Promise<void>;
  readonly #failure = Promise.withResolvers<never>();

  private constructor(worker: Worker, committed: (touched: Touched) => void) {
    this.#worker = worker;
    this.#committed = committed;
    this.#failure.promise.catch(() => {});
    worker.on('message', (message: FromWriter) => {
      if (message.kind === 'answers') this.#take(message);
    });
    worker.on('error', (cause) => this.#die(cause));
    this.#exited = new Promise((resolve) => {
      worker.once('exit', () => {
        this.#die(undefined);
        resolve();
      });
    });
  }

  /**
   * Opens the database for writing and brings it to the current schema. `committed` is called behind
   * each commit, before its writes resolve. Throws StoreError (schema-too-new, database-corrupt,
   * database-unavailable).
   */
  static async start(
    data: WriterData,
    committed: (touched: Touched) => void,
  ): Promise<SqliteWriter> {
    const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const worker = new Worker(new URL(`./writer-thread.${ending}`, import.meta.url), {
      name: 'store-writer',
      workerData: data,
    });
    const first = await new Promise<FromWriter>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
      worker.once('exit', () =>
        reject(new StoreError('database-unavailable', 'the thread that writes did not start')),
      );
    });
    if (first.kind === 'not-open') {
      await worker.terminate();
      throw receiveError(first.error);
    }
    return new SqliteWriter(worker, committed);
  }

  get failed(): Promise<never> {
    return this.#failure.promise;
  }

  statistics(): StoreStatistics {
    return { commits: this.#commits, writes: this.#writes };
  }

  write<N extends WriteName>(name: N, args: WriteArguments<N>): Promise<WriteResult<N>> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    if (this.#waiting.length >= MAX_WAITING) {
      const error = new StoreError('database-unavailable', 'too many writes wait for the disk');
      return Promise.reject(error);
    }
    return new Promise((resolve, reject) => {
      const bytes = countWriteOctets(name, args);
      this.#waiting.push({ name, args, bytes, resolve: resolve as Pending['resolve'], reject });
      this.#send();
    });
  }

  /** Waits for the writes that were asked for. */
  async close(): Promise<void> {
    this.#ended ??= new StoreError('closed', 'the store is closed');
    if (this.#sent.size > 0 || this.#waiting.length > 0) {
      await new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
    }
    this.#worker.postMessage({ kind: 'close' } satisfies ToWriter);
    await this.#exited;
  }

  #send(): void {
    while (this.#sent.size < MAX_SENT.writes) {
      const [next] = this.#waiting;
      if (next === undefined) return;
      if (this.#sent.size > 0 && this.#sentBytes + next.bytes > MAX_SENT.bytes) return;
      this.#waiting.shift();
      const id = this.#nextId++;
      this.#sent.set(id, next);
      this.#sentBytes += next.bytes;
      const { args, owned } = ownOctets(next.name, next.args);
      const request: WriteRequest = { kind: 'write', id, name: next.name, args };
      try {
        this.#worker.postMessage(request, owned);
      } catch (error) {
        // arguments that are no plain data: the caller's bug, and nobody else's
        this.#settle({ id, ok: false, error: sendError(error) });
      }
    }
  }

  #take(message: Extract<FromWriter, { kind: 'answers' }>): void {
    if (message.committed) this.#commits += 1;
    const { mailboxes, accounts } = message.touched;
    if (mailboxes.length + accounts.length > 0) this.#committed(message.touched);
    for (const answer of message.answers) this.#settle(answer);
    this.#send();
    if (this.#sent.size === 0 && this.#waiting.length === 0) this.#drained?.();
  }

  #settle(answer: Answer): void {
    const pending = this.#sent.get(answer.id);
    if (pending === undefined) return;
    this.#sent.delete(answer.id);
    this.#sentBytes -= pending.bytes;
    this.#writes += 1;
    if (answer.ok) pending.resolve(answer.result);
    else pending.reject(receiveError(answer.error));
  }

  /** The thread is gone. What was under way may or may not be in the database. */
  #die(cause: unknown): void {
    const expected = this.#ended?.code === 'closed' && this.#sent.size === 0;
    if (expected) return;
    const died = new StoreError('database-unavailable', 'the thread that writes has died', {
      cause,
    });
    this.#ended ??= died;
    const lost = [...this.#sent.values(), ...this.#waiting.splice(0)];
    this.#sent.clear();
    for (const pending of lost) pending.reject(died);
    this.#failure.reject(died);
    this.#drained?.();
  }
}
