/**
 * The owner of the thread that searches texts (text-searcher-thread.ts), which starts with the first search:
 * going through texts, and cold pages of the disk, would hold up the thread that speaks protocols.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { StoreError } from '../../errors.ts';
import type { TextPage } from '../../mail-store.ts';
import type { TextQuery } from '../../search.ts';
import { receiveError, type SentError } from '../sent-error.ts';

export interface SearchRequest {
  readonly id: number;
  readonly query: TextQuery;
}

export type ToSearcher = SearchRequest | 'close';

export type SearchAnswer =
  | { readonly id: number; readonly ok: true; readonly page: TextPage }
  | { readonly id: number; readonly ok: false; readonly error: SentError };

interface Pending {
  resolve(page: TextPage): void;
  reject(error: Error): void;
}

export class TextSearcher {
  readonly #path: string;
  readonly #pending = new Map<number, Pending>();
  #worker: Worker | undefined;
  #nextId = 1;

  constructor(path: string) {
    this.#path = path;
  }

  /** Throws StoreError (no-such-mailbox), and database-unavailable where the thread dies of it. */
  find(query: TextQuery): Promise<TextPage> {
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      this.#worker ??= this.#start();
      this.#worker.postMessage({ id, query } satisfies ToSearcher);
      this.#pending.set(id, { resolve, reject });
      this.#worker.ref();
    });
  }

  /** Once nothing is asked any more. */
  async close(): Promise<void> {
    const worker = this.#worker;
    if (worker === undefined) return;
    const ended = once(worker, 'exit');
    worker.postMessage('close' satisfies ToSearcher);
    await ended;
  }

  #start(): Worker {
    const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const worker = new Worker(new URL(`./text-searcher-thread.${ending}`, import.meta.url), {
      name: 'store-searcher',
      workerData: this.#path,
    });
    worker.on('message', (answer: SearchAnswer) => this.#take(answer));
    worker.on('error', (cause) => this.#lose(worker, cause));
    worker.once('exit', () => this.#lose(worker, undefined));
    return worker;
  }

  #take(answer: SearchAnswer): void {
    const pending = this.#pending.get(answer.id);
    this.#pending.delete(answer.id);
    // idle, it keeps no process that is done
    if (this.#pending.size === 0) this.#worker?.unref();
    if (answer.ok) pending?.resolve(answer.page);
    else pending?.reject(receiveError(answer.error));
  }

  #lose(worker: Worker, cause: unknown): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    const lost = [...this.#pending.values()];
    this.#pending.clear();
    const error = new StoreError('database-unavailable', 'the thread that searches has died', {
      cause,
    });
    for (const pending of lost) pending.reject(error);
  }
}
