/** One session: what commands may see and do, apart from the lines on the wire. */
import { type Authenticator, LoginDesk, type LoginOutcome } from '@mail/auth';
import { addressBlock, type Connection } from '@mail/line-server';
import type { Logger } from '@mail/service';
import type { Account, MailStore } from '@mail/store';
import { ReplyError } from './errors.ts';
import { Maildrop } from './maildrop.ts';
import type { State } from './state.ts';

/** What all sessions of a process share. */
export interface SessionContext {
  readonly store: MailStore;
  readonly authenticator: Authenticator<Account>;
  readonly logger: Logger;
  /** Counts a message that is sent. */
  readonly countRead: (way: 'retr' | 'top') => void;
  readonly idleTimeoutMs: number;
  readonly loginTimeoutMs: number;
  /** Milliseconds, never going back. */
  readonly now: () => number;
}

export class Session {
  readonly connection: Connection;
  readonly context: SessionContext;
  readonly logins: LoginDesk<Account>;
  state: State = { name: 'authorization', user: undefined };

  constructor(connection: Connection, context: SessionContext) {
    this.connection = connection;
    this.context = context;
    this.logins = new LoginDesk(context.authenticator, addressBlock(connection.remoteAddress));
  }

  /** Of a command that the table admits in this state alone. */
  get maildrop(): Maildrop {
    if (this.state.name === 'transaction') return this.state.maildrop;
    throw new Error('no maildrop is open');
  }

  /** Credentials only where the listener takes them (RFC 2595 §2.2, RFC 8314 §4.1). */
  requirePrivacy(): void {
    if (this.connection.loginAllowed) return;
    throw new ReplyError(undefined, 'Log in over TLS: use STLS first');
  }

  /** After a good login: locks and opens the maildrop. Throws ReplyError, for others too. */
  async enter(outcome: LoginOutcome<Account>): Promise<Maildrop> {
    switch (outcome.kind) {
      case 'accepted': {
        const { account } = outcome;
        this.connection.log.noteAccount(account.id);
        const maildrop = await Maildrop.open(this.context.store, account.id);
        this.state = { name: 'transaction', account, maildrop };
        return maildrop;
      }
      case 'refused':
        throw new ReplyError('AUTH', 'Wrong name or password');
      case 'not-authorized':
        throw new ReplyError('AUTH', 'Nobody acts for somebody else here');
      case 'throttled': {
        const wait = `try again in ${outcome.retryAfterSeconds} seconds`;
        throw new ReplyError('SYS/TEMP', `Too many failed logins, ${wait}`);
      }
      case 'busy':
        throw new ReplyError('SYS/TEMP', 'Too many logins at once, try again later');
      case 'unavailable':
        throw new ReplyError('SYS/TEMP', 'Tokens cannot be checked now, try again later');
    }
  }

  /** Lets the maildrop go, if there is one. Idempotent. */
  async close(): Promise<void> {
    if (this.state.name === 'transaction') await this.state.maildrop.release();
  }
}
