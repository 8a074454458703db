#!/usr/bin/env node
// Runs the command on the pinned Node, whatever Node was installed: this file itself needs only 18.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
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
const child = spawn(node, [...args, ...process.argv.slice(2)], { stdio: 'inherit' });

// what is meant for the command goes to the command; a terminal's Ctrl-C reaches both, and does no harm
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
for (const signal of signals) process.on(signal, () => child.kill(signal));
const signalOf = (code) => signals.find((signal) => code === 128 + constants.signals[signal]);

child.on('error', (error) => {
  console.error(`concert: cannot start ${node}: ${error.message}`);
  process.exit(70);
});
child.on('exit', (code, killedBy) => {
  const signal = killedBy ?? signalOf(code);
  if (signal !== undefined) {
    // end by the same signal, as the shell expects of an interrupted command
    for (const each of signals) process.removeAllListeners(each);
    process.kill(process.pid, signal);
  }
  // the first process of a container is still here
  process.exit(code ?? 128 + constants.signals[signal]);
});
