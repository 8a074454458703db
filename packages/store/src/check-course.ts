/**
 * One run of a check: looks in one read state, mends by a write that does nothing where the rows have
 * changed since, and then looks again, so that services that go on meanwhile raise no false alarm.
 */
import type { Kysely } from 'kysely';
import type { Repair } from './check-repairs.ts';
import type { CheckOptions, CheckStep, Fault } from './check-report.ts';
import type { Engine } from './engine.ts';
import { StoreError } from './errors.ts';
import type { Schema } from './schema.ts';

/** Looks at something that others keep changing. */
const MAX_ATTEMPTS = 10;

export type FoundFault = Omit<Fault, 'outcome'>;

/** What is wrong in one place, and how it is mended without a loss; undefined for what nothing here mends. */
export interface Finding {
  readonly faults: readonly FoundFault[];
  readonly repair: Repair | (() => Promise<Repair | undefined>) | undefined;
}

export class CheckCourse {
  readonly engine: Engine;
  readonly options: CheckOptions;
  faults = 0;
  remaining = 0;

  constructor(engine: Engine, options: CheckOptions) {
    this.engine = engine;
    this.options = options;
  }

  tell(fault: FoundFault, outcome: Fault['outcome']): void {
    this.faults += 1;
    if (outcome !== 'mended' && outcome !== 'dropped') this.remaining += 1;
    this.options.onFault({ ...fault, outcome });
  }

  progress(step: CheckStep, done: number, of: number): void {
    this.options.onProgress?.({ step, done, of: Math.max(done, of) });
  }

  /** Reads in one state; what cannot be read is a fault of its own, told here, and undefined. */
  async look<T>(
    where: string,
    queries: (db: Kysely<Schema>) => Promise<T>,
  ): Promise<T | undefined> {
    try {
      return await this.engine.readAtOnce(queries);
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'database-corrupt') throw error;
      this.tell({ code: 'database-damaged', where, what: 'cannot be read' }, 'not-mendable');
      return undefined;
    }
  }

  /** Looks, tells what is wrong, and mends it where that was asked for. */
  async settle(
    where: string,
    queries: (db: Kysely<Schema>) => Promise<Finding | undefined>,
  ): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      const finding = await this.look(where, queries);
      if (finding === undefined) return;
      const outcome = await this.#mend(finding, attempt === MAX_ATTEMPTS);
      if (outcome === undefined) continue;
      for (const fault of finding.faults) this.tell(fault, outcome);
      return;
    }
  }

  /** Undefined where it has changed meanwhile and must be looked at again. */
  async #mend({ repair }: Finding, last: boolean): Promise<Fault['outcome'] | undefined> {
    if (repair === undefined) return 'not-mendable';
    if (this.options.repair !== true) return 'mendable';
    const ready = typeof repair === 'function' ? await repair() : repair;
    if (ready !== undefined && (await this.engine.write('repair', ready))) return 'mended';
    return last ? 'mendable' : undefined;
  }
}

/** Pages of a table by its id, so that no look lasts long: calls `page` with each last id and expects the next. */
export async function inPages(page: (after: number) => Promise<number | undefined>): Promise<void> {
  for (let after: number | undefined = 0; after !== undefined; ) after = await page(after);
}
