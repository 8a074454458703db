import { Metrics } from '@mail/service';
import { expect, test } from 'vitest';
import type { Engine } from './engine.ts';
import { StoreError, type StoreErrorCode } from './errors.ts';
import { measureEngine } from './measured-engine.ts';

/** An engine that answers each call as it is told. */
function build(answer: () => Promise<never>): { engine: Engine; metrics: Metrics } {
  const metrics = new Metrics();
  const inner = {
    read: answer,
    readAtOnce: answer,
    write: answer,
    statistics: () => ({ commits: 7 }),
  };
  return { engine: measureEngine(inner as unknown as Engine, metrics), metrics };
}

async function figures(metrics: Metrics): Promise<string[]> {
  const lines = (await metrics.expose()).split('\n');
  return lines.filter((line) => /^concert_store_(writes|read_failures|commits)/.test(line)).sort();
}

const fails = (code: StoreErrorCode) => () => Promise.reject(new StoreError(code, 'why'));
const bug = () => Promise.reject(new Error('a driver that broke'));

test.each([
  ['done', () => Promise.resolve() as Promise<never>, ['done', 0]],
  ['refused by a rule', fails('no-such-mailbox'), ['refused', 0]],
  ['failed by the database', fails('database-unavailable'), ['failed', 1]],
  ['damaged', fails('database-corrupt'), ['failed', 1]],
  ['a bug', bug, ['failed', 1]],
] as const)('a write and a read that are %s', async (_, answer, [outcome, readFailures]) => {
  const { engine, metrics } = build(answer);
  await engine.write('sweep', null).catch(() => {});
  await engine.read(async () => {}).catch(() => {});
  expect(await figures(metrics)).toEqual([
    'concert_store_commits_total 7',
    `concert_store_read_failures_total ${readFailures}`,
    `concert_store_writes_total{outcome="done"} ${outcome === 'done' ? 1 : 0}`,
    `concert_store_writes_total{outcome="failed"} ${outcome === 'failed' ? 1 : 0}`,
    `concert_store_writes_total{outcome="refused"} ${outcome === 'refused' ? 1 : 0}`,
  ]);
});

test('errors reach the caller as they are', async () => {
  const { engine } = build(fails('mailbox-exists'));
  await expect(engine.write('sweep', null)).rejects.toMatchObject({ code: 'mailbox-exists' });
});
