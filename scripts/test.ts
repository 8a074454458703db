/**
 * `npm test`: everything that CI runs apart from containers, in the order in which faults are
 * cheapest to find. Ends with the line "N passed, N failed".
 *
 *   npm test                 all of it
 *   npm test -- --containers the container tests alone (wants a Docker engine)
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const bin = (name: string): string => join(root, 'node_modules/.bin', name);
const scratch = mkdtempSync(join(tmpdir(), 'concert-test-'));

interface Step {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
}

const checks: readonly Step[] = [
  { name: 'format and lint', command: [bin('biome'), 'ci', '.'] },
  { name: 'house rules', command: [process.execPath, 'scripts/check-house.ts'] },
  {
    name: 'settings page is current',
    command: [process.execPath, 'scripts/document-settings.ts', '--check'],
  },
  {
    name: 'types',
    command: [bin('turbo'), 'run', 'build', '--output-logs=errors-only', '--log-order=grouped'],
  },
  { name: 'types of tests and benchmarks', command: [bin('tsc'), '-p', 'tsconfig.scripts.json'] },
  { name: 'proto lint', command: [bin('buf'), 'lint'] },
  {
    name: 'proto breaking changes',
    command: [bin('buf'), 'breaking', '--against', 'proto/baseline.binpb'],
  },
  {
    name: 'generated code is current',
    command: [process.execPath, 'scripts/generate.ts', '--check'],
  },
];

function run({ name, command }: Step): boolean {
  const started = performance.now();
  console.log(`\n== ${name}`);
  const [program, ...rest] = command;
  const { status } = spawnSync(program, rest, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, TURBO_TELEMETRY_DISABLED: '1', DO_NOT_TRACK: '1' },
  });
  console.log(
    `== ${name}: ${status === 0 ? 'passed' : 'FAILED'} in ${((performance.now() - started) / 1000).toFixed(1)} s`,
  );
  return status === 0;
}

/** Runs vitest and counts what it ran. */
function runVitest(projects: readonly string[]): { passed: number; failed: number } {
  const report = join(scratch, 'vitest.json');
  const ok = run({
    name: `tests: ${projects.join(', ')}`,
    command: [
      bin('vitest'),
      'run',
      ...projects.flatMap((project) => ['--project', project]),
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${report}`,
    ],
  });
  try {
    const { numPassedTests, numFailedTests } = JSON.parse(readFileSync(report, 'utf8')) as {
      numPassedTests: number;
      numFailedTests: number;
    };
    // a file that does not even load fails the run without failing a test
    return { passed: numPassedTests, failed: numFailedTests || (ok ? 0 : 1) };
  } catch {
    return { passed: 0, failed: 1 };
  }
}

const containers = process.argv.includes('--containers');
let passed = 0;
let failed = 0;
if (containers) {
  ({ passed, failed } = runVitest(['containers']));
} else {
  const results = checks.map(run);
  passed = results.filter(Boolean).length;
  failed = results.length - passed;
  for (const project of ['unit', 'system']) {
    const tests = runVitest([project]);
    passed += tests.passed;
    failed += tests.failed;
  }
}
rmSync(scratch, { recursive: true });
console.log(`\n${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
