/**
 * A login: throttle, look up, verify, count. Where accounts live and how addresses are compared is the
 * caller's. Whatever is wrong with a name or a password is answered alike, after the same steps.
 */
import { AuthError } from './errors.ts';
import type { HasId, KnownAppPassword, KnownPassword, LoginStore } from './login-store.ts';
import { hashAppPassword, scramKeysOf } from './new-password.ts';
import { PasswordHasher } from './password.ts';
import { parseScramKeys, type ScramKeys, unknownScramKeys } from './scram-keys.ts';
import { type Knock, SharedThrottle } from './shared-throttle.ts';
import type { TokenVerifier } from './token-verifier.ts';

export interface AuthenticatorOptions<Account extends HasId> {
  readonly store: LoginStore<Account>;
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
  /** Undefined where no tokens are taken. */
  readonly tokens?: TokenVerifier | undefined;
  readonly hasher?: PasswordHasher;
  readonly throttle?: SharedThrottle;
  readonly now?: () => Date;
}

/** How a client says who it is: a SASL mechanism, IMAP's LOGIN (as the mechanism), USER and PASS. */
export type LoginMechanism =
  | 'plain'
  | 'login'
  | 'user'
  | 'scram-sha-256'
  | 'scram-sha-256-plus'
  | 'oauthbearer'
  | 'xoauth2';

interface Attempt {
  readonly mechanism: LoginMechanism;
  /** Whoever counts as one party on the network: an IPv4 address, an IPv6 /64. */
  readonly origin: string;
  /** As whom the client wants to act; undefined where it is the same. */
  readonly authorizationId?: string | undefined;
}

export interface PasswordAttempt extends Attempt {
  /** The whole address. */
  readonly address: string;
  readonly password: string;
}

export interface ScramAttempt extends Attempt {
  readonly address: string;
}

export interface TokenAttempt extends Attempt {
  readonly token: string;
}

export type LoginOutcome<Account> =
  | { readonly kind: 'accepted'; readonly account: Account }
  /** Wrong password, no such account, a token that is no good. */
  | { readonly kind: 'refused' }
  /** The client is who it says, and wants to act for somebody else. */
  | { readonly kind: 'not-authorized' }
  /** Too many failures; nothing was checked. Whole seconds until it makes sense to try again. */
  | { readonly kind: 'throttled'; readonly retryAfterSeconds: number }
  /** Overloaded; nothing was checked. */
  | { readonly kind: 'busy' }
  /** Who vouches for tokens does not answer; nothing was checked. */
  | { readonly kind: 'unavailable' };

/** A SCRAM login under way: what a proof may fit, and what comes of it. */
export interface ScramLogin<Account extends HasId> {
  readonly kind: 'keys';
  /** Always as many, whoever is asked for; the first one's salt is told. */
  readonly keys: readonly [ScramKeys, ...ScramKeys[]];
  /** `fits` is the place of the key that the proof fits. */
  conclude(fits: number | undefined): Promise<LoginOutcome<Account>>;
}

/** RFC 5321 §4.5.3.1: 64 octets, "@", 255 octets. Of longer names the throttle keeps no more. */
const MAX_ADDRESS_CHARACTERS = 320;
const MS_PER_SECOND = 1_000;
/** An account's own password and as many application passwords as it may have. */
const SCRAM_KEYS = 33;
/** No login is written at its time: the last use of an application password is true to the hour. */
const NOTE_USE_EVERY_MS = 3_600_000;
/** No account has it. */
const NOBODY = 0;

/** One for a process: its hasher bounds memory, its throttle sees every failure. */
export class Authenticator<Account extends HasId> {
  readonly #options: AuthenticatorOptions<Account>;
  readonly #hasher: PasswordHasher;
  readonly #throttle: SharedThrottle;
  readonly #now: () => Date;
  #saltSecret: Promise<Uint8Array> | undefined;

  constructor(options: AuthenticatorOptions<Account>) {
    this.#options = options;
    this.#hasher = options.hasher ?? new PasswordHasher();
    this.#throttle =
      options.throttle ??
      new SharedThrottle({ records: options.store.logins, logger: options.logger });
    this.#now = options.now ?? (() => new Date());
  }

  get tokens(): TokenVerifier | undefined {
    return this.#options.tokens;
  }

  /** By password. Rejects with what the look-up rejects with, and with AuthError (bad-hash). */
  async authenticate(attempt: PasswordAttempt): Promise<LoginOutcome<Account>> {
    return this.#count(attempt, await this.#checkPassword(attempt));
  }

  /** By SCRAM, whose keys the exchange needs first. Rejects as authenticate does. */
  async beginScram(attempt: ScramAttempt): Promise<ScramLogin<Account> | LoginOutcome<Account>> {
    const { store } = this.#options;
    const { address, origin } = attempt;
    const key = this.#keyOf(address);
    const knock = await this.#throttle.knock(origin, key);
    if (knock.waitMs > 0) return this.#count(attempt, throttledFor(knock.waitMs));
    const found = await store.accounts.credentials(address);
    const programs = await store.appPasswords.keys(found?.account.id ?? NOBODY);
    const unknown = unknownScramKeys(await this.#secret(), key);
    const own = found?.scramKeys === undefined ? unknown : parseScramKeys(found.scramKeys);
    const more = programs
      .filter(({ appPassword }) => this.#isInForce(appPassword))
      .map(({ appPassword, scramKeys }) => ({ appPassword, keys: parseScramKeys(scramKeys) }))
      // the client has computed with one salt
      .filter(({ keys }) => keys.salt.equals(own.salt) && keys.iterations === own.iterations)
      .slice(0, SCRAM_KEYS - 1);
    const rest = Array.from({ length: SCRAM_KEYS - 1 - more.length }, () => unknown);
    return {
      kind: 'keys',
      keys: [own, ...more.map(({ keys }) => keys), ...rest],
      conclude: async (fits) => {
        const account = fits === undefined ? undefined : found?.account;
        const outcome = this.#conclude(knock, account, key, attempt);
        if (outcome.kind === 'accepted' && fits !== undefined) {
          this.#noteUse(more[fits - 1]?.appPassword);
        }
        return this.#count(attempt, outcome);
      },
    };
  }

  /** By bearer token. Rejects as authenticate does. */
  async checkToken(attempt: TokenAttempt): Promise<LoginOutcome<Account>> {
    return this.#count(attempt, await this.#checkToken(attempt));
  }

  async #checkPassword(attempt: PasswordAttempt): Promise<LoginOutcome<Account>> {
    const { address, password, origin } = attempt;
    const key = this.#keyOf(address);
    const knock = await this.#throttle.knock(origin, key);
    if (knock.waitMs > 0) return throttledFor(knock.waitMs);
    try {
      const found = await this.#options.store.accounts.credentials(address);
      const program = await this.#findAppPassword(address, password);
      if (program !== undefined) {
        const outcome = this.#conclude(knock, program.account, key, attempt);
        if (outcome.kind === 'accepted') this.#noteUse(program.appPassword);
        return outcome;
      }
      const { correct, outdated } = await this.#hasher.verify(found?.passwordHash, password);
      const account = correct ? found?.account : undefined;
      const outcome = this.#conclude(knock, account, key, attempt);
      if (outcome.kind === 'accepted' && found !== undefined) {
        await this.#renew(found, password, key, outdated);
      }
      return outcome;
    } catch (error) {
      if (isBusy(error)) return { kind: 'busy' };
      throw error;
    }
  }

  async #checkToken(attempt: TokenAttempt): Promise<LoginOutcome<Account>> {
    const { store, tokens } = this.#options;
    const knock = await this.#throttle.knock(attempt.origin, undefined);
    if (knock.waitMs > 0) return throttledFor(knock.waitMs);
    if (tokens === undefined || attempt.token === '') return { kind: 'refused' };
    const verdict = await tokens.verify(attempt.token);
    switch (verdict.kind) {
      case 'unavailable':
        return verdict;
      case 'bad':
        if (verdict.forged) knock.failed();
        return { kind: 'refused' };
      case 'good': {
        const found = await store.accounts.credentials(verdict.address);
        if (found === undefined) return { kind: 'refused' };
        return this.#accept(found.account, this.#keyOf(verdict.address), attempt);
      }
    }
  }

  /** `account` is whose password it was; undefined where it was nobody's. */
  #conclude(
    knock: Knock,
    account: Account | undefined,
    key: string,
    attempt: Attempt,
  ): LoginOutcome<Account> {
    // guesses made side by side must not all be answered
    const waitMs = knock.waitMsNow();
    if (waitMs > 0) return throttledFor(waitMs);
    if (account === undefined) {
      knock.failed();
      return { kind: 'refused' };
    }
    knock.succeeded();
    return this.#accept(account, key, attempt);
  }

  /** Nobody acts for somebody else here (RFC 4422 §3.4.1). */
  #accept(account: Account, key: string, { authorizationId }: Attempt): LoginOutcome<Account> {
    const own = authorizationId === undefined || this.#keyOf(authorizationId) === key;
    return own ? { kind: 'accepted', account } : { kind: 'not-authorized' };
  }

  #count<Outcome extends LoginOutcome<Account>>(attempt: Attempt, outcome: Outcome): Outcome {
    const { mechanism, origin } = attempt;
    const { logger, logins } = this.#options;
    logins.inc({ outcome: outcome.kind, mechanism });
    // for whoever bans addresses by the log; which account was tried is nobody's business
    if (outcome.kind === 'refused' || outcome.kind === 'throttled') {
      logger.info({ outcome: outcome.kind, mechanism, origin }, 'a login was refused');
    }
    return outcome;
  }

  /** What is no address has no account that other spellings could be tried at. */
  #keyOf(address: string): string {
    return this.#options.parseAddress(address)?.key ?? address.slice(0, MAX_ADDRESS_CHARACTERS);
  }

  /** Looked for by the form of the password alone, whether or not there is such an account. */
  async #findAppPassword(address: string, password: string) {
    const hash = hashAppPassword(password);
    if (hash === undefined) return undefined;
    const found = await this.#options.store.appPasswords.find(address, hash);
    return found !== undefined && this.#isInForce(found.appPassword) ? found : undefined;
  }

  #isInForce({ expiresAt }: KnownAppPassword): boolean {
    return expiresAt === undefined || expiresAt > this.#now();
  }

  /** In its own time: no login waits for it. */
  #noteUse(appPassword: KnownAppPassword | undefined): void {
    if (appPassword === undefined) return;
    const { id, lastUsedAt } = appPassword;
    if (lastUsedAt && this.#now().getTime() - lastUsedAt.getTime() < NOTE_USE_EVERY_MS) return;
    const { logger, store } = this.#options;
    store.appPasswords.noteUse(id).catch((error: unknown) => {
      logger.warn({ error }, 'the use of an application password was not noted');
    });
  }

  /** Never rejects: the login is good, and the next one will renew as well. */
  async #renew(
    found: KnownPassword & { readonly account: Account },
    password: string,
    addressKey: string,
    outdated: boolean,
  ): Promise<void> {
    const { account, passwordHash, scramKeys } = found;
    if (!outdated && scramKeys !== undefined) return;
    const { store, logger } = this.#options;
    try {
      const owner = { addressKey, saltSecret: await this.#secret() };
      const keys = scramKeys ?? (await scramKeysOf(password, owner));
      // a password that SCRAM cannot be used with
      if (!outdated && keys === undefined) return;
      await store.accounts.renewPassword(account.id, passwordHash, {
        passwordHash: outdated ? await this.#hasher.hash(password) : passwordHash,
        scramKeys: keys,
      });
    } catch (error) {
      if (!isBusy(error)) logger.warn({ error }, 'a password was not renewed at its login');
    }
  }

  #secret(): Promise<Uint8Array> {
    this.#saltSecret ??= this.#options.store.logins.saltSecret().catch((error: unknown) => {
      this.#saltSecret = undefined;
      throw error;
    });
    return this.#saltSecret;
  }
}

function throttledFor(waitMs: number): LoginOutcome<never> {
  return { kind: 'throttled', retryAfterSeconds: Math.ceil(waitMs / MS_PER_SECOND) };
}

function isBusy(error: unknown): boolean {
  return error instanceof AuthError && error.code === 'busy';
}
