/**
 * Memory for large literals, over all connections of a process: who wants to send one waits in line
 * until there is room, before the go-ahead. Without this every client that is logged in could make us
 * hold a message of the largest size at the same time.
 */
import { refuse } from './errors.ts';

export interface LiteralBudgetSettings {
  /** For all literals together; no less than the largest single one. */
  readonly octets: number;
  /** How long a client waits for room. */
  readonly waitMs: number;
}

interface Waiting {
  readonly octets: number;
  readonly admit: () => void;
}

export class LiteralBudget {
  readonly #settings: LiteralBudgetSettings;
  #free: number;
  readonly #line: Waiting[] = [];

  constructor(settings: LiteralBudgetSettings) {
    this.#settings = settings;
    this.#free = settings.octets;
  }

  /** Resolves to how to give the memory back (once). Throws ReplyError NO [UNAVAILABLE] after the wait. */
  async reserve(octets: number): Promise<() => void> {
    if (this.#line.length > 0 || octets > this.#free) await this.#wait(octets);
    else this.#free -= octets;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#free += octets;
      this.#admit();
    };
  }

  #wait(octets: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        octets,
        admit: () => {
          clearTimeout(timer);
          resolve();
        },
      };
      const timer = setTimeout(() => {
        this.#line.splice(this.#line.indexOf(waiting), 1);
        // the line may have stood behind this one alone
        this.#admit();
        reject(refuse('UNAVAILABLE', 'Too many messages are arriving, try again later'));
      }, this.#settings.waitMs);
      this.#line.push(waiting);
    });
  }

  /** Lets in, in order, those that there is room for. */
  #admit(): void {
    for (let next = this.#line[0]; next && next.octets <= this.#free; next = this.#line[0]) {
      this.#line.shift();
      this.#free -= next.octets;
      next.admit();
    }
  }
}
