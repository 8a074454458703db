/** What the registry shows of itself at each scrape, counted then: a walk over the fleet costs nothing between. */
import { X509Certificate } from 'node:crypto';
import { METRICS, type Metrics } from '@mail/service';
import type { SubscriberView } from './coordinator.ts';

export interface RegistryFigures {
  readonly fleet: () => readonly SubscriberView[];
  /** The active generation. */
  readonly generation: () => bigint;
  readonly rotationRunning: () => boolean;
  readonly certificates: () => number;
  /** The registry's own certificate, PEM. */
  readonly identityCert: () => string;
}

export function exposeRegistry(metrics: Metrics, figures: RegistryFigures): void {
  metrics.gaugeAtScrape(METRICS.subscribers, (gauge) => {
    gauge.reset();
    for (const { service, connected } of figures.fleet()) {
      gauge.inc({ subscriber: service, state: connected ? 'connected' : 'lost' });
      // a state that nobody is in is a 0, not a series that comes and goes
      gauge.inc({ subscriber: service, state: connected ? 'lost' : 'connected' }, 0);
    }
  });
  metrics.gaugeAtScrape(METRICS.subscribersLagging, (gauge) => {
    gauge.reset();
    const active = figures.generation();
    for (const { service, generation } of figures.fleet()) {
      gauge.inc({ subscriber: service }, generation === active ? 0 : 1);
    }
  });
  metrics.gaugeAtScrape(METRICS.rotationRunning, (gauge) => {
    gauge.set(figures.rotationRunning() ? 1 : 0);
  });
  metrics.gaugeAtScrape(METRICS.certificates, (gauge) => gauge.set(figures.certificates()));
  metrics.gaugeAtScrape(METRICS.identityNotBefore, (gauge) => {
    gauge.set(new X509Certificate(figures.identityCert()).validFromDate.getTime() / 1000);
  });
  metrics.gaugeAtScrape(METRICS.identityExpiry, (gauge) => {
    gauge.set(new X509Certificate(figures.identityCert()).validToDate.getTime() / 1000);
  });
}
