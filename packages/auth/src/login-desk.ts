/** The logins of one connection: who knocks, how, and how often. The words for it are the protocol's. */
import { randomBytes } from 'node:crypto';
import type { Authenticator, LoginMechanism, LoginOutcome } from './authenticator.ts';
import { AuthError } from './errors.ts';
import type { HasId } from './login-store.ts';
import { mechanismsFor, type SaslMechanism, startMechanism } from './sasl/mechanisms.ts';
import { decodeResponse } from './sasl/response.ts';
import type { ChannelBinding } from './sasl/scram.ts';
import type { SaslStep, ScramStep, TokenStep } from './sasl/step.ts';

/** Failed logins on one connection before it is ended, whatever the throttle says. */
export const MAX_FAILED_LOGINS = 5;
/** 144 bits: twice what a birthday wants, and no padding in base64. */
const NONCE_BYTES = 18;

export interface SaslRequest {
  /** As the client writes it. */
  readonly mechanism: string;
  /** In base64, "=" for an empty one; undefined where the client sent none. */
  readonly initialResponse: string | undefined;
  /** Of the TLS session that the connection is in; undefined where it has none that can be offered. */
  readonly binding: ChannelBinding | undefined;
  /** Sends a challenge, in base64, and resolves with the client's line, its end cut off. */
  readonly ask: (challenge: string) => Promise<string>;
}

interface Exchange extends Pick<SaslRequest, 'ask'> {
  readonly attempt: { readonly mechanism: LoginMechanism; readonly origin: string };
}

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

  /** What is offered on a connection that takes credentials, with its channel binding where it has one. */
  mechanisms(binding: ChannelBinding | undefined): SaslMechanism[] {
    const tokens = this.#authenticator.tokens !== undefined;
    return mechanismsFor({ binding: binding !== undefined, tokens });
  }

  /** By password; `address` is the whole one. Rejects as Authenticator.authenticate does. */
  async logIn(
    mechanism: LoginMechanism,
    address: string,
    password: string,
    authorizationId?: string,
  ): Promise<LoginOutcome<Account>> {
    const attempt = { mechanism, address, password, authorizationId, origin: this.#origin };
    return this.#note(await this.#authenticator.authenticate(attempt));
  }

  /** By a token that smtp-server has read. Rejects as Authenticator.checkToken does. */
  async logInByToken(token: string, authorizationId: string): Promise<LoginOutcome<Account>> {
    const attempt = { mechanism: 'xoauth2', token, authorizationId, origin: this.#origin } as const;
    return this.#note(await this.#authenticator.checkToken(attempt));
  }

  /**
   * By a SASL exchange (RFC 4422), from the client's command to the outcome. Rejects as
   * Authenticator.authenticate and `ask` do, and with AuthError: unsupported-mechanism, malformed-response,
   * cancelled, channel-binding.
   */
  async authenticate(request: SaslRequest): Promise<LoginOutcome<Account>> {
    const { binding, ask } = request;
    const wanted = request.mechanism.toUpperCase();
    const name = this.mechanisms(binding).find((offered) => offered === wanted);
    if (name === undefined) {
      throw new AuthError('unsupported-mechanism', 'there is no such mechanism here');
    }
    const attempt = { mechanism: name.toLowerCase() as LoginMechanism, origin: this.#origin };
    const nonce = randomBytes(NONCE_BYTES).toString('base64');
    try {
      const step = startMechanism(name, { nonce, binding });
      return this.#note(await this.#run(step, request.initialResponse, { attempt, ask }));
    } catch (error) {
      if (error instanceof AuthError && error.code === 'channel-binding') this.#failed += 1;
      throw error;
    }
  }

  async #run(
    first: SaslStep,
    initialResponse: string | undefined,
    exchange: Exchange,
  ): Promise<LoginOutcome<Account>> {
    let step = first;
    let given = initialResponse;
    while (step.kind === 'challenge') {
      const line = given ?? (await exchange.ask(step.challenge.toString('base64')));
      given = undefined;
      step = step.next(decodeResponse(line));
    }
    switch (step.kind) {
      case 'password': {
        const { address, password, authorizationId } = step;
        const attempt = { ...exchange.attempt, address, password, authorizationId };
        return this.#authenticator.authenticate(attempt);
      }
      case 'scram':
        return this.#runScram(step, exchange);
      case 'token':
        return this.#runToken(step, exchange);
    }
  }

  async #runScram(step: ScramStep, { attempt, ask }: Exchange): Promise<LoginOutcome<Account>> {
    const { address, authorizationId, next } = step;
    const login = await this.#authenticator.beginScram({ ...attempt, address, authorizationId });
    if (login.kind !== 'keys') return login;
    const { challenge, next: prove } = next(login.keys);
    const { fits, serverFinal } = prove(decodeResponse(await ask(challenge.toString('base64'))));
    const outcome = await login.conclude(fits);
    if (outcome.kind !== 'accepted') return outcome;
    // RFC 4422 §5: no protocol of ours carries data with its success, so it is one more challenge
    const last = decodeResponse(await ask(serverFinal.toString('base64')));
    if (last.length === 0) return outcome;
    throw new AuthError('malformed-response', 'something came behind the proof');
  }

  async #runToken(step: TokenStep, { attempt, ask }: Exchange): Promise<LoginOutcome<Account>> {
    const { token, authorizationId } = step;
    const outcome = await this.#authenticator.checkToken({ ...attempt, token, authorizationId });
    // RFC 7628 §3.2.3: whatever the client answers, the exchange has failed
    if (outcome.kind === 'refused' || outcome.kind === 'not-authorized') {
      await ask(Buffer.from(this.#tokenProblem(attempt.mechanism)).toString('base64'));
    }
    return outcome;
  }

  /** RFC 7628 §3.2.2; of XOAUTH2 as Google has it. */
  #tokenProblem(mechanism: LoginMechanism): string {
    const discovery = this.#authenticator.tokens?.discoveryUrl;
    return JSON.stringify(
      mechanism === 'xoauth2'
        ? { status: '401', schemes: 'bearer', scope: '' }
        : { status: 'invalid_token', 'openid-configuration': discovery },
    );
  }

  /** Who goes on although told to wait is guessing too; that we are busy is nobody's guess. */
  #note(outcome: LoginOutcome<Account>): LoginOutcome<Account> {
    const { kind } = outcome;
    if (kind === 'refused' || kind === 'throttled' || kind === 'not-authorized') this.#failed += 1;
    return outcome;
  }
}
