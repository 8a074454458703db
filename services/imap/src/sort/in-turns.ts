/** Sorting that lets other sessions have their turn. */
import type { Turns } from '../turns.ts';

/** Sorted at one go, which takes about a millisecond. */
const RUN_ITEMS = 1024;

/** A new array, sorted; stable. `turns` in comparisons. */
export async function sortInTurns<T>(
  items: readonly T[],
  compare: (one: T, other: T) => number,
  turns: Turns,
): Promise<T[]> {
  let runs: T[][] = [];
  for (let start = 0; start < items.length; start += RUN_ITEMS) {
    runs.push(items.slice(start, start + RUN_ITEMS).sort(compare));
    await turns.spend(RUN_ITEMS * Math.log2(RUN_ITEMS));
  }
  while (runs.length > 1) {
    const merged: T[][] = [];
    for (let at = 0; at < runs.length; at += 2) {
      const [one = [], other = []] = runs.slice(at, at + 2);
      merged.push(await merge(one, other, compare, turns));
    }
    runs = merged;
  }
  return runs[0] ?? [];
}

async function merge<T>(
  one: T[],
  other: T[],
  compare: (one: T, other: T) => number,
  turns: Turns,
): Promise<T[]> {
  const merged: T[] = [];
  let at = 0;
  for (const item of one) {
    for (; at < other.length && compare(other[at] as T, item) < 0; at += 1) {
      merged.push(other[at] as T);
    }
    merged.push(item);
    const turn = turns.spend(1);
    if (turn !== undefined) await turn;
  }
  return merged.concat(other.slice(at));
}
