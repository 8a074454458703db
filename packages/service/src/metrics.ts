/** Metrics by prom-client. Each process has one registry, so that tests can have many apps in one. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

type Definition = { readonly name: string; readonly help: string };

/** Makes and holds the metrics of one process; asking twice for a name gives the same metric. */
export class Metrics {
  readonly registry = new Registry();

  constructor(options: { processMetrics: boolean } = { processMetrics: false }) {
    if (options.processMetrics) collectDefaultMetrics({ register: this.registry });
  }

  counter<L extends string>(definition: Definition, labelNames: readonly L[] = []): Counter<L> {
    const known = this.registry.getSingleMetric(definition.name);
    if (known instanceof Counter) return known;
    return new Counter({ ...definition, labelNames, registers: [this.registry] });
  }

  gauge<L extends string>(definition: Definition, labelNames: readonly L[] = []): Gauge<L> {
    const known = this.registry.getSingleMetric(definition.name);
    if (known instanceof Gauge) return known;
    return new Gauge({ ...definition, labelNames, registers: [this.registry] });
  }

  /** `buckets` in the metric's unit. */
  histogram<L extends string>(
    definition: Definition,
    buckets: number[],
    labelNames: readonly L[] = [],
  ): Histogram<L> {
    const known = this.registry.getSingleMetric(definition.name);
    if (known instanceof Histogram) return known;
    return new Histogram({ ...definition, buckets, labelNames, registers: [this.registry] });
  }

  /** The text exposition that /metrics serves. */
  expose(): Promise<string> {
    return this.registry.metrics();
  }
}
