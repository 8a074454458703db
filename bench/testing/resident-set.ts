/**
 * The memory of another Node process: its resident set as it stands, and once its garbage is collected.
 * What V8 has not yet cared to collect depends on what else the machine does, and is nobody's cost.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

/** Lets a process be asked from outside, for its environment. */
export const INSPECTED = { NODE_OPTIONS: '--inspect=127.0.0.1:0' };

/** Freed pages go back to the system a moment after a collection. */
const RELEASE_MS = 1_000;

export function residentKiB({ pid }: ChildProcess): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? Number.NaN);
}

/** `log` is what a process started with INSPECTED has written. */
export async function collectedKiB(child: ChildProcess, log: string): Promise<number> {
  const address = /Debugger listening on (ws:\S+)/.exec(log)?.[1];
  if (address === undefined) throw new Error('the process cannot be inspected');
  const inspector = new WebSocket(address);
  await once(inspector, 'open');
  inspector.send(JSON.stringify({ id: 1, method: 'HeapProfiler.collectGarbage' }));
  await once(inspector, 'message');
  inspector.close();
  await pause(RELEASE_MS);
  return residentKiB(child);
}
