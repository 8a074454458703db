/** The SMTP service: submission and mail from other servers. */
import { runService } from '@mail/service';
import { buildApp } from './app.ts';

await runService('smtp', buildApp);
