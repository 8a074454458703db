/** The SMTP service as a whole: store, certificates, listeners, ready, stop. */
import { Authenticator, createTokenVerifier, oidcSettings } from '@mail/auth';
import { type Certificates, openCertificatesFor } from '@mail/certs';
import { ConnectionLimits, type OpenListener, openListener } from '@mail/line-server';
import {
  type App,
  METRICS,
  messageBudget,
  parseSettings,
  type ServiceContext,
} from '@mail/service';
import {
  type Account,
  type MailStore,
  openStore,
  parseAddress,
  storeSettings,
  storeUrl,
} from '@mail/store';
import { smtpSettings } from './config.ts';
import { createMxRules } from './mx.ts';
import { findRecipients } from './recipient.ts';
import { type ListenerSessions, serveListener } from './serve.ts';
import type { SessionContext } from './session.ts';
import { SmtpFigures } from './smtp-figures.ts';
import { createSubmissionRules } from './submission.ts';

/** What the service asks of certificates. */
export type SmtpCertificates = Pick<
  Certificates,
  'acceptor' | 'ready' | 'onDrain' | 'setProbeTargets' | 'close'
>;

export interface SmtpApp extends App {
  /** Open ones; empty before run(). */
  readonly listeners: readonly OpenListener[];
}

/** SMTP has no name in IANA's ALPN registry: these two are what Exim takes, and their clients send. */
const ALPN = ['smtp', 'esmtp'];

export async function buildApp(context: ServiceContext): Promise<App> {
  const { common, settings, logger, metrics } = context;
  const url = storeUrl({ ...parseSettings(storeSettings, settings), ...common });
  const store = await openStore({ url, logger, metrics });
  try {
    return createSmtpApp(context, store, await openCertificatesFor(context));
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** Takes store and certificates over: closes them with itself. Throws ServiceError (bad-setting). */
export function createSmtpApp(
  context: ServiceContext,
  store: MailStore,
  certificates: SmtpCertificates,
): SmtpApp {
  const { logger, metrics, health, clustered } = context;
  const settings = parseSettings(smtpSettings, context.settings);
  const tokens = createTokenVerifier(parseSettings(oidcSettings, context.settings), { logger });
  const stopping = new AbortController();
  const tls = certificates.acceptor(ALPN);
  const limits = new ConnectionLimits({
    total: settings.CONCERT_SMTP_MAX_CONNECTIONS,
    perAddress: settings.CONCERT_SMTP_MAX_CONNECTIONS_PER_ADDRESS,
  });
  const rules = {
    mx: createMxRules(),
    submission: createSubmissionRules(settings.CONCERT_HOSTNAME),
  };
  const shared: Omit<SessionContext, 'rules'> = {
    store,
    authenticator: new Authenticator<Account>({
      store,
      parseAddress,
      logger,
      logins: metrics.counter(METRICS.logins),
      tokens,
    }),
    memory: messageBudget(settings.CONCERT_SMTP_MESSAGE_MEMORY, settings.CONCERT_MAX_MESSAGE_SIZE),
    hostname: settings.CONCERT_HOSTNAME,
    findRecipients: (path) =>
      findRecipients(path, store, {
        hostname: settings.CONCERT_HOSTNAME,
        postmaster: settings.CONCERT_POSTMASTER,
      }),
    maxMessageBytes: settings.CONCERT_MAX_MESSAGE_SIZE,
    logger,
    figures: new SmtpFigures(metrics),
    now: () => new Date(),
  };
  const open: OpenListener[] = [];
  const serving: ListenerSessions[] = [];
  const drains = new Set<NodeJS.Timeout>();
  health.set('listeners', 'not listening yet');

  const stopDraining = certificates.onDrain(({ belowGeneration, graceMs }) => {
    const timer = setTimeout(() => {
      drains.delete(timer);
      for (const sessions of serving) sessions.drain(belowGeneration);
    }, graceMs);
    drains.add(timer);
  });

  return {
    listeners: open,
    // without its writer a process would stay and refuse every message
    failed: store.failed,

    async run() {
      await certificates.ready(stopping.signal);
      for (const listener of settings.CONCERT_SMTP_LISTENERS) {
        stopping.signal.throwIfAborted();
        const sessions = serveListener({
          listener,
          context: { ...shared, rules: rules[listener.role] },
          tls,
          maxRecipients: settings.CONCERT_SMTP_MAX_RECIPIENTS,
        });
        serving.push(sessions);
        const opened = await openListener(listener, {
          protocol: 'smtp',
          tls,
          clustered,
          limits,
          logger,
          metrics,
          // a client that has ended its side has not waited for QUIT's reply: nothing is owed to it
          allowHalfOpen: false,
          onConnection: sessions.take,
        });
        open.push(opened);
        logger.info({ listener: opened.name, role: listener.role }, 'listening');
      }
      certificates.setProbeTargets(open.flatMap((listener) => listener.probeTargets()));
      health.set('listeners', undefined);
    },

    async close(graceMs) {
      stopping.abort(new Error('the service stops'));
      health.set('listeners', 'stopping');
      stopDraining();
      for (const timer of drains) clearTimeout(timer);
      for (const listener of open) listener.close();
      // no switch need wait for what sessions take to end; STARTTLS goes on for those
      const left = certificates.close();
      await Promise.all([left, ...serving.map((sessions) => sessions.close(graceMs))]);
      await store.close();
    },
  };
}
