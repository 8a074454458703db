// Runs a script of this checkout on the pinned Node, installing what is missing first. This file is
// all that ever runs on the Node that happens to be there, so it needs only Node 18.
//
//   node scripts/in-checkout.mjs SCRIPT [ARGUMENT ...]
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const pinnedNode = join(root, 'node_modules/node/bin/node');
const installedMark = join(root, 'node_modules/.concert-installed');

/** Changes whenever an install could give another result. */
function wantedInstall() {
  const hash = createHash('sha256');
  for (const file of ['pnpm-lock.yaml', 'pnpm-workspace.yaml', 'package.json']) {
    hash.update(readFileSync(join(root, file)));
  }
  return hash.digest('hex');
}

function install() {
  const wanted = wantedInstall();
  const installed = existsSync(installedMark) && readFileSync(installedMark, 'utf8');
  if (installed === wanted && existsSync(pinnedNode)) return;
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).devEngines
    .packageManager;
  console.error(`Installing dependencies with pnpm ${version} (only when they changed) ...`);
  const result = spawnSync(
    'npx',
    [
      '--yes',
      `pnpm@${version}`,
      'install',
      '--frozen-lockfile',
      '--reporter=append-only',
      '--loglevel=error',
    ],
    {
      cwd: root,
      stdio: ['ignore', 2, 2],
      // npm hands its own configuration down by environment, and pnpm would take it for its own
      env: Object.fromEntries(
        Object.entries(process.env).filter(
          ([name]) =>
            !/^npm_(config_(?!registry|cafile|proxy|https_proxy|cache|userconfig)|lifecycle|package)/.test(
              name,
            ),
        ),
      ),
    },
  );
  if (result.status !== 0) {
    console.error(
      'concert: the installation failed; the lines above say why. Is the npm registry reachable?',
    );
    process.exit(result.status ?? 1);
  }
  writeFileSync(installedMark, wanted);
}

install();
const child = spawn(pinnedNode, process.argv.slice(2), {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, PATH: `${join(root, 'node_modules/.bin')}:${process.env.PATH}` },
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));
