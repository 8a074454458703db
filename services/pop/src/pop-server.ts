/** The listeners of the service, and what a session on any of them is given. */
import { Authenticator, type TokenVerifier } from '@mail/auth';
import {
  ConnectionLimits,
  type LineServer,
  serveSessions,
  type TlsAcceptor,
} from '@mail/line-server';
import { METRICS, type ServiceContext } from '@mail/service';
import { type Account, type MailStore, parseAddress } from '@mail/store';
import { MAX_LINE_BYTES, type PopSettings, WRITE_TIMEOUT_MS } from './config.ts';
import { serve } from './serve.ts';
import type { SessionContext } from './session.ts';

export interface PopServerOptions {
  readonly service: Pick<ServiceContext, 'logger' | 'metrics' | 'clustered'>;
  readonly settings: PopSettings;
  readonly store: MailStore;
  readonly tls: TlsAcceptor;
  /** Undefined where no tokens are taken. */
  readonly tokens?: TokenVerifier | undefined;
}

/** Opens all listeners or none. Throws ServiceError. */
export function openPopServer(options: PopServerOptions): Promise<LineServer> {
  const { service, settings, store, tls } = options;
  const read = service.metrics.counter(METRICS.messagesRead);
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
    countRead: (way) => read.inc({ way }),
    idleTimeoutMs: settings.CONCERT_POP_IDLE_TIMEOUT,
    loginTimeoutMs: settings.CONCERT_POP_LOGIN_TIMEOUT,
    now: () => performance.now(),
  };
  return serveSessions({
    protocol: 'pop3',
    listeners: settings.CONCERT_POP_LISTENERS,
    tls,
    clustered: service.clustered,
    limits: new ConnectionLimits({
      total: settings.CONCERT_POP_MAX_CONNECTIONS,
      perAddress: settings.CONCERT_POP_MAX_CONNECTIONS_PER_ADDRESS,
    }),
    logger: service.logger,
    metrics: service.metrics,
    connection: {
      maxLineBytes: MAX_LINE_BYTES,
      idleTimeoutMs: settings.CONCERT_POP_LOGIN_TIMEOUT,
      writeTimeoutMs: WRITE_TIMEOUT_MS,
    },
    session: (connection) => serve(connection, context),
  });
}
