/**
 * Does anybody notice a switch? Rotations in a row under continuous handshakes on all seven ports of one
 * host, with idle and busy sessions open in each protocol, watched for 30 s after the last switch.
 *
 *   npm run bench -- switch [--rotations 50] [--rate 15] [--watch 30] [--workers 1]
 *
 * `rate` is handshakes per second and port. Skew is measured from outside: the latest ClientHello that was
 * answered with the old certificate minus the earliest answered with the new one, 0 where negative.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { type Sample, skewMs } from '../tests/testing/handshakes.ts';
import type { LoadOrder, LoadResult } from '../tests/testing/load-process.ts';
import { operatorClient, rotate } from '../tests/testing/operator.ts';
import { openSessions } from '../tests/testing/sessions.ts';
import { makeCertificate, startSystem } from '../tests/testing/system.ts';
import { option, report, summary } from './testing/figures.ts';

const rotations = option('rotations', 50);
const rate = option('rate', 15);
const watchSeconds = option('watch', 30);
const workers = option('workers', 1);

const system = await startSystem({ CONCERT_WORKERS: String(workers) });
try {
  const login = (user: string) => ({ user: `${user}@example.test`, password: system.password });
  for (const user of ['pop', 'pops']) {
    await system.concertJson(
      ['account', 'add', `${user}@example.test`, '--password-stdin'],
      `${system.password}\n`,
    );
  }
  const client = operatorClient(system);
  const first = await makeCertificate(system);
  const second = await makeCertificate(system);

  const sessions = await openSessions(system, login);
  const lostSessions: string[] = [];
  /** Every other session works all the time; the rest stay silent until the end. */
  const busy = sessions.filter(({ name }) => /busy|DATA|transaction/.test(name));
  let working = true;
  const work = Promise.all(
    busy.map(async (session) => {
      while (working) {
        try {
          await session.work();
        } catch (error) {
          lostSessions.push(`${session.name}: ${error}`);
          return;
        }
        await pause(50);
      }
    }),
  );

  const load = fork(new URL('../tests/testing/load-process.ts', import.meta.url).pathname);
  load.send({ ports: Object.values(system.ports), perSecondAndPort: rate } satisfies LoadOrder);
  await once(load, 'message');
  await pause(1_000);

  const windows: { from: bigint; to: bigint; old: string; next: string }[] = [];
  const callToVerified: number[] = [];
  const callToCommit: number[] = [];
  const reportedSkew: number[] = [];
  const failures: string[] = [];
  let current = '';
  let begin = process.hrtime.bigint();
  for (let index = 0; index < rotations; index += 1) {
    const started = performance.now();
    const result = await rotate(client, index % 2 === 0 ? first : second);
    if (!result.ok) {
      failures.push(result.refusal.message);
      continue;
    }
    callToVerified.push(performance.now() - started);
    callToCommit.push(result.rotation.commitMs);
    reportedSkew.push(result.rotation.skewMs);
    const next = result.rotation.outcomes[0]?.ports[0]?.fingerprintSha256 ?? '';
    await pause(400);
    const end = process.hrtime.bigint();
    if (current !== '') windows.push({ from: begin, to: end, old: current, next });
    current = next;
    begin = end;
  }

  await pause(watchSeconds * 1000);
  load.send('stop');
  const [loaded] = (await once(load, 'message')) as [LoadResult];
  working = false;
  await work;
  for (const session of sessions) {
    try {
      await session.work();
      await session.finish();
    } catch (error) {
      lostSessions.push(`${session.name}: ${error}`);
    }
  }
  const samples: Sample[] = loaded.samples.map((sample) => ({
    ...sample,
    helloAt: BigInt(sample.helloAt),
    doneAt: BigInt(sample.doneAt),
  }));
  const skews = windows.map(({ from, to, old, next }) =>
    skewMs(
      samples.filter(({ helloAt }) => helloAt >= from && helloAt < to),
      old,
      next,
    ),
  );
  client.close();
  report('switch', `${rotations} rotations, 7 ports, ${workers} worker(s) per service`, {
    rotations: callToVerified.length,
    failedRotations: failures,
    handshakes: samples.length,
    failedHandshakes: loaded.failures.length,
    failuresSeen: loaded.failures.slice(0, 5),
    sessions: sessions.length,
    endedSessions: lostSessions,
    watchedSeconds: watchSeconds,
    skewMs: summary(skews.filter(Number.isFinite)),
    reportedSkewMs: summary(reportedSkew),
    callToCommitMs: summary(callToCommit),
    callToVerifiedMs: summary(callToVerified),
  });
} finally {
  await system.close();
}
