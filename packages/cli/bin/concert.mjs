#!/usr/bin/env node
// Runs the command on the pinned Node, whatever Node was installed: this file itself needs only 18.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const pinned = path('../../../node_modules/node/bin/node');
const source = path('../src/main.ts');
const built = path('../dist/main.js');
const fromSource = existsSync(source);

if (!existsSync(pinned) && fromSource) {
  console.error('concert: nothing is installed yet in this checkout; run `npm start` once first');
  process.exit(69);
}
const node = existsSync(pinned) ? pinned : process.execPath;
const args = fromSource ? [source] : ['--conditions=built', built];
const result = spawnSync(node, [...args, ...process.argv.slice(2)], { stdio: 'inherit' });
process.exit(result.status ?? 70);
