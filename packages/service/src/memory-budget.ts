/**
 * Memory for messages that arrive from strangers, over all connections of a process. It is taken as the
 * octets come, so that who announces much and sends nothing holds nothing; and nobody holds more than a
 * share of it, so that one party cannot keep all others out. Who gets none is refused for now.
 */

export interface MemoryBudgetSettings {
  /** Octets for all together. */
  readonly octets: number;
  /** Octets for one holder. */
  readonly perHolder: number;
}

/** What one message holds. */
export interface MemoryShare {
  /** False, and nothing is taken, where so much is not left, or not for this holder. */
  take(octets: number): boolean;
  /** Gives back all of it. Idempotent; more can be taken afterwards. */
  release(): void;
}

export class MemoryBudget {
  readonly #settings: MemoryBudgetSettings;
  readonly #heldBy = new Map<string, number>();
  #free: number;

  constructor(settings: MemoryBudgetSettings) {
    this.#settings = settings;
    this.#free = settings.octets;
  }

  /** Octets that nobody holds. */
  get free(): number {
    return this.#free;
  }

  /** `holder` is whoever counts as one party: an account, or a block of addresses. */
  share(holder: string): MemoryShare {
    let held = 0;
    const change = (octets: number): void => {
      held += octets;
      this.#free -= octets;
      const all = (this.#heldBy.get(holder) ?? 0) + octets;
      if (all > 0) this.#heldBy.set(holder, all);
      else this.#heldBy.delete(holder);
    };
    return {
      take: (octets) => {
        const all = (this.#heldBy.get(holder) ?? 0) + octets;
        if (octets > this.#free || all > this.#settings.perHolder) return false;
        change(octets);
        return true;
      },
      release: () => change(-held),
    };
  }
}

/** A message is held twice while it is stored: as it came, and as the whole that the store's writer has. */
const COPIES = 2;
/** One holder may have a quarter. */
const HOLDERS = 4;

/**
 * The budget for the octets of messages that take `memoryBytes` in all. The largest message, of
 * `maxMessageBytes`, always fits, for one holder too.
 */
export function messageBudget(memoryBytes: number, maxMessageBytes: number): MemoryBudget {
  const octets = Math.max(Math.floor(memoryBytes / COPIES), maxMessageBytes);
  return new MemoryBudget({
    octets,
    perHolder: Math.max(Math.floor(octets / HOLDERS), maxMessageBytes),
  });
}
