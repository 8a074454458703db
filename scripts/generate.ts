/**
 * Generates TypeScript and the descriptor set from proto/. With --check it changes nothing and fails
 * when what is committed is not what the protos give.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const OUTPUTS = ['packages/proto/src/gen', 'packages/proto/descriptors'];

function buf(...rest: string[]): void {
  const { status } = spawnSync(join(root, 'node_modules/.bin/buf'), rest, {
    cwd: root,
    stdio: 'inherit',
  });
  if (status !== 0) process.exit(status ?? 1);
}

/** Path to content of every file below OUTPUTS in `base`. */
function snapshot(base: string): Map<string, string> {
  const files = new Map<string, string>();
  for (const output of OUTPUTS) {
    for (const entry of readdirSync(join(base, output), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      files.set(path.slice(base.length), readFileSync(path, 'base64'));
    }
  }
  return files;
}

const out = process.argv.includes('--check')
  ? mkdtempSync(join(tmpdir(), 'concert-generate-'))
  : root;
// buf lays its outputs relative to -o, and generated names are relative to the template
buf('generate', '-o', out);
if (!existsSync(join(out, 'packages/proto/descriptors'))) {
  cpSync(join(root, 'packages/proto/descriptors'), join(out, 'packages/proto/descriptors'), {
    recursive: true,
  });
}
buf('build', '-o', join(out, 'packages/proto/descriptors/mail.binpb'));
if (out !== root) {
  const wanted = snapshot(out);
  const committed = snapshot(root);
  rmSync(out, { recursive: true });
  const differing = [...new Set([...wanted.keys(), ...committed.keys()])].filter(
    (path) => wanted.get(path) !== committed.get(path),
  );
  if (differing.length > 0) {
    console.error(
      `not current, run npm run generate:\n${differing.map((path) => `  ${path}`).join('\n')}`,
    );
    process.exit(1);
  }
}
