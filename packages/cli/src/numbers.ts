/** Numbers and spans of time as options write them. */
import { duration } from '@mail/service';
import { InvalidArgumentError } from 'commander';

/** A parser for an option that takes a whole number from `least` to `most`. */
export function parseWholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It wants a whole number from ${least} to ${most}.`);
  };
}

/** A parser for an option that takes a span such as "500ms", "10s"; gives milliseconds. */
export function parseDuration(leastMs: number, mostMs: number): (text: string) => number {
  return (text) => {
    const { data } = duration(leastMs, mostMs).safeParse(text);
    if (data !== undefined) return data;
    throw new InvalidArgumentError(
      `It wants a span of time such as 500ms, 10s, 2m, from ${leastMs} ms to ${mostMs} ms.`,
    );
  };
}
