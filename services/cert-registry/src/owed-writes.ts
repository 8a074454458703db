/**
 * Writes that the disk has not taken yet: a full one must not end the registry, which goes on to serve.
 * They are said once, and tried again until they are done.
 */
import type { Logger } from '@mail/service';

const RETRY_MS = 5_000;

/** For the log. */
export interface OwedWritesWords {
  readonly owing: string;
  readonly settled: string;
}

export class OwedWrites {
  readonly #logger: Logger;
  readonly #words: OwedWritesWords;
  /** By what they are about: the last wish alone counts. */
  readonly #owed = new Map<string, () => void>();
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(logger: Logger, words: OwedWritesWords) {
    this.#logger = logger;
    this.#words = words;
  }

  /** Writes now, or as soon as the disk takes it, in place of what is owed under that key. Throws nothing. */
  write(key: string, write: () => void): void {
    try {
      write();
      this.forget(key);
    } catch (error) {
      if (this.#owed.size === 0) this.#logger.error({ error, key }, this.#words.owing);
      this.#owed.set(key, write);
      this.#arm();
    }
  }

  /** What is owed under that key is of no use any more. */
  forget(key: string): void {
    if (this.#owed.delete(key)) this.#settle();
  }

  /** Tries once more and then never again: the database may be closed from now on. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    if (this.#owed.size > 0) this.#retry();
  }

  #arm(): void {
    if (this.#stopped) return;
    this.#timer ??= setTimeout(() => this.#retry(), RETRY_MS);
  }

  #retry(): void {
    this.#timer = undefined;
    try {
      for (const [key, write] of this.#owed) {
        write();
        this.#owed.delete(key);
      }
      this.#settle();
    } catch {
      this.#arm();
    }
  }

  #settle(): void {
    if (this.#owed.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#logger.info(this.#words.settled);
  }
}
