import { PartitionPolicy } from '@mail/proto';
import { silentLogger } from '@mail/service';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { KnownSubscriber } from './coordinator.ts';
import { SteadyRoster } from './steady-roster.ts';

const subscriber = (instance: string): KnownSubscriber => ({
  service: 'imap',
  instance,
  partitionPolicy: PartitionPolicy.PARTITION_POLICY_FENCE,
});

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('what the disk does not take is said once and written later, the last wish alone', () => {
  const written: string[] = [];
  let full = true;
  const logger = silentLogger();
  const error = vi.spyOn(logger, 'error');
  const write = (what: string) => {
    if (full) throw new Error('full');
    written.push(what);
  };
  const roster = new SteadyRoster(
    {
      remember: ({ instance }) => write(`remember ${instance}`),
      forget: ({ instance }) => write(`forget ${instance}`),
    },
    logger,
  );
  roster.remember(subscriber('a'));
  roster.remember(subscriber('b'));
  roster.forget(subscriber('a'));
  vi.advanceTimersByTime(60_000);
  expect(error).toHaveBeenCalledOnce();
  full = false;
  roster.remember(subscriber('c'));
  expect(written).toEqual(['remember c']);
  vi.advanceTimersByTime(5_000);
  expect(written).toEqual(['remember c', 'forget a', 'remember b']);
  vi.advanceTimersByTime(60_000);
  expect(written).toHaveLength(3);
  roster.stop();
});
