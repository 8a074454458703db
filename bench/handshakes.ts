/**
 * What does taking part cost a handshake? Full handshakes per second through each service's implicit TLS
 * port beside a bare Node TLS server with the same key, in turns in one run; resumed ones beside it.
 *
 *   npm run bench -- handshakes [--seconds 4] [--rounds 5] [--clients 8]
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { type MailPort, startSystem } from '../tests/testing/system.ts';
import { option, report, summary } from './testing/figures.ts';

const seconds = option('seconds', 3);
const rounds = option('rounds', 5);
const clients = option('clients', 8);

interface Rate {
  readonly perSecond: number;
  readonly failures: number;
}

/** Runs one burst of handshakes in a process of its own. */
async function measure(port: number, version: string): Promise<Rate> {
  const child = fork(new URL('./testing/handshake-client.ts', import.meta.url).pathname);
  child.send({ port, version, seconds, clients });
  const [rate] = (await once(child, 'message')) as [Rate];
  return rate;
}

const system = await startSystem();
const bare = fork(new URL('./testing/bare-tls-server.ts', import.meta.url).pathname);
try {
  const [barePort] = (await once(bare, 'message')) as [number];
  const services: [string, MailPort][] = [
    ['smtp', system.ports.submissions],
    ['pop', system.ports.pop3s],
    ['imap', system.ports.imaps],
  ];
  for (const version of ['TLSv1.3', 'TLSv1.2']) {
    const rates = new Map<string, number[]>([['bare', []]]);
    for (const [name] of services) rates.set(name, []);
    const ratios = new Map<string, number[]>(services.map(([name]) => [name, []]));
    let failures = 0;
    for (let round = 0; round < rounds; round += 1) {
      for (const [name, { port }] of services) {
        // the peer right before and after, so that a machine that changes its speed does not decide
        const before = await measure(barePort, version);
        const ours = await measure(port, version);
        const after = await measure(barePort, version);
        failures += before.failures + ours.failures + after.failures;
        rates.get('bare')?.push(before.perSecond, after.perSecond);
        rates.get(name)?.push(ours.perSecond);
        ratios.get(name)?.push((2 * ours.perSecond) / (before.perSecond + after.perSecond));
      }
    }
    for (const [name] of services) {
      report('handshakes', `${name}, ${version}, full, ECDSA P-256`, {
        perSecond: summary(rates.get(name) ?? []),
        barePerSecond: summary(rates.get('bare') ?? []),
        ratio: summary(ratios.get(name) ?? []),
        failures,
      });
    }
  }
} finally {
  bare.kill();
  await system.close();
}
