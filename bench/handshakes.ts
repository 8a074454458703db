/**
 * What does taking part cost a handshake? Full handshakes per second through each service's implicit TLS
 * port beside a bare Node TLS server with a key of the same kind, in turns in one run. Where the clients need
 * more of the machine than the server, the rate says little about the server: the processor time that the
 * server spent on each handshake stands beside it.
 *
 *   npm run bench -- handshakes [--seconds 4] [--rounds 5] [--clients 8]
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type MailPort, type ProcessName, startSystem } from '../tests/testing/system.ts';
import { option, report, summary } from './testing/figures.ts';
import type { ClientReport } from './testing/handshake-client.ts';

const seconds = option('seconds', 3);
const rounds = option('rounds', 5);
const clients = option('clients', 8);

interface Server {
  readonly port: number;
  readonly pid: number;
}

/** What one burst showed. */
interface Burst {
  readonly perSecond: number;
  readonly failures: number;
  /** Processor time that the server spent on each handshake, in microseconds. */
  readonly cpuUs: number;
}

/** Microseconds of processor time that a process has used; Linux counts hundredths of a second. */
function processorTimeUs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

/** Runs one burst of handshakes from a process of its own. */
async function measure({ port, pid }: Server, version: string): Promise<Burst> {
  const before = processorTimeUs(pid);
  const child = fork(new URL('./testing/handshake-client.ts', import.meta.url).pathname);
  child.send({ port, version, seconds, clients });
  const [{ total, ...rate }] = (await once(child, 'message')) as [ClientReport];
  return { ...rate, cpuUs: (processorTimeUs(pid) - before) / total };
}

const system = await startSystem();
const bareProcess = fork(new URL('./testing/bare-tls-server.ts', import.meta.url).pathname);
try {
  const [barePort] = (await once(bareProcess, 'message')) as [number];
  const bare: Server = { port: barePort, pid: bareProcess.pid ?? 0 };
  const { submissions, pop3s, imaps } = system.ports;
  const services: readonly (readonly [ProcessName, MailPort])[] = [
    ['smtp', submissions],
    ['pop', pop3s],
    ['imap', imaps],
  ];
  for (const version of ['TLSv1.3', 'TLSv1.2']) {
    for (const [name, { port }] of services) {
      const service: Server = { port, pid: system.process(name).pid ?? 0 };
      // the peer before and after each burst, so that a machine that changes its speed decides nothing
      const peer = [await measure(bare, version)];
      const ours: Burst[] = [];
      for (let round = 0; round < rounds; round += 1) {
        ours.push(await measure(service, version));
        peer.push(await measure(bare, version));
      }
      const beside = (round: number, figure: 'perSecond' | 'cpuUs'): number =>
        ((peer[round]?.[figure] ?? 0) + (peer[round + 1]?.[figure] ?? 0)) / 2;
      report('handshakes', `${name}, ${version}, full, ECDSA P-256`, {
        perSecond: summary(ours.map(({ perSecond }) => perSecond)),
        barePerSecond: summary(peer.map(({ perSecond }) => perSecond)),
        ratio: summary(ours.map(({ perSecond }, round) => perSecond / beside(round, 'perSecond'))),
        serverCpuUs: summary(ours.map(({ cpuUs }) => cpuUs)),
        bareCpuUs: summary(peer.map(({ cpuUs }) => cpuUs)),
        failures: [...ours, ...peer].reduce((sum, { failures }) => sum + failures, 0),
      });
    }
  }
} finally {
  bareProcess.kill();
  await system.close();
}
