/** The logins of one connection: who knocks, and how often. The words for it are the protocol's. */
import type { Authenticator, HasId, LoginMechanism, LoginOutcome } from './authenticator.ts';

/** Failed logins on one connection before it is ended, whatever the throttle says. */
export const MAX_FAILED_LOGINS = 5;

export class LoginDesk<Account extends HasId> {
  readonly #authenticator: Authenticator<Account>;
  readonly #origin: string;
  #failed = 0;

  /** `origin` is whoever counts as one party on the network: an IPv4 address, an IPv6 /64. */
  constructor(authenticator: Authenticator<Account>, origin: string) {
    this.#authenticator = authenticator;
    this.#origin = origin;
  }

  /** The client has failed often enough: the session says so and ends. */
  get closed(): boolean {
    return this.#failed >= MAX_FAILED_LOGINS;
  }

  /** `address` is the whole one. Rejects as Authenticator.authenticate does. */
  async logIn(
    mechanism: LoginMechanism,
    address: string,
    password: string,
  ): Promise<LoginOutcome<Account>> {
    const attempt = { mechanism, address, password, origin: this.#origin };
    const outcome = await this.#authenticator.authenticate(attempt);
    // who goes on although told to wait is guessing too; that we are busy is nobody's guess
    if (outcome.kind === 'refused' || outcome.kind === 'throttled') this.#failed += 1;
    return outcome;
  }
}
