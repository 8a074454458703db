/**
 * Work of many sessions on the same thing, one after another: all that watch a mailbox wake at once, and would
 * otherwise hold the thread for as long as all of them take together.
 */
export class OneByOne<Key> {
  readonly #last = new Map<Key, Promise<void>>();

  /** Runs `work` behind what was given before it for `key`, however that has ended. Rejects as `work`. */
  async run<T>(key: Key, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last.set(key, promise);
    try {
      await before;
      return await work();
    } finally {
      if (this.#last.get(key) === promise) this.#last.delete(key);
      resolve();
    }
  }

  /** Keys of which work is under way. */
  get size(): number {
    return this.#last.size;
  }
}
