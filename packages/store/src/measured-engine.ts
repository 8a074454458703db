/** An engine whose writes and failures are counted, whichever database it is. */
import { METRICS, type Metrics } from '@mail/service';
import type { Engine } from './engine.ts';
import { StoreError, type StoreErrorCode } from './errors.ts';

/** Codes that are the database's doing; others are rules that refuse. */
const FAILURES: ReadonlySet<StoreErrorCode> = new Set(['database-unavailable', 'database-corrupt']);

function isFailure(error: unknown): boolean {
  return !(error instanceof StoreError) || FAILURES.has(error.code);
}

export function measureEngine(engine: Engine, metrics: Metrics): Engine {
  const writes = metrics.counter(METRICS.storeWrites);
  const durations = metrics.histogram(METRICS.storeWriteDuration);
  const readFailures = metrics.counter(METRICS.storeReadFailures);
  // rates want counters that were 0 before they were 1
  for (const outcome of ['done', 'refused', 'failed']) writes.inc({ outcome }, 0);
  metrics.counterAtScrape(METRICS.storeCommits, () => engine.statistics().commits);

  const reading = async <T>(read: Promise<T>): Promise<T> => {
    try {
      return await read;
    } catch (error) {
      if (isFailure(error)) readFailures.inc();
      throw error;
    }
  };

  const writing = async <T>(write: Promise<T>): Promise<T> => {
    const startedAt = performance.now();
    try {
      const result = await write;
      writes.inc({ outcome: 'done' });
      durations.observe((performance.now() - startedAt) / 1000);
      return result;
    } catch (error) {
      writes.inc({ outcome: isFailure(error) ? 'failed' : 'refused' });
      throw error;
    }
  };

  return {
    read: (query) => reading(engine.read(query)),
    readAtOnce: (queries) => reading(engine.readAtOnce(queries)),
    findText: (query) => reading(engine.findText(query)),
    write: (name, args) => writing(engine.write(name, args)),
    listen: (signal) => engine.listen(signal),
    examine: (quick) => engine.examine(quick),
    lockMaildrop: (accountId) => engine.lockMaildrop(accountId),
    failed: engine.failed,
    statistics: () => engine.statistics(),
    close: () => engine.close(),
  };
}
