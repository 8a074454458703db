/**
 * The throttle of one process together with what the others have seen. Failures are counted here at
 * once and told to the others soon, many in one write and one write at a time, so a flood of guesses
 * costs them a write a second; a login that succeeds writes nothing, unless its account is being guessed
 * at: then the others hear from where its owner comes, and let the owner in.
 */
import { sha256 } from './scram-keys.ts';
import {
  DEFAULT_THROTTLE,
  Throttle,
  type ThrottleRule,
  type ThrottleSettings,
  waitMsAfter,
} from './throttle.ts';

export interface LoginKey {
  readonly kind: 'origin' | 'account' | 'known';
  readonly key: string;
}

export interface LoginNote extends LoginKey {
  readonly failures: number;
}

export interface LoginRecord extends LoginNote {
  /** Milliseconds since the epoch. */
  readonly lastAt: number;
}

/** What all processes share: a part of the store's `logins`. */
export interface LoginRecords {
  records(keys: readonly LoginKey[]): Promise<LoginRecord[]>;
  note(notes: readonly LoginNote[], memoryMs: number, keepAtMost: number): Promise<void>;
}

export interface SharedThrottleOptions {
  readonly records: LoginRecords;
  readonly logger: { warn(fields: object, message: string): void };
  readonly settings?: ThrottleSettings;
  /** Milliseconds, never going back. */
  readonly now?: () => number;
  /** Milliseconds since the epoch, as other processes have them. */
  readonly wallNow?: () => number;
}

/** One attempt to log in, from the first look to its end. */
export interface Knock {
  /** Milliseconds until it makes sense to try again; 0 for now. */
  readonly waitMs: number;
  /** The same a while later, of what this process has seen: guesses come side by side. */
  waitMsNow(): number;
  failed(): void;
  succeeded(): void;
}

/** Between two writes of a process. */
const NOTE_EVERY_MS = 1_000;
/** Records that wait for the next write; failures beyond them are this process's own knowledge. */
const MAX_WAITING_NOTES = 1_000;
/** Of each kind, in the store. */
const KEEP_AT_MOST = 20_000;
/** 132 bits of a hash: names that somebody tried are kept nowhere, nor how long they were. */
const KEY_CHARACTERS = 22;

export class SharedThrottle {
  readonly #settings: ThrottleSettings;
  readonly #own: Throttle;
  readonly #records: LoginRecords;
  readonly #logger: SharedThrottleOptions['logger'];
  readonly #now: () => number;
  readonly #wallNow: () => number;
  #waiting = new Map<string, LoginNote>();
  #timer: NodeJS.Timeout | undefined;
  #nextNoteAt = 0;

  constructor(options: SharedThrottleOptions) {
    this.#settings = options.settings ?? DEFAULT_THROTTLE;
    this.#now = options.now ?? (() => performance.now());
    this.#wallNow = options.wallNow ?? Date.now;
    this.#own = new Throttle(this.#settings, this.#now);
    this.#records = options.records;
    this.#logger = options.logger;
  }

  /** `account` is undefined where the login names none. Rejects as `records` does. */
  async knock(origin: string, account: string | undefined): Promise<Knock> {
    const { byOrigin, byAccount } = this.#settings;
    const originKey = keyOf('origin', origin);
    const accountKey = account === undefined ? undefined : keyOf('account', account);
    const known = account === undefined ? undefined : keyOf('known', origin, account);
    const keys = [originKey, accountKey, known].filter((key) => key !== undefined);
    const found = await this.#records.records(keys);
    const recordOf = (wanted: LoginKey | undefined) =>
      found.find((record) => record.kind === wanted?.kind && record.key === wanted.key);
    const isKnown = this.#isFresh(recordOf(known));
    const accountRecord = recordOf(accountKey);
    const waitMsNow = (): number => {
      const ofOrigin = this.#own.waitMsOfOrigin(origin);
      if (account === undefined || isKnown || this.#own.trusts(origin, account)) return ofOrigin;
      return Math.max(ofOrigin, this.#own.waitMsOfAccount(account));
    };
    const trusted = account !== undefined && (isKnown || this.#own.trusts(origin, account));
    return {
      waitMs: Math.max(
        waitMsNow(),
        this.#rest(recordOf(originKey), byOrigin),
        trusted ? 0 : this.#rest(accountRecord, byAccount),
      ),
      waitMsNow,
      failed: () => {
        this.#own.failed(origin, account);
        this.#note(originKey, 1);
        if (accountKey !== undefined) this.#note(accountKey, 1);
      },
      succeeded: () => {
        if (account === undefined) return;
        const shared = this.#isFresh(accountRecord) ? (accountRecord?.failures ?? 0) : 0;
        const underGuesses = Math.max(shared, this.#own.failuresOf(account)) >= byAccount.free;
        if (known !== undefined && underGuesses && !isKnown) this.#note(known, 0);
        this.#own.succeeded(origin, account);
      },
    };
  }

  #isFresh(record: LoginRecord | undefined): boolean {
    return record !== undefined && this.#wallNow() - record.lastAt < this.#settings.memoryMs;
  }

  /** No longer than the rule says, whatever the clocks of other hosts do. */
  #rest(record: LoginRecord | undefined, rule: ThrottleRule): number {
    if (record === undefined || !this.#isFresh(record)) return 0;
    const waitMs = waitMsAfter(record.failures, rule);
    return Math.min(waitMs, Math.max(0, record.lastAt + waitMs - this.#wallNow()));
  }

  #note({ kind, key }: LoginKey, failures: number): void {
    const at = `${kind} ${key}`;
    const before = this.#waiting.get(at);
    if (before === undefined && this.#waiting.size >= MAX_WAITING_NOTES) return;
    this.#waiting.set(at, { kind, key, failures: failures + (before?.failures ?? 0) });
    this.#schedule();
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#waiting.size === 0) return;
    const pauseMs = Math.max(0, this.#nextNoteAt - this.#now());
    this.#timer = setTimeout(() => this.#send(), pauseMs).unref();
  }

  async #send(): Promise<void> {
    const notes = [...this.#waiting.values()];
    this.#waiting = new Map();
    try {
      await this.#records.note(notes, this.#settings.memoryMs, KEEP_AT_MOST);
    } catch (error) {
      // a process that ends has nobody to tell
      if (isClosed(error)) return;
      this.#logger.warn({ error }, 'other processes were not told of failed logins');
    }
    this.#nextNoteAt = this.#now() + NOTE_EVERY_MS;
    this.#timer = undefined;
    this.#schedule();
  }
}

function isClosed(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'closed';
}

function keyOf(kind: LoginKey['kind'], ...parts: readonly string[]): LoginKey {
  const key = sha256(parts.join('\n')).toString('base64url').slice(0, KEY_CHARACTERS);
  return { kind, key };
}
