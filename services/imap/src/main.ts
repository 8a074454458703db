/** The IMAP service. */
import { runService } from '@mail/service';
import { buildApp } from './app.ts';

await runService('imap', buildApp);
