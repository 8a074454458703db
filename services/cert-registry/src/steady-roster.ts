/**
 * The roster of remembered subscribers, kept through a disk that takes no writes. Only a restart before it
 * does could make a difference, and then not wait for a subscriber that is cut off.
 */
import type { Logger } from '@mail/service';
import type { Roster } from './conductor.ts';
import type { KnownSubscriber, SubscriberName } from './coordinator.ts';
import { OwedWrites } from './owed-writes.ts';

export class SteadyRoster implements Roster {
  readonly #disk: Roster;
  readonly #owed: OwedWrites;

  /** `disk` throws where it can't write. */
  constructor(disk: Roster, logger: Logger) {
    this.#disk = disk;
    this.#owed = new OwedWrites(logger, {
      owing: 'a subscriber could not be remembered over a restart; trying again',
      settled: 'all subscribers are remembered again',
    });
  }

  /** Throws nothing, as `forget`. */
  remember(subscriber: KnownSubscriber): void {
    this.#owed.write(keyOf(subscriber), () => this.#disk.remember(subscriber));
  }

  forget(subscriber: SubscriberName): void {
    this.#owed.write(keyOf(subscriber), () => this.#disk.forget(subscriber));
  }

  stop(): void {
    this.#owed.stop();
  }
}

function keyOf({ service, instance }: SubscriberName): string {
  return JSON.stringify([service, instance]);
}
