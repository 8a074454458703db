/**
 * The switch under random orders, delays, losses, duplicates, crashes, restarts and clock drift. The list
 * of faults is at the head of testing/simulation.ts, the rules are in testing/rules.ts. A failure prints
 * its seed and what happened; `node services/cert-registry/src/testing/simulate.ts` runs longer.
 */
import { availableParallelism } from 'node:os';
import { describe, expect, test } from 'vitest';
import { MUTANTS } from './testing/mutants.ts';
import { playSchedules, traceOf } from './testing/schedules.ts';
import { REAL_MACHINES, Simulation } from './testing/simulation.ts';

const SCHEDULES = 100_000;
/** Every broken machine is found within so many. */
const SCHEDULES_PER_MUTANT = 1_000;
const PATIENCE_MS = 300_000;

test(`every rule holds in ${SCHEDULES} random schedules`, { timeout: PATIENCE_MS }, async () => {
  const threads = Math.min(4, availableParallelism());
  const failure = await playSchedules({ first: 1, count: SCHEDULES }, threads);
  if (failure !== undefined) expect.fail(traceOf(failure.seed));
});

test('the same seed plays the same schedule', () => {
  const first = traceOf(4_711);
  expect(first).toContain('registry');
  expect(traceOf(4_711)).toBe(first);
});

describe('the simulator finds a machine that would', () => {
  test.each(MUTANTS)('$name', { timeout: PATIENCE_MS }, ({ caughtBy, name: _, ...broken }) => {
    const machines = { ...REAL_MACHINES, ...broken };
    const rules = new Set<string>();
    for (let seed = 1; seed <= SCHEDULES_PER_MUTANT && !rules.has(caughtBy); seed += 1) {
      const failure = new Simulation(seed, machines).run();
      if (failure !== undefined) rules.add(failure.rule);
    }
    expect([...rules]).toContain(caughtBy);
  });
});
