/** One session: what commands may see and do, apart from the lines on the wire. */
import type { Authenticator, LoginOutcome } from '@mail/auth';
import { addressBlock, type Connection } from '@mail/line-server';
import type { Logger } from '@mail/service';
import type { Account, MailStore } from '@mail/store';
import { MAX_REFUSED_LOGINS } from './config.ts';
import { ReplyError } from './errors.ts';
import { Maildrop } from './maildrop.ts';
import type { State } from './state.ts';

/** What all sessions of a process share. */
export interface SessionContext {
  readonly store: MailStore;
  readonly authenticator: Authenticator<Account>;
  readonly logger: Logger;
  readonly countLogin: (outcome: LoginOutcome<Account>['kind']) => void;
  readonly idleTimeoutMs: number;
  readonly loginTimeoutMs: number;
  /** Milliseconds, never going back. */
  readonly now: () => number;
}

const MS_PER_SECOND = 1_000;

export class Session {
  readonly connection: Connection;
  readonly context: SessionContext;
  state: State = { name: 'authorization', user: undefined };
  #refusedLogins = 0;

  constructor(connection: Connection, context: SessionContext) {
    this.connection = connection;
    this.context = context;
  }

  /** Of a command that the table admits in this state alone. */
  get maildrop(): Maildrop {
    if (this.state.name === 'transaction') return this.state.maildrop;
    throw new Error('no maildrop is open');
  }

  /** Whether the client has guessed often enough. */
  get hasGuessedEnough(): boolean {
    return this.#refusedLogins >= MAX_REFUSED_LOGINS;
  }

  /** Credentials only where the listener takes them (RFC 2595 §2.2, RFC 8314 §4.1). */
  requirePrivacy(): void {
    if (this.connection.loginAllowed) return;
    throw new ReplyError(undefined, 'Log in over TLS: use STLS first');
  }

  /** Checks credentials, locks and opens the maildrop. Throws ReplyError: AUTH, IN-USE, SYS/TEMP. */
  async logIn(address: string, password: string): Promise<Maildrop> {
    const { authenticator, countLogin, store } = this.context;
    const origin = addressBlock(this.connection.remoteAddress);
    const outcome = await authenticator.authenticate({ address, password, origin });
    countLogin(outcome.kind);
    switch (outcome.kind) {
      case 'accepted': {
        const { account } = outcome;
        const maildrop = await Maildrop.open(store, account.id);
        this.state = { name: 'transaction', account, maildrop };
        return maildrop;
      }
      case 'refused':
        this.#refusedLogins += 1;
        throw new ReplyError('AUTH', 'Wrong name or password');
      case 'throttled': {
        this.#refusedLogins += 1;
        const seconds = Math.ceil(outcome.retryAfterMs / MS_PER_SECOND);
        throw new ReplyError('SYS/TEMP', `Too many failed logins, try again in ${seconds} seconds`);
      }
      case 'busy':
        throw new ReplyError('SYS/TEMP', 'Too many logins at once, try again later');
    }
  }

  /** Lets the maildrop go, whatever state the session ended in. */
  async close(): Promise<void> {
    if (this.state.name === 'transaction') await this.state.maildrop.release();
  }
}
