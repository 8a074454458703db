/**
 * A login: throttle, look up, verify, remember. Where accounts live is the caller's; every way to fail
 * looks the same from outside, whether or not the account exists.
 */
import { AuthError } from './errors.ts';
import { PasswordHasher } from './password.ts';
import { Throttle } from './throttle.ts';

export interface AuthenticatorOptions<Account> {
  /** The account and its PHC string; undefined where there is none. */
  readonly lookUp: (
    address: string,
  ) => Promise<{ account: Account; passwordHash: string } | undefined>;
  /** Keeps a hash that was renewed at a login because the cost has changed. */
  readonly renewHash?: (account: Account, passwordHash: string) => Promise<void>;
  readonly hasher?: PasswordHasher;
  readonly throttle?: Throttle;
}

export interface LoginAttempt {
  /** The whole address. */
  readonly address: string;
  readonly password: string;
  /** Whoever counts as one party on the network: an IPv4 address, an IPv6 /64. */
  readonly origin: string;
}

export type LoginOutcome<Account> =
  | { readonly kind: 'accepted'; readonly account: Account }
  /** Wrong password or no such account. */
  | { readonly kind: 'refused' }
  /** Too many failures; nothing was checked. */
  | { readonly kind: 'throttled'; readonly retryAfterMs: number }
  /** Overloaded; nothing was checked. */
  | { readonly kind: 'busy' };

/** RFC 5321 §4.5.3.1: 64 octets, "@", 255 octets. Of longer names the throttle keeps no more. */
const MAX_ADDRESS_CHARACTERS = 320;

/** One for a process: its hasher bounds memory, its throttle sees every failure. */
export class Authenticator<Account> {
  readonly #options: AuthenticatorOptions<Account>;
  readonly #hasher: PasswordHasher;
  readonly #throttle: Throttle;

  constructor(options: AuthenticatorOptions<Account>) {
    this.#options = options;
    this.#hasher = options.hasher ?? new PasswordHasher();
    this.#throttle = options.throttle ?? new Throttle();
  }

  /** Rejects with what the look-up rejects with, and with AuthError (bad-hash). */
  async authenticate(attempt: LoginAttempt): Promise<LoginOutcome<Account>> {
    const { origin, password } = attempt;
    const name = attempt.address.toLowerCase().slice(0, MAX_ADDRESS_CHARACTERS);
    const before = this.#throttle.waitMs(origin, name);
    if (before > 0) return { kind: 'throttled', retryAfterMs: before };
    try {
      const found = await this.#options.lookUp(attempt.address);
      const { correct, outdated } = await this.#hasher.verify(found?.passwordHash, password);
      // guesses made side by side must not all be answered
      const since = this.#throttle.waitMs(origin, name);
      if (since > 0) return { kind: 'throttled', retryAfterMs: since };
      if (!found || !correct) {
        this.#throttle.failed(origin, name);
        return { kind: 'refused' };
      }
      this.#throttle.succeeded(origin, name);
      if (outdated) await this.#renew(found.account, password);
      return { kind: 'accepted', account: found.account };
    } catch (error) {
      if (isBusy(error)) return { kind: 'busy' };
      throw error;
    }
  }

  async #renew(account: Account, password: string): Promise<void> {
    if (!this.#options.renewHash) return;
    try {
      await this.#options.renewHash(account, await this.#hasher.hash(password));
    } catch (error) {
      // the next login will do
      if (!isBusy(error)) throw error;
    }
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof AuthError && error.code === 'busy';
}
