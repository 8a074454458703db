/** The POP3 service. */
import { runService } from '@mail/service';
import { buildApp } from './app.ts';

await runService('pop', buildApp);
