/** The programs of others that the client checks run: which are there, and how each is run to its end. */
import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** A check that is skipped without a word proves nothing: where everything is checked, these must be there. */
const REQUIRED = process.env['CI'] === 'true' ? ['python3', 'curl'] : [];

/** Whether all of `programs` can be run; says which is missing. */
export function areInstalled(...programs: readonly string[]): boolean {
  const missing = programs.filter(
    (program) => spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0,
  );
  const refused = missing.filter((program) => REQUIRED.includes(program));
  if (refused.length > 0) throw new Error(`not installed: ${refused.join(', ')}`);
  if (missing.length > 0) console.warn(`skipped for want of ${missing.join(', ')}`);
  return missing.length === 0;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

/** Runs a program; gives what it printed. Rejects, with all it said, when it fails or takes too long. */
export async function run(
  program: string,
  args: readonly string[],
  { env = {}, timeoutMs = 30_000 }: RunOptions = {},
): Promise<string> {
  const { stdout } = await execute(program, args, {
    env: { ...process.env, ...env },
    timeout: timeoutMs,
    maxBuffer: 2 ** 24,
  });
  return stdout;
}
