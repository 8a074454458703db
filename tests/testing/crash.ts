/**
 * Plays crashes by hand, for as long as wanted, on SQLite:
 *
 *     node tests/testing/crash.ts --rounds 1000 --seed 7
 *
 * A failure ends the run with what is wrong and exit code 1; the system's data and logs then stay.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type CrashKind, playCrashes } from './crash-rounds.ts';
import { startSystem } from './system.ts';

/** Every fourth round is one of the whole machine. */
const MACHINE_EVERY = 4;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '100' },
    seed: { type: 'string', default: '1' },
  },
});
const kinds = Array.from(
  { length: Number(values.rounds) },
  (_, round): CrashKind => (round % MACHINE_EVERY === MACHINE_EVERY - 1 ? 'machine' : 'imap'),
);
const system = await startSystem();
console.log(`data in ${system.data}`);
await playCrashes({
  system,
  storeUrl: `sqlite:${join(system.data, 'mail', 'mail.db')}`,
  kinds,
  seed: Number(values.seed),
  tell: (line) => console.log(line),
});
await system.close();
