/** What each source shows of itself, at each scrape. */
import { type Source, SourceState } from '@mail/proto';
import { METRICS, type Metrics } from '@mail/service';

export function exposeSources(metrics: Metrics, sources: () => readonly Source[]): void {
  const show = (definition: (typeof METRICS)[SourceGauge], figure: (source: Source) => number) =>
    metrics.gaugeAtScrape(definition, (gauge) => {
      for (const source of sources()) gauge.set({ source: source.name }, figure(source));
    });
  show(METRICS.sourceLastSuccess, ({ lastSuccessAt }) => seconds(lastSuccessAt));
  show(METRICS.sourceLastFailure, ({ lastFailureAt }) => seconds(lastFailureAt));
  show(METRICS.sourceNextAttempt, ({ nextActionAt }) => seconds(nextActionAt));
  show(METRICS.sourceFailing, (source) => (isFailing(source) ? 1 : 0));
}

type SourceGauge =
  | 'sourceLastSuccess'
  | 'sourceLastFailure'
  | 'sourceNextAttempt'
  | 'sourceFailing';

/** A switch that is tried again counts as a failure, one that waits for its window does not. */
function isFailing({ state, failures }: Source): boolean {
  return state === SourceState.SOURCE_STATE_FAILED || failures > 0;
}

function seconds(at: Date | undefined): number {
  return at === undefined ? 0 : at.getTime() / 1000;
}
