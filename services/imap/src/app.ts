/** The IMAP service: what it is made of. */
import { createTokenVerifier, oidcSettings } from '@mail/auth';
import { openCertificatesFor } from '@mail/certs';
import { createLineService } from '@mail/line-server';
import { type App, parseSettings, type ServiceContext } from '@mail/service';
import { openStore, storeSettings, storeUrl } from '@mail/store';
import { imapSettings } from './config.ts';
import { openImapServer } from './imap-server.ts';

/** ALPN protocol id of IMAP (IANA's registry). */
const ALPN = ['imap'];

/** Throws ServiceError (bad-setting). */
export async function buildApp(context: ServiceContext): Promise<App> {
  const { health, logger, metrics } = context;
  const settings = parseSettings(imapSettings, context.settings);
  const url = storeUrl({ ...context.common, ...parseSettings(storeSettings, context.settings) });
  const tokens = createTokenVerifier(parseSettings(oidcSettings, context.settings), { logger });
  return createLineService({
    health,
    alpn: ALPN,
    openStore: () => openStore({ url, logger, metrics }),
    openCertificates: () => openCertificatesFor(context),
    openServer: (store, tls) => openImapServer({ service: context, settings, store, tls, tokens }),
  });
}
