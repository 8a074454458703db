/** Folders that hold what is nobody else's. */
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/**
 * Makes `path`, and what is missing above it, for its owner alone; true when it was not there. Node's own
 * recursive mkdir never returns where the system answers ENOENT below a folder that exists, as /proc does.
 * Throws what the file system says.
 */
export function makeFolder(path: string): boolean {
  const missing: string[] = [];
  for (let at = resolve(path); !existsSync(at); at = dirname(at)) missing.push(at);
  for (const folder of missing.reverse()) {
    try {
      mkdirSync(folder, { mode: 0o700 });
    } catch (error) {
      // somebody else was quicker; what is no folder shows at once
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    }
  }
  mkdirSync(path, { recursive: true, mode: 0o700 });
  return missing.length > 0;
}
