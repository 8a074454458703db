/**
 * The roster of remembered subscribers, kept through a disk that takes no writes: a full one must not end
 * the registry, which goes on to serve. What could not be written is said once, and tried again until it
 * is; only a restart in between could make a difference, and then not wait for a subscriber that is cut off.
 */
import type { Logger } from '@mail/service';
import type { Roster } from './conductor.ts';
import type { KnownSubscriber, SubscriberName } from './coordinator.ts';

const RETRY_MS = 5_000;

export class SteadyRoster implements Roster {
  readonly #disk: Roster;
  readonly #logger: Logger;
  /** The last wish of each subscriber that is not on the disk yet. */
  readonly #owed = new Map<string, () => void>();
  #timer: NodeJS.Timeout | undefined;

  /** `disk` throws where it can't write. */
  constructor(disk: Roster, logger: Logger) {
    this.#disk = disk;
    this.#logger = logger;
  }

  /** Throws nothing, as `forget`. */
  remember(subscriber: KnownSubscriber): void {
    this.#write(subscriber, () => this.#disk.remember(subscriber));
  }

  forget(subscriber: SubscriberName): void {
    this.#write(subscriber, () => this.#disk.forget(subscriber));
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #write({ service, instance }: SubscriberName, write: () => void): void {
    const key = JSON.stringify([service, instance]);
    try {
      write();
      this.#owed.delete(key);
    } catch (error) {
      if (this.#owed.size === 0) {
        this.#logger.error(
          { error, service, instance },
          'a subscriber could not be remembered over a restart; trying again',
        );
        this.#timer = setTimeout(() => this.#retry(), RETRY_MS);
      }
      this.#owed.set(key, write);
    }
  }

  #retry(): void {
    try {
      for (const [key, write] of this.#owed) {
        write();
        this.#owed.delete(key);
      }
      this.#logger.info('all subscribers are remembered again');
    } catch {
      this.#timer = setTimeout(() => this.#retry(), RETRY_MS);
    }
  }
}
