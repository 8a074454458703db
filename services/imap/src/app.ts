/** The IMAP service: store, certificates, listeners, ready, stop. */
import { type Certificates, openCertificatesFor } from '@mail/certs';
import type { LineServer } from '@mail/line-server';
import { type App, parseSettings, type ServiceContext } from '@mail/service';
import { type MailStore, openStore, storeSettings, storeUrl } from '@mail/store';
import { imapSettings } from './config.ts';
import { openImapServer } from './imap-server.ts';

/** ALPN protocol id of IMAP (IANA's registry). */
const ALPN = ['imap'];

/** Throws ServiceError (bad-setting). */
export async function buildApp(context: ServiceContext): Promise<App> {
  const settings = parseSettings(imapSettings, context.settings);
  const url = storeUrl({ ...context.common, ...parseSettings(storeSettings, context.settings) });
  const stopping = new AbortController();
  let store: MailStore | undefined;
  let certificates: Certificates | undefined;
  let server: LineServer | undefined;
  const failure = Promise.withResolvers<never>();
  context.health.set('listeners', 'not listening yet');

  return {
    failed: failure.promise,
    async run() {
      store = await openStore({ url, logger: context.logger, metrics: context.metrics });
      store.failed.catch(failure.reject);
      certificates = await openCertificatesFor(context);
      await certificates.ready(stopping.signal);
      const tls = certificates.acceptor(ALPN);
      const opened = await openImapServer({ service: context, settings, store, tls });
      server = opened;
      certificates.setProbeTargets(opened.probeTargets());
      certificates.onDrain((drain) => opened.drain(drain.belowGeneration, drain.graceMs));
      context.health.set('listeners', undefined);
    },
    async close(graceMs) {
      stopping.abort();
      context.health.set('listeners', 'stopping');
      // listeners close at once: from then on no switch need wait for what sessions take to end
      await Promise.all([server?.close(graceMs), certificates?.close()]);
      await store?.close();
    },
  };
}
