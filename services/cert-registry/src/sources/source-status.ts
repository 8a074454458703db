/**
 * What a source tells of itself: what it does, what came of it last, and how its newest arrival stands, as
 * one Source message. What has happened is kept across restarts.
 */
import { type CheckResult, Source, SourcePolicy, SourceState } from '@mail/proto';
import { METRICS, type Metrics } from '@mail/service';
import { z } from 'zod';
import { checkResultSchema } from '../check-result-schema.ts';
import type { StoredValue, StoredValues } from '../stored-values.ts';
import type { ArrivalPolicy } from './arrival-plan.ts';
import type { Arrivals, Standing } from './arrivals.ts';
import { withoutStop } from './sentence.ts';
import type { SourceName } from './source.ts';

export interface SourceStatusOptions {
  readonly name: SourceName;
  readonly policy: ArrivalPolicy;
  /** The folder's path, or the ACME directory's URL. */
  readonly location: string;
  readonly arrivals: Arrivals;
  readonly storedValues: StoredValues;
  readonly metrics: Metrics;
  /** Wall clock, milliseconds. */
  readonly now: () => number;
}

/** Why the source failed, kept until it succeeds. */
const failureSchema = z.object({
  detail: z.string(),
  checks: z.array(checkResultSchema).readonly(),
});

type Failure = Readonly<z.output<typeof failureSchema>>;

/** As stored. Times are milliseconds since the epoch. */
const historySchema = z.object({
  lastSuccessAt: z.number().exactOptional(),
  lastFailureAt: z.number().exactOptional(),
  /** Since the last success. */
  failures: z.number(),
  failure: failureSchema.readonly().exactOptional(),
});

type History = Readonly<z.output<typeof historySchema>>;

const NO_HISTORY: History = { failures: 0 };

export class SourceStatus {
  readonly #options: SourceStatusOptions;
  readonly #kept: StoredValue<History>;
  #work: string | undefined;
  #rest: { readonly detail: string; readonly nextActionAt: number | undefined };

  constructor(options: SourceStatusOptions) {
    this.#options = options;
    this.#kept = options.storedValues.open(`source/${options.name}/status`, historySchema);
    this.#rest = { detail: 'nothing has come yet', nextActionAt: undefined };
  }

  get #history(): History {
    return this.#kept.value ?? NO_HISTORY;
  }

  /** It reads or orders; `detail` is a sentence. Until the next call of another of these. */
  working(detail: string): void {
    this.#work = detail;
  }

  /** It waits for its next turn. A failure before goes on being told. */
  resting(detail: string, nextActionAt?: number): void {
    this.#work = undefined;
    this.#rest = { detail, nextActionAt };
  }

  /** What was wrong is so no longer, without anything having come. */
  recovered(): void {
    this.#work = undefined;
    const { failure, ...history } = this.#history;
    if (failure !== undefined) this.#kept.set({ ...history, failures: 0 });
  }

  /** It has brought a certificate, which is now its arrival. */
  succeeded(): void {
    this.#work = undefined;
    this.#count('succeeded');
    const { lastFailureAt } = this.#history;
    const lastSuccessAt = this.#options.now();
    this.#kept.set({ lastSuccessAt, failures: 0, ...(lastFailureAt && { lastFailureAt }) });
  }

  /** `checks` are what refused the certificate, empty where something else was wrong. */
  failed(detail: string, checks: readonly CheckResult[] = [], nextActionAt?: number): void {
    this.#work = undefined;
    this.#rest = { ...this.#rest, nextActionAt };
    this.#count('failed');
    this.#kept.set({
      ...this.#history,
      lastFailureAt: this.#options.now(),
      failures: this.#history.failures + 1,
      failure: { detail: withoutStop(detail), checks },
    });
  }

  describe(): Source {
    const { name, policy, location, arrivals } = this.#options;
    const { lastSuccessAt, lastFailureAt, failures, failure } = this.#history;
    const standing = arrivals.standing(name);
    const failedAt = Math.max(lastFailureAt ?? 0, standing?.lastFailureAt ?? 0);
    return Source.create({
      name,
      policy: POLICIES[policy],
      location,
      certificateId: standing?.certificateId ?? '',
      lastSuccessAt: dateOf(lastSuccessAt),
      lastFailureAt: dateOf(failedAt === 0 ? undefined : failedAt),
      failures: failures + (standing?.failures ?? 0),
      ...this.#stateOf(failure, standing),
    });
  }

  #stateOf(
    failure: Failure | undefined,
    standing: Standing | undefined,
  ): Pick<Source, 'state' | 'detail' | 'checks' | 'nextActionAt'> {
    const nextActionAt = dateOf(this.#rest.nextActionAt);
    if (this.#work !== undefined) {
      const state = SourceState.SOURCE_STATE_WORKING;
      return { state, detail: this.#work, checks: [], nextActionAt: undefined };
    }
    if (failure !== undefined) {
      const { detail, checks } = failure;
      return { state: SourceState.SOURCE_STATE_FAILED, detail, checks: [...checks], nextActionAt };
    }
    if (standing === undefined) {
      const state = SourceState.SOURCE_STATE_IDLE;
      return { state, detail: this.#rest.detail, checks: [], nextActionAt };
    }
    return {
      state: PHASES[standing.phase],
      detail: standing.detail,
      checks: [...standing.checks],
      nextActionAt: dateOf(standing.nextActionAt) ?? nextActionAt,
    };
  }

  #count(outcome: 'succeeded' | 'failed'): void {
    const { metrics, name } = this.#options;
    metrics.counter(METRICS.sourceAttempts).inc({ source: name, outcome });
  }
}

const POLICIES = {
  rotate: SourcePolicy.SOURCE_POLICY_ROTATE,
  window: SourcePolicy.SOURCE_POLICY_WINDOW,
  stage: SourcePolicy.SOURCE_POLICY_STAGE,
} as const satisfies { readonly [Policy in ArrivalPolicy]: SourcePolicy };

const PHASES = {
  done: SourceState.SOURCE_STATE_IDLE,
  switching: SourceState.SOURCE_STATE_WORKING,
  staged: SourceState.SOURCE_STATE_STAGED,
  waiting: SourceState.SOURCE_STATE_WAITING,
  refused: SourceState.SOURCE_STATE_FAILED,
} as const satisfies { readonly [Phase in Standing['phase']]: SourceState };

function dateOf(time: number | undefined): Date | undefined {
  return time === undefined ? undefined : new Date(time);
}
