import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Turns } from '../turns.ts';
import { sortInTurns } from './in-turns.ts';

test('as Array.sort does, whatever the length', async () => {
  const items = fc.array(fc.nat(9), { maxLength: 5000, size: 'max' });
  await fc.assert(
    fc.asyncProperty(items, async (keys) => {
      const given = keys.map((key, index) => ({ key, index }));
      const byKey = (one: { key: number }, other: { key: number }) => one.key - other.key;
      const sorted = await sortInTurns(given, byKey, new Turns(100_000));
      expect(sorted).toEqual(given.toSorted(byKey));
    }),
    { numRuns: 20 },
  );
});

test('others have their turn', async () => {
  let done = false;
  const given = Array.from({ length: 50_000 }, (_, index) => -index);
  const sorting = sortInTurns(given, (a, b) => a - b, new Turns(10_000)).finally(() => {
    done = true;
  });
  let turns = 0;
  const count = (): void => {
    turns += 1;
    if (!done) setImmediate(count);
  };
  count();
  await sorting;
  expect(turns).toBeGreaterThan(50);
});
