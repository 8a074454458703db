/** Memory for messages that are arriving, over all connections of a process. */

/** What one message holds. */
export interface MemoryShare {
  /** False, and nothing is taken, where so much is not left. */
  take(octets: number): boolean;
  /** Gives back all of it. Idempotent. */
  release(): void;
}

export class MessageMemory {
  #free: number;

  constructor(octets: number) {
    this.#free = octets;
  }

  get free(): number {
    return this.#free;
  }

  share(): MemoryShare {
    let held = 0;
    return {
      take: (octets) => {
        if (octets > this.#free) return false;
        this.#free -= octets;
        held += octets;
        return true;
      },
      release: () => {
        this.#free += held;
        held = 0;
      },
    };
  }
}
