/** A listener's sessions on smtp-server: its options, its questions handed to Session, its log tamed. */

import { TLSSocket } from 'node:tls';
import type { SecuredSocket, TlsAcceptor } from '@mail/certs';
import { ConcertSmtpServer } from '@mail/certs/smtp-server';
import type { AcceptedSocket } from '@mail/line-server';
import type { Logger } from '@mail/service';
import type { Account } from '@mail/store';
import type { SMTPServerSession } from 'smtp-server';
import { IDLE_TIMEOUT_MS, MAX_COMMAND_BYTES, type SmtpListener } from './config.ts';
import { ProgressWatch } from './progress-watch.ts';
import { toReply } from './reply-error.ts';
import { Session, type SessionContext } from './session.ts';
import type { RefusedAt } from './smtp-figures.ts';

export interface ListenerSessions {
  /** Takes a connection over. */
  take(accepted: AcceptedSocket): void;
  /** Ends sessions whose TLS was made under a generation below this one, between transactions. */
  drain(belowGeneration: number): void;
  /** Says 421 to all, waits up to `graceMs` for transactions, cuts off the rest. */
  close(graceMs: number): Promise<void>;
}

export interface ServeOptions {
  readonly listener: SmtpListener;
  readonly context: SessionContext;
  readonly tls: TlsAcceptor;
  readonly maxRecipients: number;
}

/** smtp-server's jokes and doors that have no place here. */
const NEVER = ['WIZ', 'SHELL', 'KILL', 'XCLIENT', 'XFORWARD'];

/** smtp-server logs strangers' doings at all levels: here they are for debugging. It hides passwords. */
function debugLogger(logger: Logger) {
  // spares it the making of entries that nobody reads
  if (!logger.isLevelEnabled('debug')) return false;
  const log = (entry: object, message?: string, ...values: unknown[]) =>
    logger.debug(entry, message, ...values);
  return { level: () => {}, trace: log, debug: log, info: log, warn: log, error: log, fatal: log };
}

export function serveListener(options: ServeOptions): ListenerSessions {
  const { listener, context, tls } = options;
  const { logger, rules } = context;
  const sessions = new Map<string, Session>();
  const watches = new Map<string, ProgressWatch>();

  const disabled = [
    ...NEVER,
    ...(rules.login ? [] : ['AUTH']),
    ...(listener.tls === 'starttls' ? [] : ['STARTTLS']),
  ];

  const sessionOf = (session: SMTPServerSession): Session => {
    const found = sessions.get(session.id);
    if (found === undefined) throw new Error('smtp-server asks about a session that is gone');
    return found;
  };

  /** Offers AUTH only where it is taken: a client that sees it sends its password (RFC 4954 §4). */
  const offer = (session: SMTPServerSession): void => {
    const allowed = sessionOf(session).loginAllowed;
    session.disabledCommands = allowed ? disabled : [...disabled, 'AUTH'];
  };

  /** Runs one answer; what it throws becomes the reply. */
  const answer = <T>(
    command: RefusedAt,
    { id }: SMTPServerSession,
    work: (session: Session) => T | Promise<T>,
    done: (error: Error | null, value?: T) => void,
  ) => {
    const session = sessions.get(id);
    // it has left, and nobody hears the answer
    if (session === undefined) return;
    const refuse = (error: unknown): void => {
      const reply = toReply(error, logger);
      context.figures.refused(command, reply.enhanced);
      session.log.count('refused');
      done(reply);
    };
    session.log.run(() =>
      Promise.resolve(session)
        .then(work)
        .then((value) => done(null, value), refuse)
        .catch((error) => logger.error({ error }, 'smtp-server failed on an answer')),
    );
  };

  const server = new ConcertSmtpServer(
    {
      name: context.hostname,
      heloResponse: '%s at your service',
      authMethods: context.authenticator.tokens
        ? ['PLAIN', 'LOGIN', 'XOAUTH2']
        : ['PLAIN', 'LOGIN'],
      authRequiredMessage: 'Log in first',
      allowInsecureAuth: !listener.requireTlsForLogin,
      disabledCommands: disabled,
      hideSTARTTLS: listener.tls !== 'starttls',
      // smtp-server adds the codes to its own replies, and leaves ours alone
      hideENHANCEDSTATUSCODES: false,
      // messages in the store may be read by clients that know ASCII headers only
      hideSMTPUTF8: true,
      size: context.maxMessageBytes,
      maxRecipients: options.maxRecipients,
      maxCommandLength: MAX_COMMAND_BYTES,
      socketTimeout: IDLE_TIMEOUT_MS,
      disableReverseLookup: true,
      logger: debugLogger(logger),
      onConnect: (session, done) =>
        answer(
          'connect',
          session,
          () => {
            const leave = () => server.dismiss(session, '4.4.2 No message came for too long');
            watches.set(session.id, new ProgressWatch(leave));
            offer(session);
          },
          (error) => done(error),
        ),
      onCommand: (session, verb) =>
        watches.get(session.id)?.allows(verb) === false
          ? '4.7.0 Too many commands without a message'
          : undefined,
      onSecure: (socket, session, done) =>
        answer(
          'starttls',
          session,
          (own) => {
            if (!(socket instanceof TLSSocket)) throw new Error('onSecure without TLS');
            const generation = server.generationOf(session) ?? 0;
            own.tls = {
              version: socket.getProtocol() ?? '',
              cipher: socket.getCipher()?.standardName ?? '',
              generation,
            };
            own.log.noteTls(socket, generation);
            offer(session);
          },
          (error) => done(error),
        ),
      onAuth: (auth, session, done) =>
        answer(
          'auth',
          session,
          (own) => own.logIn(auth),
          (error, user) => {
            if (user !== undefined) watches.get(session.id)?.noteStep();
            done(error, user === undefined ? {} : { user });
          },
        ),
      onMailFrom: (address, session, done) =>
        answer(
          'mail',
          session,
          (own) => own.mailFrom(address, (session.user || undefined) as Account | undefined),
          (error) => done(error),
        ),
      onRcptTo: (address, session, done) =>
        answer(
          'rcpt',
          session,
          (own) => own.rcptTo(address),
          (error) => done(error),
        ),
      onData: (stream, session, done) =>
        answer(
          'data',
          session,
          (own) => own.data(stream, session),
          (error) => {
            watches.get(session.id)?.noteStep();
            done(error, 'Stored');
          },
        ),
      onClose: (session) => {
        watches.get(session.id)?.stop();
        watches.delete(session.id);
        sessions.delete(session.id);
      },
    },
    tls,
  );

  return {
    take: (accepted) => {
      const { id } = accepted.log;
      const { remoteAddress, remotePort, generation, socket } = accepted;
      // nobody asks for our side: given, so that smtp-server need not ask the kernel each time
      const { host: localAddress, port: localPort } = listener;
      const addresses = { remoteAddress, remotePort, localAddress, localPort };
      sessions.set(id, new Session(accepted, context));
      if (generation !== undefined && socket instanceof TLSSocket) {
        const secured: SecuredSocket = { socket, generation };
        server.connectSecured(secured, { id, ...addresses });
      } else {
        server.connect(socket, { id, ...addresses });
      }
    },
    drain: (belowGeneration) => server.drain(belowGeneration),
    close: (graceMs) =>
      new Promise((resolve) => {
        server.options.closeTimeout = graceMs;
        server.close(resolve);
      }),
  };
}
