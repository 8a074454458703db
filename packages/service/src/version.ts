/** The version of Concert that runs, as its package says: all packages have one. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';

export const VERSION: string = z
  .object({ version: z.string() })
  .parse(JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))).version;
