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
    return Math.max(
      this.waitMsOfOrigin(origin),
      this.trusts(origin, account) ? 0 : this.waitMsOfAccount(account),
    );
  }

  waitMsOfOrigin(origin: string): number {
    return this.#rest(this.#origins, origin);
  }

  waitMsOfAccount(account: string): number {
    return this.#rest(this.#accounts, account);
  }

  /** Whether this origin has logged in to this account of late. */
  trusts(origin: string, account: string): boolean {
    const at = this.#trusted.get(pair(origin, account));
    return at !== undefined && this.#now() - at < this.#settings.memoryMs;
  }

  /** Failed logins to this account that are remembered. */
  failuresOf(account: string): number {
    return this.#recall(this.#accounts, account, this.#now())?.count ?? 0;
  }

  /** Without an account where the login named none. */
  failed(origin: string, account: string | undefined): void {
    this.#count(this.#origins, origin, this.#settings.byOrigin);
    if (account !== undefined) this.#count(this.#accounts, account, this.#settings.byAccount);
  }

  /**
   * Does not clear the origin's failures: whoever owns one account could otherwise guess at others for
   * ever.
   */
  succeeded(origin: string, account: string): void {
    keep(this.#trusted, pair(origin, account), this.#now(), this.#settings.maxEntries);
  }

  #rest(failures: Map<string, Failures>, key: string): number {
    const now = this.#now();
    return Math.max(0, (this.#recall(failures, key, now)?.notBefore ?? 0) - now);
  }

  #recall(failures: Map<string, Failures>, key: string, now: number): Failures | undefined {
    const found = failures.get(key);
    return found && now - found.lastAt < this.#settings.memoryMs ? found : undefined;
  }

  #count(failures: Map<string, Failures>, key: string, rule: ThrottleRule): void {
    const now = this.#now();
    const count = (this.#recall(failures, key, now)?.count ?? 0) + 1;
    const notBefore = now + waitMsAfter(count, rule);
    keep(failures, key, { count, notBefore, lastAt: now }, this.#settings.maxEntries);
  }
}

/** How long the next try waits after so many failures. */
export function waitMsAfter(failures: number, rule: ThrottleRule): number {
  const doublings = failures - rule.free - 1;
  return doublings < 0 ? 0 : Math.min(rule.firstWaitMs * 2 ** doublings, rule.longestWaitMs);
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
