/**
 * How processes that share a SQLite file hear of each other's commits: the writer rings a bell, which is
 * a file beside the database, and the others watch that file. The write-ahead log itself would not do:
 * its file changes before the commit can be seen, and nothing tells of the moment when it can.
 */
import { closeSync, type FSWatcher, openSync, watch, writeSync } from 'node:fs';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Logger } from '@mail/service';

/** Rings closer together than this are answered once. */
const LEAST_GAP_MS = 5;
/** For a writer that died between its commit and its bell, and where files cannot be watched. */
const POLL_MS = 1_000;

const ONE_OCTET = new Uint8Array([0x0a]);

/** The writer's end. The file is left where it is: others may be watching it. */
export class Bell {
  readonly #file: number;

  constructor(path: string) {
    this.#file = openSync(path, 'a', 0o600);
    closeSync(this.#file);
    this.#file = openSync(path, 'r+');
  }

  ring(): void {
    writeSync(this.#file, ONE_OCTET, 0, 1, 0);
  }

  close(): void {
    closeSync(this.#file);
  }
}

/**
 * Calls `heard` soon after any connection but `reader` itself has committed, until the returned function
 * is called. `reader` must be outside a transaction whenever the event loop turns.
 */
export function listenToBell(
  path: string,
  reader: DatabaseSync,
  heard: () => void,
  logger: Logger,
): () => void {
  // a number that changes when another connection commits; it does not read the file
  const dataVersion: StatementSync = reader.prepare('pragma data_version');
  const readVersion = (): unknown => dataVersion.get()?.['data_version'];
  let version = readVersion();
  let lastCheckAt = Number.NEGATIVE_INFINITY;
  let soon: NodeJS.Timeout | undefined;

  const check = (): void => {
    soon = undefined;
    lastCheckAt = performance.now();
    try {
      const now = readVersion();
      if (now === version) return;
      version = now;
    } catch (error) {
      logger.warn({ error }, 'cannot read whether the database changed; the next poll tries again');
      return;
    }
    heard();
  };
  const checkSoon = (): void => {
    if (soon !== undefined) return;
    const wait = lastCheckAt + LEAST_GAP_MS - performance.now();
    if (wait <= 0) check();
    else soon = setTimeout(check, wait);
  };

  let watcher: FSWatcher | undefined;
  const withoutWatching = (error: unknown): void => {
    watcher?.close();
    logger.warn(
      { error },
      `cannot watch ${path}; changes by other processes are seen after up to ${POLL_MS} ms`,
    );
  };
  try {
    watcher = watch(path, { persistent: false }, checkSoon);
    watcher.on('error', withoutWatching);
  } catch (error) {
    withoutWatching(error);
  }
  const poll = setInterval(checkSoon, POLL_MS);
  poll.unref();

  return () => {
    watcher?.close();
    clearInterval(poll);
    clearTimeout(soon);
  };
}
