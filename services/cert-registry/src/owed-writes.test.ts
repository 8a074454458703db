import { silentLogger } from '@mail/service';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { OwedWrites } from './owed-writes.ts';

const RETRY_MS = 5_000;

let full: boolean;
let tries: string[];
let written: string[];
let owed: OwedWrites;
const logger = silentLogger();
const told = vi.spyOn(logger, 'error');
const mended = vi.spyOn(logger, 'info');

beforeEach(() => {
  vi.useFakeTimers();
  full = true;
  tries = [];
  written = [];
  owed = new OwedWrites(logger, { owing: 'owing', settled: 'settled' });
});
afterEach(() => {
  vi.useRealTimers();
  vi.clearAllMocks();
});

function write(key: string, what = key): void {
  owed.write(key, () => {
    tries.push(what);
    if (full) throw new Error('database or disk is full');
    written.push(what);
  });
}

test('what the disk takes at once is neither told nor tried again', () => {
  full = false;
  write('a');
  expect(vi.getTimerCount()).toBe(0);
  expect(written).toEqual(['a']);
  expect(told).not.toHaveBeenCalled();
  expect(mended).not.toHaveBeenCalled();
});

test('one timer, however often writes fail, settle and fail again', () => {
  write('a');
  full = false;
  write('a', 'a again');
  expect(vi.getTimerCount()).toBe(0);
  full = true;
  write('b');
  write('c');
  expect(vi.getTimerCount()).toBe(1);
  expect(told).toHaveBeenCalledTimes(2);
  full = false;
  vi.advanceTimersByTime(RETRY_MS);
  expect(written).toEqual(['a again', 'b', 'c']);
  expect(vi.getTimerCount()).toBe(0);
});

test('is tried once more at the stop, and then never again', () => {
  write('a');
  owed.stop();
  expect(tries).toEqual(['a', 'a']);
  write('b');
  full = false;
  vi.advanceTimersByTime(10 * RETRY_MS);
  expect(tries).toEqual(['a', 'a', 'b']);
  expect(vi.getTimerCount()).toBe(0);
});

test('what is of no use any more is not written', () => {
  write('a');
  write('b');
  owed.forget('a');
  full = false;
  vi.advanceTimersByTime(RETRY_MS);
  expect(written).toEqual(['b']);
  expect(mended).toHaveBeenCalledOnce();
});
