/**
 * Plays random schedules by hand, for as long as wanted:
 *
 *     node services/cert-registry/src/testing/simulate.ts --schedules 5000000 --seed 7
 *
 * Schedules take consecutive seeds. The first failure ends the run with its trace and exit code 1;
 * `--seed N --schedules 1 --trace` shows any schedule.
 */
import { parseArgs } from 'node:util';
import { REAL_MACHINES, Simulation } from './simulation.ts';

const { values } = parseArgs({
  options: {
    schedules: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: '1' },
    trace: { type: 'boolean', default: false },
  },
});
const first = Number(values.seed);
const schedules = Number(values.schedules);
const began = performance.now();
for (let index = 0; index < schedules; index += 1) {
  const seed = first + index;
  const failure = new Simulation(seed).run();
  if (failure !== undefined || values.trace) {
    const trace: string[] = [];
    new Simulation(seed, REAL_MACHINES, trace).run();
    for (const line of trace) console.log(line);
  }
  if (failure !== undefined) {
    console.log(`seed ${seed} breaks "${failure.rule}": ${failure.detail}`);
    process.exit(1);
  }
  if ((index + 1) % 100_000 === 0) console.log(`${index + 1} schedules`);
}
const seconds = (performance.now() - began) / 1_000;
console.log(`${schedules} schedules from seed ${first}, every rule held, ${seconds.toFixed(1)} s`);
