/**
 * What a source tells of itself: what it does, what came of it last, and how its newest arrival stands, as
 * one Source message. What has happened is kept across restarts.
 */
import { type CheckResult, Source, SourcePolicy, SourceState } from '@mail/proto';
import { METRICS, type Metrics } from '@mail/service';
import type { RegistryDatabase } from '../database.ts';
import type { ArrivalPolicy } from './arrival-plan.ts';
import { type Arrivals, type Standing, withoutStop } from './arrivals.ts';
import type { SourceName } from './source.ts';

export interface SourceStatusOptions {
  readonly name: SourceName;
  readonly policy: ArrivalPolicy;
  /** The folder's path, or the ACME directory's URL. */
  readonly location: string;
  readonly arrivals: Arrivals;
  readonly database: RegistryDatabase;
  readonly metrics: Metrics;
  /** Wall clock, milliseconds. */
  readonly now: () => number;
}

/** Why the source failed, kept until it succeeds. */
interface Failure {
  readonly detail: string;
  readonly checks: readonly CheckResult[];
}

/** As stored. Times are milliseconds since the epoch. */
interface History {
  readonly lastSuccessAt?: number;
  readonly lastFailureAt?: number;
  /** Since the last success. */
  readonly failures: number;
  readonly failure?: Failure;
}

export class SourceStatus {
  readonly #options: SourceStatusOptions;
  #history: History;
  #work: string | undefined;
  #rest: { readonly detail: string; readonly nextActionAt: number | undefined };

  constructor(options: SourceStatusOptions) {
    this.#options = options;
    this.#history = JSON.parse(
      options.database.setting(`source/${options.name}/status`) ?? '{"failures":0}',
    );
    this.#rest = { detail: 'nothing has come yet', nextActionAt: undefined };
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
    if (failure !== undefined) this.#save({ ...history, failures: 0 });
  }

  /** It has brought a certificate, which is now its arrival. */
  succeeded(): void {
    this.#work = undefined;
    this.#count('succeeded');
    const { lastFailureAt } = this.#history;
    const lastSuccessAt = this.#options.now();
    this.#save({ lastSuccessAt, failures: 0, ...(lastFailureAt && { lastFailureAt }) });
  }

  /** `checks` are what refused the certificate, empty where something else was wrong. */
  failed(detail: string, checks: readonly CheckResult[] = [], nextActionAt?: number): void {
    this.#work = undefined;
    this.#rest = { ...this.#rest, nextActionAt };
    this.#count('failed');
    this.#save({
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

  #save(history: History): void {
    this.#history = history;
    const { database, name } = this.#options;
    database.setSetting(`source/${name}/status`, JSON.stringify(history));
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
