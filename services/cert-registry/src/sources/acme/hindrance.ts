/** What stands in the way of something that is tried again and again: told when it begins, and not each time. */
import type { Logger } from '@mail/service';
import { reasonOf } from './errors.ts';

export class Hindrance {
  readonly #logger: Logger;
  readonly #what: string;
  #told = '';
  #reason = '';

  /** `what` cannot be done, for people: "cannot fly". */
  constructor(what: string, logger: Logger) {
    this.#what = what;
    this.#logger = logger;
  }

  /** For the operator, beside what else is told; empty where that says it, or nothing stands in the way. */
  beside(told: string): string {
    return told.includes(this.#reason) ? '' : `${this.#what}: ${this.#reason}`;
  }

  is(error: unknown): void {
    this.#reason = reasonOf(error);
    const told = String(error);
    if (told !== this.#told) this.#logger.error({ error, reason: this.#reason }, this.#what);
    this.#told = told;
  }

  isOver(): void {
    this.#told = '';
    this.#reason = '';
  }
}
