/** The certificate registry. */
import { runService } from '@mail/service';
import { buildApp } from './app.ts';

await runService('cert-registry', buildApp, { protocolWorkers: false });
