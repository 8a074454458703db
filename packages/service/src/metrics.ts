/** Metrics by prom-client. Each process has one registry, so that tests can have many apps in one. */
import {
  AggregatorRegistry,
  Counter,
  collectDefaultMetrics,
  Gauge,
  Histogram,
  Registry,
} from 'prom-client';

export interface MetricDefinition {
  readonly name: string;
  readonly help: string;
  /** How a gauge's values of several workers become one; the sum when left out. */
  readonly aggregator?: 'min' | 'max';
}

/** What /metrics serves. */
export interface Exposition {
  readonly contentType: string;
  expose(): Promise<string>;
}

/** Makes and holds the metrics of one process; asking twice for a name gives the same metric. */
export class Metrics implements Exposition {
  readonly registry = new Registry();

  constructor(options: { processMetrics: boolean } = { processMetrics: false }) {
    if (options.processMetrics) collectDefaultMetrics({ register: this.registry });
  }

  counter<L extends string>(
    definition: MetricDefinition,
    labelNames: readonly L[] = [],
  ): Counter<L> {
    const known = this.registry.getSingleMetric(definition.name);
    if (known instanceof Counter) return known;
    return new Counter({ ...definition, labelNames, registers: [this.registry] });
  }

  gauge<L extends string>(definition: MetricDefinition, labelNames: readonly L[] = []): Gauge<L> {
    const known = this.registry.getSingleMetric(definition.name);
    if (known instanceof Gauge) return known;
    return new Gauge({ ...definition, labelNames, registers: [this.registry] });
  }

  /** `buckets` in the metric's unit. */
  histogram<L extends string>(
    definition: MetricDefinition,
    buckets: number[],
    labelNames: readonly L[] = [],
  ): Histogram<L> {
    const known = this.registry.getSingleMetric(definition.name);
    if (known instanceof Histogram) return known;
    return new Histogram({ ...definition, buckets, labelNames, registers: [this.registry] });
  }

  get contentType(): string {
    return this.registry.contentType;
  }

  /** Answers the first process of a cluster when it gathers the metrics of its workers. */
  shareWithCluster(): void {
    AggregatorRegistry.setRegistries([this.registry]);
    new AggregatorRegistry();
  }

  expose(): Promise<string> {
    return this.registry.metrics();
  }
}

/** The metrics of all workers as one, for the first process of a cluster. */
export function clusterExposition(): Exposition {
  const aggregator = new AggregatorRegistry();
  return {
    contentType: aggregator.contentType,
    expose: () => aggregator.clusterMetrics(),
  };
}
