/** One-shot: the internal CA and the identities, before the registry and the services start. */
import { createLogger, readSettings } from '@mail/service';
import { provision } from './provision.ts';

const logger = createLogger({ service: 'provision', instance: '-', level: 'info' });
try {
  await provision(readSettings(), logger);
} catch (error) {
  logger.fatal({ error }, error instanceof Error ? error.message : String(error));
  process.exitCode = 69;
}
