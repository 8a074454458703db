/** The listeners of the service, and what a session on any of them is given. */
import { Authenticator, type TokenVerifier } from '@mail/auth';
import {
  ConnectionLimits,
  type LineServer,
  Places,
  serveSessions,
  type TlsAcceptor,
} from '@mail/line-server';
import { METRICS, messageBudget, type ServiceContext } from '@mail/service';
import { type Account, type MailStore, parseAddress } from '@mail/store';
import { EXTENSIONS } from './commands/index.ts';
import { type ImapSettings, WRITE_TIMEOUT_MS } from './config.ts';
import { OneByOne } from './one-by-one.ts';
import { MAX_LINE_OCTETS } from './parser/limits.ts';
import { type ServeOptions, serve } from './serve.ts';
import type { SessionContext } from './session.ts';

export interface ImapServerOptions {
  readonly service: Pick<ServiceContext, 'logger' | 'metrics' | 'clustered'>;
  readonly settings: ImapSettings;
  readonly store: MailStore;
  readonly tls: TlsAcceptor;
  /** Undefined where no tokens are taken. */
  readonly tokens?: TokenVerifier | undefined;
}

function announced({ CONCERT_IMAP_WITHHOLD: withheld }: ImapSettings): string[] {
  return EXTENSIONS.filter((name) => !withheld.includes(name));
}

/** Opens all listeners or none. Throws ServiceError. */
export function openImapServer(options: ImapServerOptions): Promise<LineServer> {
  const { service, settings, store, tls } = options;
  const stored = service.metrics.counter(METRICS.messagesStored);
  const read = service.metrics.counter(METRICS.messagesRead);
  const maxMessageOctets = settings.CONCERT_MAX_MESSAGE_SIZE;
  const context: SessionContext = {
    store,
    authenticator: new Authenticator<Account>({
      store,
      parseAddress,
      logger: service.logger,
      logins: service.metrics.counter(METRICS.logins),
      tokens: options.tokens,
    }),
    logger: service.logger,
    extensions: [...announced(settings), `APPENDLIMIT=${maxMessageOctets}`].sort(),
    appendLimit: maxMessageOctets,
    countStored: (messages) => stored.inc({ way: 'append' }, messages),
    countRead: () => read.inc({ way: 'fetch' }),
    idleTimeoutMs: settings.CONCERT_IMAP_IDLE_TIMEOUT,
    places: new Places(settings.CONCERT_IMAP_MAX_CONNECTIONS_PER_ACCOUNT),
    refreshes: new OneByOne(),
  };
  const serving: ServeOptions = {
    context,
    limits: {
      maxMessageOctets,
      budget: messageBudget(settings.CONCERT_IMAP_APPEND_MEMORY, maxMessageOctets),
    },
    loginTimeoutMs: settings.CONCERT_IMAP_LOGIN_TIMEOUT,
  };
  return serveSessions({
    protocol: 'imap',
    listeners: settings.CONCERT_IMAP_LISTENERS,
    tls,
    clustered: service.clustered,
    limits: new ConnectionLimits({
      total: settings.CONCERT_IMAP_MAX_CONNECTIONS,
      perAddress: settings.CONCERT_IMAP_MAX_CONNECTIONS_PER_ADDRESS,
    }),
    logger: service.logger,
    metrics: service.metrics,
    connection: {
      maxLineBytes: MAX_LINE_OCTETS,
      idleTimeoutMs: settings.CONCERT_IMAP_LOGIN_TIMEOUT,
      writeTimeoutMs: WRITE_TIMEOUT_MS,
    },
    session: (connection) => serve(connection, serving),
  });
}
