/** The POP3 service: what it is made of. */
import { createTokenVerifier, oidcSettings } from '@mail/auth';
import { openCertificatesFor } from '@mail/certs';
import { createLineService } from '@mail/line-server';
import { type App, parseSettings, type ServiceContext } from '@mail/service';
import { openStore, storeSettings, storeUrl } from '@mail/store';
import { popSettings } from './config.ts';
import { openPopServer } from './pop-server.ts';

/** ALPN protocol id of POP3 (IANA's registry). */
const ALPN = ['pop3'];

/** Throws ServiceError (bad-setting). */
export async function buildApp(context: ServiceContext): Promise<App> {
  const { health, logger, metrics } = context;
  const settings = parseSettings(popSettings, context.settings);
  const url = storeUrl({ ...context.common, ...parseSettings(storeSettings, context.settings) });
  const tokens = createTokenVerifier(parseSettings(oidcSettings, context.settings), { logger });
  return createLineService({
    health,
    alpn: ALPN,
    openStore: () => openStore({ url, logger, metrics }),
    openCertificates: () => openCertificatesFor(context),
    openServer: (store, tls) => openPopServer({ service: context, settings, store, tls, tokens }),
  });
}
