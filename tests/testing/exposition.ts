/** Prometheus' text format as `/metrics` gives it, read strictly: what does not parse throws. */

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly type: string;
  readonly help: string;
}

export interface Exposition {
  /** By name of the metric. */
  readonly families: ReadonlyMap<string, Family>;
  readonly samples: readonly Sample[];
  /** Sum of the samples of that name that have these labels; undefined where there is none. */
  value(name: string, labels?: Readonly<Record<string, string>>): number | undefined;
}

const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"(?:,|$)/gy;

function readLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  LABEL.lastIndex = 0;
  let end = 0;
  for (let match = LABEL.exec(text); match !== null; match = LABEL.exec(text)) {
    labels[match[1] ?? ''] = (match[2] ?? '').replaceAll(/\\(.)/g, (_, escaped: string) =>
      escaped === 'n' ? '\n' : escaped,
    );
    end = LABEL.lastIndex;
  }
  if (end !== text.length) throw new Error(`labels that are none: ${text}`);
  return labels;
}

function readValue(text: string): number {
  const value = Number(text.replace(/^([+-]?)Inf$/, '$1Infinity'));
  // Prometheus takes it in any case, and prom-client writes Nan
  if (Number.isNaN(value) && !/^nan$/i.test(text)) throw new Error(`a value that is none: ${text}`);
  return value;
}

export function parseExposition(text: string): Exposition {
  const helps = new Map<string, string>();
  const families = new Map<string, Family>();
  const samples: Sample[] = [];
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const [, keyword, subject = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
    if (keyword === 'HELP') helps.set(subject, rest);
    else if (keyword === 'TYPE') {
      if (families.has(subject)) throw new Error(`${subject} comes twice`);
      families.set(subject, { type: rest, help: helps.get(subject) ?? '' });
    } else {
      const [, name = '', labels = '', value = ''] = SAMPLE.exec(line) ?? [];
      if (name === '') throw new Error(`a line that is no sample: ${line}`);
      samples.push({ name, labels: readLabels(labels), value: readValue(value) });
    }
  }
  return {
    families,
    samples,
    value: (name, wanted = {}) => {
      const found = samples.filter(
        (sample) =>
          sample.name === name &&
          Object.entries(wanted).every(([label, value]) => sample.labels[label] === value),
      );
      return found.length === 0 ? undefined : found.reduce((sum, { value }) => sum + value, 0);
    },
  };
}
