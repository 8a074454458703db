/** How many writes run at once; the others wait their turn, not for ever and not without number. */
import { StoreError } from '../../errors.ts';

export interface TurnLimits {
  readonly running: number;
  /** Beyond so many the database is not keeping up, and refusing is kinder than queueing. */
  readonly waiting: number;
  readonly patienceMs: number;
}

interface Waiting {
  readonly begin: () => void;
  readonly timer: NodeJS.Timeout;
}

export class Turns {
  readonly #limits: TurnLimits;
  readonly #waiting = new Set<Waiting>();
  #running = 0;

  constructor(limits: TurnLimits) {
    this.#limits = limits;
  }

  /** Begins before it returns where a turn is free. Throws StoreError (database-unavailable). */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running < this.#limits.running) this.#running += 1;
    else await this.#wait();
    try {
      return await work();
    } finally {
      this.#pass();
    }
  }

  #wait(): Promise<void> {
    if (this.#waiting.size >= this.#limits.waiting) return Promise.reject(tooBusy());
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(waiting);
        reject(tooBusy());
      }, this.#limits.patienceMs);
      const waiting: Waiting = { begin: resolve, timer };
      this.#waiting.add(waiting);
    });
  }

  /** The turn goes to who has waited longest. */
  #pass(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#running -= 1;
      return;
    }
    this.#waiting.delete(next);
    clearTimeout(next.timer);
    next.begin();
  }
}

function tooBusy(): StoreError {
  return new StoreError('database-unavailable', 'too many writes wait for PostgreSQL');
}
