/**
 * Plays random schedules by hand, for as long as wanted:
 *
 *     node services/cert-registry/src/testing/simulate.ts --schedules 5000000 --seed 7
 *
 * Schedules take consecutive seeds. A failure ends the run with its trace and exit code 1;
 * `--trace` shows the schedule of `--seed`, whether it fails or not.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { playSchedules, traceOf } from './schedules.ts';

const CHUNK = 200_000;

const { values } = parseArgs({
  options: {
    schedules: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: '1' },
    threads: { type: 'string', default: String(availableParallelism()) },
    trace: { type: 'boolean', default: false },
  },
});
const first = Number(values.seed);
const schedules = values.trace ? 1 : Number(values.schedules);
if (values.trace) console.log(traceOf(first));

const began = performance.now();
for (let done = 0; done < schedules; done += CHUNK) {
  const count = Math.min(CHUNK, schedules - done);
  const failure = await playSchedules({ first: first + done, count }, Number(values.threads));
  if (failure !== undefined) {
    console.log(traceOf(failure.seed));
    process.exit(1);
  }
  console.log(`${done + count} schedules`);
}
const seconds = (performance.now() - began) / 1_000;
console.log(`seeds ${first} to ${first + schedules - 1}: every rule held, ${seconds.toFixed(1)} s`);
