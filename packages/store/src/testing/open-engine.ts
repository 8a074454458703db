/** An engine without the store on it, for tests that do the background's work themselves. */
import { silentLogger } from '@mail/service';
import type { Engine } from '../engine.ts';
import { isPostgresUrl, parsePostgresUrl } from '../engines/postgres/location.ts';
import { openPostgresEngine } from '../engines/postgres.ts';
import { openSqliteEngine } from '../engines/sqlite.ts';

export function openEngine(url: string): Promise<Engine> {
  const logger = silentLogger();
  if (isPostgresUrl(url)) return openPostgresEngine(parsePostgresUrl(url), 0, logger);
  return openSqliteEngine(url.slice('sqlite:'.length), logger);
}
