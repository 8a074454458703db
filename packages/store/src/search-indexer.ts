/**
 * Makes and indexes search texts in the background, as deliveries leave time for it. Any process does it, and
 * goes on where another died.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type { Logger } from '@mail/service';
import type { Engine } from './engine.ts';
import { StoreError } from './errors.ts';
import { readUnfilled } from './search-fill.ts';
import { countUnindexed } from './search-index.ts';

const LOOK_EVERY_MS = 10_000;
/** Fewer texts are gone through as fast as the index is asked, and batches make a smaller index. */
const WORTH_INDEXING = 256;
/** Times what a piece of the work took: so much of the time is left to others. */
const PAUSE_FACTOR = 2;

/** Rejects when it is aborted. */
type Pause = (ms: number, signal: AbortSignal) => Promise<void>;

const pauseQuietly: Pause = (ms, signal) => wait(ms, undefined, { signal, ref: false });

export class TextIndexer {
  readonly #engine: Pick<Engine, 'read' | 'write'>;
  readonly #logger: Logger;
  readonly #pause: Pause;
  readonly #stopping = new AbortController();
  readonly #timer: NodeJS.Timeout;
  #working = false;
  #filled = false;

  constructor(engine: Pick<Engine, 'read' | 'write'>, logger: Logger, pause: Pause = pauseQuietly) {
    this.#engine = engine;
    this.#logger = logger;
    this.#pause = pause;
    this.#timer = setInterval(() => void this.#work(), LOOK_EVERY_MS).unref();
  }

  /** What is left waits for the next look of whichever process. */
  stop(): void {
    this.#stopping.abort();
    clearInterval(this.#timer);
  }

  async #work(): Promise<void> {
    if (this.#working) return;
    this.#working = true;
    try {
      if (!this.#filled) {
        const { after, upTo } = await this.#engine.read(readUnfilled);
        if (after < upTo) await this.#doAll('fillTexts');
        this.#filled = true;
      }
      const waiting = await this.#engine.read((db) => countUnindexed(db, WORTH_INDEXING));
      if (waiting === WORTH_INDEXING) await this.#doAll('indexTexts');
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      if (error instanceof StoreError && error.code === 'closed') return;
      this.#logger.warn({ error }, 'cannot index the texts of messages; searches go through them');
    } finally {
      this.#working = false;
    }
  }

  async #doAll(name: 'fillTexts' | 'indexTexts'): Promise<void> {
    const { signal } = this.#stopping;
    for (let more = true; more; ) {
      const startedAt = performance.now();
      more = await this.#engine.write(name, null);
      const took = performance.now() - startedAt;
      await this.#pause(took * PAUSE_FACTOR, signal);
    }
  }
}
