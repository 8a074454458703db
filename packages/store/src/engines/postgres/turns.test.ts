import { afterEach, expect, test, vi } from 'vitest';
import { Turns } from './turns.ts';

const LIMITS = { running: 2, waiting: 2, patienceMs: 1_000 };

afterEach(() => vi.useRealTimers());

/** Work that ends when it is told. */
function work(log: string[], name: string) {
  const { promise, resolve } = Promise.withResolvers<void>();
  const run = async (): Promise<void> => {
    log.push(name);
    await promise;
  };
  return { run, end: resolve };
}

test('as many run as may, and the others in the order they came', async () => {
  const turns = new Turns(LIMITS);
  const log: string[] = [];
  const works = ['a', 'b', 'c', 'd'].map((name) => work(log, name));
  const ends = works.map(({ run }) => turns.run(run));
  // those that may begin have begun before run returns
  expect(log).toEqual(['a', 'b']);
  works[1]?.end();
  await ends[1];
  await vi.waitFor(() => expect(log).toEqual(['a', 'b', 'c']));
  for (const { end } of works) end();
  await Promise.all(ends);
  expect(log).toEqual(['a', 'b', 'c', 'd']);
});

test('work that fails gives its turn back', async () => {
  const turns = new Turns({ ...LIMITS, running: 1 });
  await expect(turns.run(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(await turns.run(async () => 'yes')).toBe('yes');
});

test('too many are refused, and so is who has waited too long', async () => {
  vi.useFakeTimers();
  const turns = new Turns(LIMITS);
  const log: string[] = [];
  const works = ['a', 'b', 'c', 'd'].map((name) => work(log, name));
  const ends = works.map(({ run }) => turns.run(run));
  const unavailable = { code: 'database-unavailable' };
  await expect(turns.run(async () => {})).rejects.toMatchObject(unavailable);
  const late = Promise.all(
    ends.slice(2).map((end) => expect(end).rejects.toMatchObject(unavailable)),
  );
  vi.advanceTimersByTime(LIMITS.patienceMs);
  await late;
  for (const { end } of works) end();
  await Promise.all(ends.slice(0, 2));
  expect(log).toEqual(['a', 'b']);
});
