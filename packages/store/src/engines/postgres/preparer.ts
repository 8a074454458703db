/** The owner of the thread that parses messages (preparer-thread.ts), which starts with the first one. */
import { Worker } from 'node:worker_threads';
import { StoreError } from '../../errors.ts';
import { ownOctets } from '../../write-octets.ts';
import type { PreparedWrite, WriteArguments, WriteName } from '../../writes.ts';
import { receiveError } from '../sent-error.ts';
import type { PrepareAnswer, PrepareRequest } from './preparer-messages.ts';

interface Pending {
  resolve(prepared: PreparedWrite<WriteName>): void;
  reject(error: Error): void;
}

export class WritePreparer {
  readonly #pending = new Map<number, Pending>();
  #worker: Worker | undefined;
  #nextId = 1;

  /**
   * Takes a copy of the messages before it returns. Throws StoreError (database-unavailable) where the
   * thread dies of it; the next write starts another.
   */
  prepare<N extends WriteName>(name: N, args: WriteArguments<N>): Promise<PreparedWrite<N>> {
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      const own = ownOctets(name, args);
      const request: PrepareRequest = { id, name, args: own.args };
      this.#worker ??= this.#start();
      // arguments that are no plain data: the caller's bug, thrown from here
      this.#worker.postMessage(request, own.owned);
      this.#pending.set(id, { resolve: resolve as Pending['resolve'], reject });
      this.#worker.ref();
    });
  }

  async close(): Promise<void> {
    await this.#worker?.terminate();
  }

  #start(): Worker {
    const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const worker = new Worker(new URL(`./preparer-thread.${ending}`, import.meta.url), {
      name: 'store-preparer',
    });
    worker.on('message', (answer: PrepareAnswer) => this.#take(answer));
    worker.on('error', (cause) => this.#lose(worker, cause));
    worker.once('exit', () => this.#lose(worker, undefined));
    return worker;
  }

  #take(answer: PrepareAnswer): void {
    const pending = this.#pending.get(answer.id);
    this.#pending.delete(answer.id);
    // idle, it keeps no process that is done
    if (this.#pending.size === 0) this.#worker?.unref();
    if (answer.ok) pending?.resolve(answer.prepared);
    else pending?.reject(receiveError(answer.error));
  }

  #lose(worker: Worker, cause: unknown): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    const lost = [...this.#pending.values()];
    this.#pending.clear();
    const error = new StoreError('database-unavailable', 'the thread that parses mail has died', {
      cause,
    });
    for (const pending of lost) pending.reject(error);
  }
}
