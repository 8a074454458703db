/**
 * Fairness on the one thread that all sessions of a process share: long work counts what it does, and
 * after every so much of it lets the others have their turn.
 */
import { setImmediate as othersTurn } from 'node:timers/promises';

export class Turns {
  readonly #every: number;
  #left: number;

  /** `every` in whatever unit `spend` is called with; some milliseconds' worth at the most. */
  constructor(every: number) {
    this.#every = every;
    this.#left = every;
  }

  /** Counts work that was done. To be awaited; undefined while the turn goes on. */
  spend(work: number): Promise<void> | undefined {
    this.#left -= work;
    if (this.#left > 0) return undefined;
    this.#left = this.#every;
    return othersTurn();
  }
}
