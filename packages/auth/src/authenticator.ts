/**
 * A login: throttle, look up, verify, count. Where accounts live and how addresses are compared is the
 * caller's. A wrong password and an account that does not exist are answered alike.
 */
import { AuthError } from './errors.ts';
import { PasswordHasher } from './password.ts';
import { Throttle } from './throttle.ts';

/** Whom a login is for. */
export interface HasId {
  readonly id: number;
}

/** What is asked of whoever keeps accounts: a part of the store's `accounts`. */
export interface Credentials<Account extends HasId> {
  /** The account and its PHC string; undefined where there is none. */
  credentials(
    address: string,
  ): Promise<{ readonly account: Account; readonly passwordHash: string } | undefined>;
  /** Puts `to` in the place of `from` and of nothing else: the password may have changed meanwhile. */
  renewPasswordHash(id: Account['id'], from: string, to: string): Promise<void>;
}

export interface AuthenticatorOptions<Account extends HasId> {
  readonly accounts: Credentials<Account>;
  /** The `key` is equal for all spellings of one address, whether or not it has an account. */
  readonly parseAddress: (text: string) => { readonly key: string } | undefined;
  readonly logger: {
    info(fields: object, message: string): void;
    warn(fields: object, message: string): void;
  };
  /** Counts logins by how they ended. */
  readonly logins: {
    inc(labels: { outcome: LoginOutcome<Account>['kind']; mechanism: LoginMechanism }): void;
  };
  readonly hasher?: PasswordHasher;
  readonly throttle?: Throttle;
}

/** How a client says who it is: SASL PLAIN, SASL LOGIN or IMAP's command of that name, USER and PASS. */
export type LoginMechanism = 'plain' | 'login' | 'user';

export interface LoginAttempt {
  readonly mechanism: LoginMechanism;
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
  /** Too many failures; nothing was checked. Whole seconds until it makes sense to try again. */
  | { readonly kind: 'throttled'; readonly retryAfterSeconds: number }
  /** Overloaded; nothing was checked. */
  | { readonly kind: 'busy' };

/** RFC 5321 §4.5.3.1: 64 octets, "@", 255 octets. Of longer names the throttle keeps no more. */
const MAX_ADDRESS_CHARACTERS = 320;
const MS_PER_SECOND = 1_000;

/** One for a process: its hasher bounds memory, its throttle sees every failure. */
export class Authenticator<Account extends HasId> {
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
    const outcome = await this.#decide(attempt);
    const { mechanism, origin } = attempt;
    const { logger, logins } = this.#options;
    logins.inc({ outcome: outcome.kind, mechanism });
    // for whoever bans addresses by the log; which account was tried is nobody's business
    if (outcome.kind === 'refused' || outcome.kind === 'throttled') {
      logger.info({ outcome: outcome.kind, mechanism, origin }, 'a login was refused');
    }
    return outcome;
  }

  async #decide({ address, password, origin }: LoginAttempt): Promise<LoginOutcome<Account>> {
    // what is no address has no account that other spellings could be tried at
    const key =
      this.#options.parseAddress(address)?.key ?? address.slice(0, MAX_ADDRESS_CHARACTERS);
    const before = this.#throttle.waitMs(origin, key);
    if (before > 0) return throttledFor(before);
    try {
      const found = await this.#options.accounts.credentials(address);
      const { correct, outdated } = await this.#hasher.verify(found?.passwordHash, password);
      // guesses made side by side must not all be answered
      const since = this.#throttle.waitMs(origin, key);
      if (since > 0) return throttledFor(since);
      if (!found || !correct) {
        this.#throttle.failed(origin, key);
        return { kind: 'refused' };
      }
      this.#throttle.succeeded(origin, key);
      if (outdated) await this.#renew(found.account, found.passwordHash, password);
      return { kind: 'accepted', account: found.account };
    } catch (error) {
      if (isBusy(error)) return { kind: 'busy' };
      throw error;
    }
  }

  /** Never rejects: the login is good, and the next one will renew as well. */
  async #renew(account: Account, from: string, password: string): Promise<void> {
    const { accounts, logger } = this.#options;
    try {
      await accounts.renewPasswordHash(account.id, from, await this.#hasher.hash(password));
    } catch (error) {
      if (!isBusy(error)) logger.warn({ error }, 'a password hash was not renewed at its login');
    }
  }
}

function throttledFor(waitMs: number): LoginOutcome<never> {
  return { kind: 'throttled', retryAfterSeconds: Math.ceil(waitMs / MS_PER_SECOND) };
}

function isBusy(error: unknown): boolean {
  return error instanceof AuthError && error.code === 'busy';
}
