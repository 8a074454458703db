import { silentLogger } from '@mail/service';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { type StoredValue, StoredValues } from './stored-values.ts';

const schema = z.object({ count: z.number() });

let full: boolean;
let kept: Map<string, string>;
let values: StoredValues;
const logger = silentLogger();
const warned = vi.spyOn(logger, 'warn');

beforeEach(() => {
  vi.useFakeTimers();
  full = false;
  kept = new Map();
  values = new StoredValues(
    {
      setting: (name) => kept.get(name),
      setSetting: (name, value) => {
        if (full) throw new Error('database or disk is full');
        kept.set(name, value);
      },
    },
    logger,
  );
});
afterEach(() => {
  vi.useRealTimers();
  vi.clearAllMocks();
});

const open = (): StoredValue<{ count: number }> => values.open('name', schema);

test('a value is there when it is opened again', () => {
  open().set({ count: 1 });
  expect(open().value).toEqual({ count: 1 });
  expect(warned).not.toHaveBeenCalled();
});

test.each(['', 'no JSON', 'null', '{}', '{"count":"1"}'])(
  '%j is told and counts as none',
  (text) => {
    kept.set('name', text);
    expect(open().value).toBeUndefined();
    expect(warned).toHaveBeenCalledOnce();
  },
);

describe('on a full disk', () => {
  test('a value holds in memory, and is written once there is room', () => {
    const value = open();
    full = true;
    value.set({ count: 1 });
    value.set({ count: 2 });
    expect(value.value).toEqual({ count: 2 });
    expect(kept.size).toBe(0);
    full = false;
    vi.advanceTimersByTime(5_000);
    expect(open().value).toEqual({ count: 2 });
  });

  test('what must not be lost is refused, and nothing has changed', () => {
    const value = open();
    value.set({ count: 1 });
    full = true;
    expect(() => value.setDurably({ count: 2 })).toThrow('full');
    expect(value.value).toEqual({ count: 1 });
  });

  test('what is owed does not come after what took its place', () => {
    const value = open();
    full = true;
    value.set({ count: 1 });
    full = false;
    value.setDurably({ count: 2 });
    vi.advanceTimersByTime(60_000);
    expect(open().value).toEqual({ count: 2 });
  });

  test('a stop writes what can be written by then, and nothing after it', () => {
    const value = open();
    full = true;
    value.set({ count: 1 });
    full = false;
    values.stop();
    expect(open().value).toEqual({ count: 1 });
    full = true;
    value.set({ count: 2 });
    full = false;
    vi.advanceTimersByTime(60_000);
    expect(open().value).toEqual({ count: 1 });
  });
});
