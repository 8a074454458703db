import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { LEAST_TRANSFER, MESSAGE_TIMEOUT_MS } from './config.ts';
import { TransferWatch } from './transfer-watch.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test.each([
  ['nothing', 0, LEAST_TRANSFER.periodMs],
  ['an octet now and then', LEAST_TRANSFER.octets - 1, LEAST_TRANSFER.periodMs],
  ['enough, but for too long', LEAST_TRANSFER.octets, MESSAGE_TIMEOUT_MS],
])('who sends %s is cut off', (_name, octetsInPeriod, afterMs) => {
  const cutOff = vi.fn();
  const watch = new TransferWatch(cutOff);
  for (let at = 0; at < afterMs; at += LEAST_TRANSFER.periodMs) {
    expect(cutOff).not.toHaveBeenCalled();
    watch.arrived(octetsInPeriod);
    vi.advanceTimersByTime(LEAST_TRANSFER.periodMs);
  }
  expect(cutOff).toHaveBeenCalledOnce();
  watch.stop();
});

test('a transfer that is over is left alone', () => {
  const cutOff = vi.fn();
  new TransferWatch(cutOff).stop();
  vi.runAllTimers();
  expect(cutOff).not.toHaveBeenCalled();
});
