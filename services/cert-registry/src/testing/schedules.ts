/** Plays many schedules over several threads. */
import { Worker } from 'node:worker_threads';
import { type Failure, REAL_MACHINES, Simulation } from './simulation.ts';

export interface Schedules {
  /** Seed of the first; the others follow it. */
  readonly first: number;
  readonly count: number;
}

/** Plays them in this thread. @returns the first failure, or undefined when every rule held. */
export function playHere({ first, count }: Schedules): Failure | undefined {
  for (let seed = first; seed < first + count; seed += 1) {
    const failure = new Simulation(seed).run();
    if (failure !== undefined) return failure;
  }
  return undefined;
}

/** Plays them over so many threads. @returns a failure of the lowest seed found, or undefined. */
export async function playSchedules(
  { first, count }: Schedules,
  threads: number,
): Promise<Failure | undefined> {
  const share = Math.ceil(count / threads);
  const runs: Promise<Failure | undefined>[] = [];
  for (let done = 0; done < count; done += share) {
    runs.push(playInThread({ first: first + done, count: Math.min(share, count - done) }));
  }
  const failures = await Promise.all(runs);
  return failures.find((failure) => failure !== undefined);
}

/** What happened in a schedule, for people. */
export function traceOf(seed: number): string {
  const lines: string[] = [];
  const failure = new Simulation(seed, REAL_MACHINES, lines).run();
  if (failure !== undefined) {
    lines.push(`seed ${seed} breaks "${failure.rule}": ${failure.detail}`);
  }
  return lines.join('\n');
}

function playInThread(schedules: Schedules): Promise<Failure | undefined> {
  const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const worker = new Worker(new URL(`./schedules-thread.${ending}`, import.meta.url), {
    workerData: schedules,
  });
  return new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}
