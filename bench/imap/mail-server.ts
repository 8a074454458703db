/** A server under measurement, ours or the peer: one account, whose mail lies on the same disk for all. */

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { Login } from './raw-client.ts';

export interface Memory {
  /** Resident set, summed over the processes that hold connections. */
  readonly rssKiB: number;
  /** The same with pages that processes share divided among them (Linux's PSS). */
  readonly pssKiB: number;
  readonly processes: number;
}

export interface MailServer extends Login {
  /** The column: "sqlite", "postgres", "dovecot". */
  readonly name: string;
  /** What a reader must know of it: version, durability, settings that are not the default. */
  readonly about: string;
  /** Where the store is, for one of ours. */
  readonly storeUrl: string | undefined;
  /** Resolves when its ports answer. */
  start(settings?: Record<string, string>): Promise<void>;
  /** Waits until its processes, the database's too, are gone. */
  stop(): Promise<void>;
  /** Removes what it can make again from the mail: its indexes and caches. For a stopped one. */
  forget(): void;
  /** Of the IMAP processes alone, with garbage collected where there is such a thing. */
  memory(): Promise<Memory>;
  close(): Promise<void>;
}

const DROP_CACHES = '/proc/sys/vm/drop_caches';

/** What a cold run begins with, as far as this user and system can bring it about. */
export function dropPageCache(): boolean {
  if (process.getuid?.() !== 0 || !existsSync(DROP_CACHES)) return false;
  execFileSync('sync');
  try {
    // pages, directory entries and inodes: as after a start of the machine
    writeFileSync(DROP_CACHES, '3');
    return true;
  } catch {
    return false;
  }
}

/** Stopped, what can be made again removed, nothing of their files in memory, started. */
export async function restartCold(servers: readonly MailServer[]): Promise<void> {
  await Promise.all(servers.map((server) => server.stop()));
  for (const server of servers) server.forget();
  dropPageCache();
  await Promise.all(servers.map((server) => server.start()));
}

export function memoryOf(pids: readonly number[]): Memory {
  const sum = { rssKiB: 0, pssKiB: 0 };
  for (const pid of pids) {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    sum.rssKiB += Number(/^Rss:\s+(\d+)/m.exec(text)?.[1]);
    sum.pssKiB += Number(/^Pss:\s+(\d+)/m.exec(text)?.[1]);
  }
  return { ...sum, processes: pids.length };
}
