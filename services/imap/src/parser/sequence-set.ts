/**
 * Sequence sets (RFC 3501 §9): "2,4:7,9,12:*". Parsed as they are written; resolved against the
 * largest number in use when they are applied. Pure.
 */
import { ImapSyntaxError } from '../errors.ts';
import type { Lexer } from './lexer.ts';
import { MAX_SET_RANGES, MAX_UINT32 } from './limits.ts';

/** "*" stands for the largest number in use. */
export type SetNumber = number | '*';

export interface SetRange {
  readonly from: SetNumber;
  readonly to: SetNumber;
}
export type SequenceSet = readonly SetRange[];

/** A set as commands take it: also "$", what SEARCH has saved (RFC 5182 §2.1). */
export type MessageSet = SequenceSet | 'saved';

/** `first` to `last`, both included. */
export interface NumberRange {
  readonly first: number;
  readonly last: number;
}

/** seq-number. */
export function parseSetNumber(text: string): SetNumber {
  if (text === '*') return '*';
  const value = /^[1-9]\d{0,9}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value <= MAX_UINT32)) throw new ImapSyntaxError('malformed', 'Bad sequence set');
  return value;
}

export function parseSequenceSet(lexer: Lexer): SequenceSet {
  const ranges = lexer.setText().split(',', MAX_SET_RANGES + 1);
  if (ranges.length > MAX_SET_RANGES) {
    throw new ImapSyntaxError('too-many', 'Sequence set with too many ranges');
  }
  return ranges.map((text) => {
    const colon = text.indexOf(':');
    if (colon === -1) {
      const only = parseSetNumber(text);
      return { from: only, to: only };
    }
    return {
      from: parseSetNumber(text.slice(0, colon)),
      to: parseSetNumber(text.slice(colon + 1)),
    };
  });
}

export function parseMessageSet(lexer: Lexer): MessageSet {
  return lexer.accept('$') ? 'saved' : parseSequenceSet(lexer);
}

/** Ascending numbers as ranges. */
export function rangesOf(ascending: readonly number[]): NumberRange[] {
  const ranges: { first: number; last: number }[] = [];
  for (const number of ascending) {
    const previous = ranges.at(-1);
    if (previous?.last === number - 1) previous.last = number;
    else ranges.push({ first: number, last: number });
  }
  return ranges;
}

/** Ranges in ascending order, apart from each other; "*" is `largest`, and 4:2 is 2:4. */
export function resolveSet(set: SequenceSet, largest: number): NumberRange[] {
  const value = (number: SetNumber): number => (number === '*' ? largest : number);
  const ranges = set
    .map(({ from, to }) => ({
      first: Math.min(value(from), value(to)),
      last: Math.max(value(from), value(to)),
    }))
    .sort((a, b) => a.first - b.first);
  const merged: { first: number; last: number }[] = [];
  for (const range of ranges) {
    const previous = merged.at(-1);
    if (previous !== undefined && range.first <= previous.last + 1) {
      previous.last = Math.max(previous.last, range.last);
    } else {
      merged.push({ ...range });
    }
  }
  return merged;
}

/** Index of the first of `ascending` that is at least `wanted`; its length where there is none. */
export function lowerBound(ascending: ArrayLike<number>, wanted: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ascending[middle] ?? 0) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** What is in both; each as resolveSet makes them. */
export function commonRanges(
  some: readonly NumberRange[],
  others: readonly NumberRange[],
): NumberRange[] {
  const common: NumberRange[] = [];
  let at = 0;
  for (const { first, last } of some) {
    while (at < others.length && (others[at]?.last ?? 0) < first) at += 1;
    for (let next = at; next < others.length; next += 1) {
      const other = others[next];
      if (other === undefined || other.first > last) break;
      common.push({ first: Math.max(first, other.first), last: Math.min(last, other.last) });
    }
  }
  return common;
}

/** Whether `ranges`, as resolveSet makes them, hold `number`. */
export function rangesHold(ranges: readonly NumberRange[], number: number): boolean {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const range = ranges[middle];
    if (range === undefined) return false;
    if (number < range.first) high = middle;
    else if (number > range.last) low = middle + 1;
    else return true;
  }
  return false;
}

/** The shortest writing of ascending numbers: 1:3,7. */
export function formatSet(ascending: readonly number[]): string {
  return formatRanges(rangesOf(ascending));
}

export function formatRanges(ranges: readonly NumberRange[]): string {
  return ranges
    .map(({ first, last }) => (first === last ? `${first}` : `${first}:${last}`))
    .join(',');
}
