/** Runs sweeps (sweep.ts) until nothing is left to free, never two at once; now and then by itself. */
import type { Logger } from '@mail/service';
import type { Engine } from './engine.ts';
import { StoreError } from './errors.ts';

/** For what was expunged a while ago, by whichever process. */
const SWEEP_EVERY_MS = 10 * 60_000;

export class Sweeper {
  readonly #engine: Pick<Engine, 'write'>;
  readonly #logger: Logger;
  #running: Promise<void> = Promise.resolve();
  /** Asked for and not begun: it serves everybody who asks until it begins. */
  #next: Promise<void> | undefined;
  #stopped = false;
  readonly #timer: NodeJS.Timeout;

  constructor(engine: Pick<Engine, 'write'>, logger: Logger) {
    this.#engine = engine;
    this.#logger = logger;
    this.#timer = setInterval(() => this.sweepInBackground(), SWEEP_EVERY_MS).unref();
  }

  /** Resolves when all that was removed before the call, and may go, is freed. Throws as writes do. */
  sweep(): Promise<void> {
    this.#next ??= this.#running
      .catch(() => {})
      .then(() => {
        this.#next = undefined;
        this.#running = this.#sweepAll();
        return this.#running;
      });
    return this.#next;
  }

  sweepInBackground(): void {
    this.sweep().catch((error: unknown) => {
      if (error instanceof StoreError && error.code === 'closed') return;
      this.#logger.warn({ error }, 'cannot free what removed mail leaves behind');
    });
  }

  /** What is left waits for the next process to open the store. */
  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
  }

  async #sweepAll(): Promise<void> {
    let more = true;
    // each piece is a write of its own, and others take their turn between them
    while (more && !this.#stopped) more = await this.#engine.write('sweep', null);
  }
}
