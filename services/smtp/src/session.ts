/**
 * One connection's mail transactions: what smtp-server asks at each command, answered. smtp-server owns
 * the wire and the order of commands (RFC 5321 §4.1.4); here is who may do what, and what becomes of it.
 */
import { type Authenticator, LoginDesk, type LoginOutcome } from '@mail/auth';
import { type AcceptedSocket, addressBlock, type SessionLog } from '@mail/line-server';
import type { Logger, MemoryBudget } from '@mail/service';
import type { Account, MailStore, Resolution } from '@mail/store';
import type {
  SMTPServerAddress,
  SMTPServerAuthentication,
  SMTPServerDataStream,
  SMTPServerSession,
} from 'smtp-server';
import { toEnvelopeAddress } from './addresses.ts';
import { MAX_REFUSED_RECIPIENTS, MAX_TRANSACTIONS } from './config.ts';
import { deliver } from './delivery.ts';
import { AmbiguousTextError, collectMessage } from './message-collector.ts';
import { mailboxFull, ReplyError, tooLargeForMailbox } from './reply-error.ts';
import type { RoleRules } from './role.ts';
import { lookForRoom } from './room.ts';
import type { SmtpFigures } from './smtp-figures.ts';
import type { Hop } from './trace-fields.ts';
import { TransferWatch } from './transfer-watch.ts';

/** What all sessions of a listener share. */
export interface SessionContext {
  readonly rules: RoleRules;
  readonly store: MailStore;
  readonly authenticator: Authenticator<Account>;
  readonly memory: MemoryBudget;
  /** The accounts behind an envelope address. */
  readonly findRecipients: (path: string) => Promise<Resolution>;
  readonly hostname: string;
  readonly maxMessageBytes: number;
  readonly logger: Logger;
  readonly figures: SmtpFigures;
  readonly now: () => Date;
}

/** TLS of the connection as Received tells it. */
export type TlsFacts = NonNullable<Hop['tls']>;

/** Parameters of MAIL that we act on; others are refused (RFC 5321 §4.1.1.11). */
const MAIL_PARAMETERS = new Set(['SIZE', 'BODY']);

export class Session {
  readonly #accepted: AcceptedSocket;
  readonly #context: SessionContext;
  readonly #logins: LoginDesk<Account>;
  /** By the address that stood for them. */
  readonly #recipients = new Map<string, readonly Account[]>();
  /** One of them has room for some messages and not for others: see room.ts. */
  #alone = false;
  #declaredOctets: number | undefined;
  #reversePath = '';
  #refusedRecipients = 0;
  #transactions = 0;
  /** A text came whose end another server may have seen elsewhere: see mailFrom. */
  #ambiguous = false;
  /** Set once the connection is inside TLS. */
  tls: TlsFacts | undefined;

  constructor(accepted: AcceptedSocket, context: SessionContext) {
    this.#accepted = accepted;
    this.#context = context;
    this.#logins = new LoginDesk(context.authenticator, addressBlock(accepted.remoteAddress));
  }

  get log(): SessionLog {
    return this.#accepted.log;
  }

  /** Whether a password may be sent on the connection as it is. */
  get loginAllowed(): boolean {
    return this.tls !== undefined || !this.#accepted.listener.requireTlsForLogin;
  }

  /** AUTH PLAIN, LOGIN and XOAUTH2 (RFC 4954, 4616), which smtp-server reads. Throws ReplyError. */
  async logIn(auth: SMTPServerAuthentication): Promise<Account> {
    if (!this.loginAllowed) throw new ReplyError(538, '5.7.11', 'Passwords are for TLS only');
    const outcome = await this.#check(auth);
    if (this.#logins.closed) throw new ReplyError(421, '4.7.0', 'Too many failed logins');
    switch (outcome.kind) {
      case 'accepted':
        this.#accepted.log.noteAccount(outcome.account.id);
        return outcome.account;
      case 'refused':
        throw new ReplyError(535, '5.7.8', 'Wrong address or password');
      case 'not-authorized':
        throw new ReplyError(535, '5.7.8', 'Nobody acts for somebody else here');
      case 'throttled': {
        const wait = `try again in ${outcome.retryAfterSeconds} seconds`;
        throw new ReplyError(454, '4.7.0', `Too many failed logins, ${wait}`);
      }
      case 'busy':
        throw new ReplyError(454, '4.7.0', 'Too many logins at once, try again');
      case 'unavailable':
        throw new ReplyError(454, '4.7.0', 'Tokens cannot be checked now, try again');
    }
  }

  #check(auth: SMTPServerAuthentication): Promise<LoginOutcome<Account>> {
    const { method, username, password, authzid, accessToken } = auth;
    const name = username ?? '';
    if (method === 'XOAUTH2') return this.#logins.logInByToken(accessToken ?? '', name);
    const mechanism = method === 'LOGIN' ? 'login' : 'plain';
    return this.#logins.logIn(mechanism, name, password ?? '', authzid || undefined);
  }

  /** MAIL (RFC 5321 §4.1.1.2). Throws ReplyError. */
  mailFrom({ address, args }: SMTPServerAddress, user: Account | undefined): void {
    this.#transactions += 1;
    // what follows such a text on the same connection may have been hidden in it by its author
    if (this.#ambiguous) throw new ReplyError(421, '4.7.0', 'Lines end with CR LF, connect again');
    if (this.#transactions > MAX_TRANSACTIONS) {
      throw new ReplyError(421, '4.7.0', 'Enough for one connection, open another');
    }
    if (this.#context.rules.login && !this.loginAllowed) {
      throw new ReplyError(530, '5.7.0', 'Use STARTTLS first');
    }
    for (const name of Object.keys(args || {})) {
      // RFC 4954 §5: AUTH= may be given, and is ours to ignore
      if (MAIL_PARAMETERS.has(name) || (name === 'AUTH' && this.#context.rules.login)) continue;
      throw new ReplyError(555, '5.5.4', 'A parameter of MAIL is not supported');
    }
    const reversePath = toEnvelopeAddress(address);
    if (address !== '' && reversePath === undefined) {
      throw new ReplyError(553, '5.6.7', 'Addresses beyond ASCII are not supported');
    }
    this.#context.rules.checkSender(reversePath ?? '', user);
    this.#reversePath = reversePath ?? '';
    this.#recipients.clear();
    this.#alone = false;
    // smtp-server has read it already (RFC 1870 §3)
    const size = args ? new Map(Object.entries(args)).get('SIZE') : undefined;
    this.#declaredOctets = size === undefined ? undefined : Number(size) || undefined;
  }

  /** RCPT (RFC 5321 §4.1.1.3). Throws ReplyError. */
  async rcptTo({ address, args }: SMTPServerAddress): Promise<void> {
    if (args !== false && Object.keys(args).length > 0) {
      throw new ReplyError(555, '5.5.4', 'A parameter of RCPT is not supported');
    }
    const { findRecipients, hostname, rules } = this.#context;
    // <postmaster> without a domain is that of this host (RFC 5321 §4.1.1.3)
    const path = toEnvelopeAddress(address.includes('@') ? address : `${address}@${hostname}`);
    const found = path === undefined ? 'no-such-address' : await findRecipients(path);
    if (path !== undefined && typeof found !== 'string') {
      await this.#requireRoom(found);
      this.#recipients.set(path, found);
      return;
    }
    this.#refusedRecipients += 1;
    if (this.#refusedRecipients > MAX_REFUSED_RECIPIENTS) {
      throw new ReplyError(421, '4.7.0', 'Too many unknown recipients');
    }
    throw rules.refuseRecipient(found === 'not-local' ? found : 'no-such-address');
  }

  /** Throws ReplyError where the accounts cannot take the message, or not together with the others. */
  async #requireRoom(accounts: readonly Account[]): Promise<void> {
    const { store, maxMessageBytes } = this.#context;
    const others = [...this.#recipients.values()].flat();
    const added = accounts.filter(({ id }) => others.every((other) => other.id !== id));
    if (added.length === 0) return;
    const expected = { declaredOctets: this.#declaredOctets, maxMessageBytes };
    const outlook = await lookForRoom(added, expected, store.quotas);
    if (outlook === 'too-large') throw tooLargeForMailbox();
    if (outlook === 'none') throw mailboxFull();
    const alone = outlook === 'uncertain';
    if (others.length > 0 && (alone || this.#alone)) {
      throw new ReplyError(452, '4.5.3', 'A mailbox is nearly full: send to it alone');
    }
    this.#alone = alone;
  }

  /** DATA (RFC 5321 §4.1.1.4). Resolves once the message is durable. Throws ReplyError. */
  async data(stream: SMTPServerDataStream, session: SMTPServerSession): Promise<void> {
    const { memory, maxMessageBytes, rules, store, figures, hostname, now } = this.#context;
    const user = (session.user || undefined) as Account | undefined;
    const share = memory.share(user?.address ?? addressBlock(this.#accepted.remoteAddress));
    const watch = new TransferWatch(() => this.#accepted.socket.destroy());
    try {
      const text = await collectMessage(stream, maxMessageBytes, share, watch);
      watch.stop();
      const hop: Hop = {
        helo: session.hostNameAppearsAs,
        remoteAddress: this.#accepted.remoteAddress,
        hostname,
        protocol: session.transmissionType,
        id: `${session.id}.${session.transaction}`,
        tls: this.tls,
        recipients: [...this.#recipients.keys()],
        at: now(),
      };
      const accounts = [...this.#recipients.values()].flat();
      const recipients = [...new Set(accounts.map(({ id }) => id))];
      await deliver({ reversePath: this.#reversePath, recipients, text, hop }, rules, store);
      figures.stored(rules.login ? 'submission' : 'mx', recipients.length);
      this.#accepted.log.count('messages');
    } catch (error) {
      if (error instanceof AmbiguousTextError) this.#ambiguous = true;
      throw error;
    } finally {
      watch.stop();
      share.release();
      this.#recipients.clear();
    }
  }
}
