/** What every line of figures says of the machine, and the arithmetic that all benchmarks share. */
import { availableParallelism, cpus } from 'node:os';

export const machine = {
  cpus: availableParallelism(),
  model: cpus()[0]?.model ?? '',
  node: process.version,
};

export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

const round = (value: number): number => Math.round(value * 100) / 100;

/** Median, p99, least and most, in the unit of `values`. */
export function summary(values: readonly number[]): Record<string, number> {
  return {
    runs: values.length,
    min: round(quantile(values, 0)),
    median: round(quantile(values, 0.5)),
    p99: round(quantile(values, 0.99)),
    max: round(quantile(values, 1)),
  };
}

/** One JSON line on standard output. */
export function report(bench: string, name: string, figures: Record<string, unknown>): void {
  console.log(JSON.stringify({ bench, case: name, ...figures, machine }));
}

/** `--name VALUE` from the command line. */
export function option(name: string, fallback: number): number {
  const index = process.argv.indexOf(`--${name}`);
  const value = index < 0 ? fallback : Number(process.argv[index + 1]);
  if (!Number.isFinite(value)) throw new Error(`--${name} wants a number`);
  return value;
}
