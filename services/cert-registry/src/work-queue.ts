/** Work that costs much memory or time: a few at once, some wait, the rest is refused. */
import { RegistryError } from './errors.ts';

export interface WorkQueueLimits {
  readonly atOnce: number;
  readonly waiting: number;
}

export class WorkQueue {
  readonly #limits: WorkQueueLimits;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(limits: WorkQueueLimits) {
    this.#limits = limits;
  }

  /** Resolves and rejects as `work` does, in its turn. Rejects with RegistryError (exhausted). */
  async run<T>(work: () => T | Promise<T>): Promise<T> {
    if (this.#running < this.#limits.atOnce) this.#running += 1;
    else await this.#turn();
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      // its place goes on to the next, or is given up
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }

  #turn(): Promise<void> {
    if (this.#waiting.length >= this.#limits.waiting) {
      throw new RegistryError('exhausted', 'too many imports and new keys at once; try again soon');
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}
