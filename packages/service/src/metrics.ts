/** Metrics by prom-client. Each process has one registry, so that tests can have many apps in one. */
import {
  AggregatorRegistry,
  Counter,
  collectDefaultMetrics,
  Gauge,
  Histogram,
  Registry,
} from 'prom-client';

interface Definition {
  readonly name: string;
  /** What it counts or measures, in a sentence that stands alone. */
  readonly help: string;
  /** Each with few values, all known beforehand: a series is kept for each of them for good. */
  readonly labels?: readonly string[];
}

export interface CounterDefinition extends Definition {
  readonly type: 'counter';
}

export interface GaugeDefinition extends Definition {
  readonly type: 'gauge';
  /** How the values of several workers become one; the sum when left out. */
  readonly aggregator?: 'min' | 'max';
}

export interface HistogramDefinition extends Definition {
  readonly type: 'histogram';
  /** Upper bounds in the metric's unit. */
  readonly buckets: readonly number[];
}

export type MetricDefinition = CounterDefinition | GaugeDefinition | HistogramDefinition;

type LabelsOf<D extends Definition> = D extends { readonly labels: readonly (infer L)[] }
  ? L & string
  : never;

/** What /metrics serves. */
export interface Exposition {
  readonly contentType: string;
  /** Rejects when workers do not answer. */
  expose(): Promise<string>;
}

/** Makes and holds the metrics of one process; asking twice for a definition gives the same metric. */
export class Metrics implements Exposition {
  readonly registry = new Registry();

  constructor(options: { processMetrics: boolean } = { processMetrics: false }) {
    if (options.processMetrics) collectDefaultMetrics({ register: this.registry });
  }

  counter<D extends CounterDefinition>(definition: D): Counter<LabelsOf<D>> {
    const known = this.registry.getSingleMetric(definition.name);
    if (known instanceof Counter) return known;
    return new Counter(this.#basics<D>(definition));
  }

  /** A counter that is kept elsewhere, read at each scrape. A later one takes its place. */
  counterAtScrape(definition: CounterDefinition, read: () => number): void {
    this.registry.removeSingleMetric(definition.name);
    new Counter({
      ...this.#basics(definition),
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  }

  gauge<D extends GaugeDefinition>(definition: D): Gauge<LabelsOf<D>> {
    const known = this.registry.getSingleMetric(definition.name);
    if (known instanceof Gauge) return known;
    const { aggregator } = definition;
    return new Gauge({ ...this.#basics<D>(definition), ...(aggregator && { aggregator }) });
  }

  /** A gauge that `read` fills at each scrape; what it throws makes the scrape fail. As above. */
  gaugeAtScrape<D extends GaugeDefinition>(
    definition: D,
    read: (gauge: Gauge<LabelsOf<D>>) => void,
  ): void {
    const { aggregator } = definition;
    this.registry.removeSingleMetric(definition.name);
    new Gauge({
      ...this.#basics<D>(definition),
      ...(aggregator && { aggregator }),
      collect() {
        read(this);
      },
    });
  }

  histogram<D extends HistogramDefinition>(definition: D): Histogram<LabelsOf<D>> {
    const known = this.registry.getSingleMetric(definition.name);
    if (known instanceof Histogram) return known;
    return new Histogram({ ...this.#basics<D>(definition), buckets: [...definition.buckets] });
  }

  #basics<D extends Definition>({ name, help, labels = [] }: D) {
    return {
      name,
      help,
      labelNames: labels as readonly LabelsOf<D>[],
      registers: [this.registry],
    };
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

/** The metrics of all workers as one, and `own`, which has others, for the first process of a cluster. */
export function clusterExposition(own: Metrics): Exposition {
  const aggregator = new AggregatorRegistry();
  return {
    contentType: aggregator.contentType,
    expose: async () => {
      const [theirs, ours] = await Promise.all([aggregator.clusterMetrics(), own.expose()]);
      return theirs === '' ? ours : `${theirs}\n${ours}`;
    },
  };
}
