/**
 * How large a fleet does one registry move? Simulated subscribers with the real state machine over the real
 * stream, a connection with mutual TLS each.
 *
 *   npm run bench -- fleet [--subscribers 1000] [--rotations 20]
 *
 * Skew is the latest minus the earliest instant at which any subscriber swapped, on the clock that all
 * processes of the host share. Memory is the registry's resident set with the fleet minus that of a registry
 * that has rotated with no fleet, both after a collection; and what it was before, with the young generation
 * of the heap grown to its 32 MB and whatever waited to be collected.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { on, once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { fleetWhere, operatorClient, rotate } from '../tests/testing/operator.ts';
import { layOutSystem, makeCertificate } from '../tests/testing/system.ts';
import { option, report, summary } from './testing/figures.ts';
import { collectedKiB, INSPECTED, residentKiB } from './testing/resident-set.ts';
import type { FleetMessage, FleetOrder } from './testing/simulated-subscribers.ts';

const subscribers = option('subscribers', 1000);
const rotations = option('rotations', 20);
const settleMs = option('settle', 3_000);
const CHILDREN = 2;
/** Linux reports processor time in hundredths of a second to everybody. */
const MS_PER_TICK = 10;

/** Processor time used so far, user and system. */
function processorMs(child: ChildProcess): number {
  const afterName = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1] ?? '';
  const [user, system] = afterName.split(' ').slice(11, 13).map(Number);
  return ((user ?? Number.NaN) + (system ?? Number.NaN)) * MS_PER_TICK;
}

/** The swaps of one generation from one child. */
async function swapsOf(child: ChildProcess, generation: bigint): Promise<FleetMessage> {
  for await (const [message] of on(child, 'message') as AsyncIterable<[FleetMessage]>) {
    if (BigInt(message.generation) === generation) return message;
  }
  throw new Error('a child has gone');
}

const system = await layOutSystem();
const children: ChildProcess[] = [];
try {
  const registry = await system.start('cert-registry', INSPECTED);
  const collected = () => collectedKiB(registry, system.log('cert-registry'));
  const client = operatorClient(system);
  const certificates = [await makeCertificate(system), await makeCertificate(system)];
  // what the first rotation costs once is no subscriber's
  for (const certificate of certificates) await rotate(client, certificate);
  const empty = await collected();

  const connectStarted = performance.now();
  for (let index = 0; index < CHILDREN; index += 1) {
    const child = fork(new URL('./testing/simulated-subscribers.ts', import.meta.url).pathname);
    const count = Math.floor(subscribers / CHILDREN);
    child.send({
      data: system.data,
      registryPort: system.registryPort,
      first: index * count,
      count,
    } satisfies FleetOrder);
    child.once('exit', (code) => {
      if (code !== null) throw new Error('a process of simulated subscribers has ended');
    });
    children.push(child);
  }
  const total = Math.floor(subscribers / CHILDREN) * CHILDREN;
  await fleetWhere(
    client,
    (fleet) => fleet.subscribers.filter((one) => !one.lagging).length === total,
    120_000,
  );
  const connectMs = performance.now() - connectStarted;
  await pause(settleMs);
  const connectedAsIs = residentKiB(registry);
  const connected = await collected();

  const callToActive: number[] = [];
  const callToCommit: number[] = [];
  const skew: number[] = [];
  const late: number[] = [];
  const processor: number[] = [];
  const failures: string[] = [];
  for (let index = 0; index < rotations; index += 1) {
    const generation = BigInt(index + 2 + certificates.length);
    const swaps = Promise.all(children.map((child) => swapsOf(child, generation)));
    const processorBefore = processorMs(registry);
    const started = performance.now();
    let activeAt = Number.NaN;
    const result = await rotate(client, certificates[index % 2] ?? '', {}, (rotation) => {
      // ACTIVATED: every subscriber has said that it swapped
      if (rotation.activatedMs > 0 && Number.isNaN(activeAt)) activeAt = performance.now();
    });
    if (!result.ok) {
      failures.push(result.refusal.message);
      continue;
    }
    callToActive.push(activeAt - started);
    callToCommit.push(result.rotation.commitMs);
    processor.push(processorMs(registry) - processorBefore);
    const told = await swaps;
    late.push(told.reduce((sum, one) => sum + one.late, 0));
    const instants = told.flatMap(({ swappedAt }) => swappedAt.map(BigInt));
    const least = instants.reduce((a, b) => (b < a ? b : a));
    const most = instants.reduce((a, b) => (b > a ? b : a));
    skew.push(Number(most - least) / 1e6);
    await pause(200);
  }
  await pause(settleMs);
  const rotatedAsIs = residentKiB(registry);
  const rotated = await collected();
  client.close();
  const perSubscriber = (kib: number): number => Math.round((kib / total) * 10) / 10;
  report('fleet', `${total} simulated subscribers, one registry`, {
    failedRotations: failures,
    connectMs: Math.round(connectMs),
    callToCommitMs: summary(callToCommit),
    callToAllActiveMs: summary(callToActive),
    skewMs: summary(skew),
    lateSwaps: summary(late),
    registryProcessorMsPerRotation: summary(processor),
    registryKiBPerSubscriber: {
      connected: perSubscriber(connected - empty),
      afterRotations: perSubscriber(rotated - empty),
    },
    registryKiBPerSubscriberUncollected: {
      connected: perSubscriber(connectedAsIs - empty),
      afterRotations: perSubscriber(rotatedAsIs - empty),
    },
  });
} finally {
  for (const child of children) {
    if (child.exitCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  }
  await system.close();
}
