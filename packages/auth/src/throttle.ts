/**
 * Slows password guessing: failures are counted by origin and by account, and past a few free ones each
 * doubles the wait. In memory, bounded, and forgetful; knows no passwords and does no I/O.
 *
 * An account that strangers guess at stays open to its owner: an origin that has logged in to it is
 * not held up by what others do.
 */

export interface ThrottleRule {
  /** Failures that cost nothing. */
  readonly free: number;
  readonly firstWaitMs: number;
  readonly longestWaitMs: number;
}

export interface ThrottleSettings {
  readonly byOrigin: ThrottleRule;
  readonly byAccount: ThrottleRule;
  /** Failures older than this are forgotten, and so is where an account has logged in from. */
  readonly memoryMs: number;
  /** Origins, accounts and pairs kept; the least recently seen go first. */
  readonly maxEntries: number;
}

export const DEFAULT_THROTTLE: ThrottleSettings = {
  byOrigin: { free: 10, firstWaitMs: 1_000, longestWaitMs: 300_000 },
  byAccount: { free: 10, firstWaitMs: 1_000, longestWaitMs: 60_000 },
  memoryMs: 3_600_000,
  maxEntries: 50_000,
};

interface Failures {
  count: number;
  /** Milliseconds on the throttle's clock. */
  notBefore: number;
  lastAt: number;
}

export class Throttle {
  readonly #settings: ThrottleSettings;
  readonly #now: () => number;
  readonly #origins = new Map<string, Failures>();
  readonly #accounts = new Map<string, Failures>();
  readonly #trusted = new Map<string, number>();

  /** `now` in milliseconds, never going back. */
  constructor(
    settings: ThrottleSettings = DEFAULT_THROTTLE,
    now: () => number = () => performance.now(),
  ) {
    this.#settings = settings;
    this.#now = now;
  }

  /** Milliseconds until this origin may try this account again; 0 for now. */
  waitMs(origin: string, account: string): number {
    const now = this.#now();
    const byOrigin = this.#recall(this.#origins, origin, now)?.notBefore ?? 0;
    const trustedAt = this.#trusted.get(pair(origin, account));
    const trusted = trustedAt !== undefined && now - trustedAt < this.#settings.memoryMs;
    const byAccount = trusted ? 0 : (this.#recall(this.#accounts, account, now)?.notBefore ?? 0);
    return Math.max(0, byOrigin - now, byAccount - now);
  }

  failed(origin: string, account: string): void {
    this.#count(this.#origins, origin, this.#settings.byOrigin);
    this.#count(this.#accounts, account, this.#settings.byAccount);
  }

  /**
   * Does not clear the origin's failures: whoever owns one account could otherwise guess at others for
   * ever.
   */
  succeeded(origin: string, account: string): void {
    keep(this.#trusted, pair(origin, account), this.#now(), this.#settings.maxEntries);
  }

  #recall(failures: Map<string, Failures>, key: string, now: number): Failures | undefined {
    const found = failures.get(key);
    return found && now - found.lastAt < this.#settings.memoryMs ? found : undefined;
  }

  #count(failures: Map<string, Failures>, key: string, rule: ThrottleRule): void {
    const now = this.#now();
    const count = (this.#recall(failures, key, now)?.count ?? 0) + 1;
    const doublings = count - rule.free - 1;
    const waitMs =
      doublings < 0 ? 0 : Math.min(rule.firstWaitMs * 2 ** doublings, rule.longestWaitMs);
    keep(failures, key, { count, notBefore: now + waitMs, lastAt: now }, this.#settings.maxEntries);
  }
}

function pair(origin: string, account: string): string {
  return `${origin} ${account}`;
}

/** Sets the entry as the most recent one and lets the least recent go when there are too many. */
function keep<T>(entries: Map<string, T>, key: string, value: T, maxEntries: number): void {
  entries.delete(key);
  entries.set(key, value);
  if (entries.size <= maxEntries) return;
  for (const oldest of entries.keys()) {
    entries.delete(oldest);
    return;
  }
}
