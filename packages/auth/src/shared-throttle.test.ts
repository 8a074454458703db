import { describe, expect, it, vi } from 'vitest';
import { SharedThrottle } from './shared-throttle.ts';
import { MemoryStore } from './testing/memory-store.ts';
import type { ThrottleSettings } from './throttle.ts';

const settings: ThrottleSettings = {
  byOrigin: { free: 3, firstWaitMs: 1_000, longestWaitMs: 8_000 },
  byAccount: { free: 5, firstWaitMs: 1_000, longestWaitMs: 4_000 },
  memoryMs: 60_000,
  maxEntries: 100,
};

/** Processes that share one store and one clock, which only the test moves. */
function build(processes = 2) {
  const clock = { now: 1_000_000 };
  const now = () => clock.now;
  const store = new MemoryStore();
  store.now = now;
  const logger = { warn: vi.fn() };
  const throttles = Array.from(
    { length: processes },
    () => new SharedThrottle({ records: store.logins, logger, settings, now, wallNow: now }),
  );
  const [first, second = first] = throttles as [SharedThrottle, SharedThrottle];
  /** Timers run, until nobody waits. */
  const settle = async () => {
    await vi.runAllTimersAsync();
  };
  return { clock, store, logger, first, second, settle };
}

async function failAt(throttle: SharedThrottle, origin: string, account: string, times: number) {
  for (let at = 0; at < times; at += 1) (await throttle.knock(origin, account)).failed();
}

describe('SharedThrottle', () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });

  it('counts failures of one origin and of one account over processes', async () => {
    const { first, second, settle } = build();
    await failAt(first, '192.0.2.1', 'a', 2);
    await failAt(second, '192.0.2.1', 'b', 2);
    await settle();
    expect((await first.knock('192.0.2.1', 'c')).waitMs).toBe(1_000);
    expect((await second.knock('192.0.2.1', 'c')).waitMs).toBe(1_000);
    expect((await second.knock('192.0.2.2', 'c')).waitMs).toBe(0);
    for (let at = 0; at < 6; at += 1) await failAt(first, `198.51.100.${at}`, 'd', 1);
    await settle();
    expect((await second.knock('203.0.113.1', 'd')).waitMs).toBe(1_000);
  });

  it('opens again when the wait is over, and forgets in time', async () => {
    const { clock, first, second, settle } = build();
    await failAt(first, '192.0.2.1', 'a', 5);
    await settle();
    expect((await second.knock('192.0.2.1', 'b')).waitMs).toBe(2_000);
    clock.now += 2_000;
    expect((await second.knock('192.0.2.1', 'b')).waitMs).toBe(0);
    clock.now += 60_000;
    await failAt(second, '192.0.2.1', 'b', 1);
    expect((await second.knock('192.0.2.1', 'b')).waitMs).toBe(0);
  });

  it('writes nothing for logins that succeed', async () => {
    const { store, first, settle } = build();
    for (let at = 0; at < 20; at += 1) (await first.knock('192.0.2.1', 'a')).succeeded();
    await failAt(first, '192.0.2.1', 'a', 1);
    (await first.knock('192.0.2.1', 'a')).succeeded();
    await settle();
    expect(store.noted).toBe(1);
    expect([...store.kept.keys()].some((key) => key.startsWith('known'))).toBe(false);
  });

  it('tells the others from where the owner of a besieged account comes, once', async () => {
    const { store, clock, first, second, settle } = build();
    (await first.knock('198.51.100.1', 'alice')).succeeded();
    for (let at = 0; at < 9; at += 1) await failAt(second, `192.0.2.${at}`, 'alice', 1);
    await settle();
    expect((await second.knock('198.51.100.1', 'alice')).waitMs).toBe(4_000);
    const owner = await first.knock('198.51.100.1', 'alice');
    expect(owner.waitMs).toBe(0);
    owner.succeeded();
    await settle();
    expect((await second.knock('198.51.100.1', 'alice')).waitMs).toBe(0);
    expect((await second.knock('198.51.100.2', 'alice')).waitMs).toBe(4_000);
    const before = store.noted;
    (await second.knock('198.51.100.1', 'alice')).succeeded();
    await settle();
    expect(store.noted).toBe(before);
    clock.now += 60_000;
    expect((await first.knock('198.51.100.1', 'alice')).waitMs).toBe(0);
  });

  it('writes a flood of failures together, and no more of them than it may', async () => {
    const { store, first, second, settle } = build();
    for (let at = 0; at < 3_000; at += 1) await failAt(first, `origin ${at}`, `account ${at}`, 1);
    await settle();
    expect(store.noted).toBe(1);
    expect(store.kept.size).toBe(1_000);
    // keys are short and say nothing
    for (const { key } of store.kept.values()) expect(key).toMatch(/^[\w-]{22}$/);
    await failAt(second, 'o', 'x'.repeat(300), 1);
    await settle();
    expect([...store.kept.values()].at(-1)?.key).toMatch(/^[\w-]{22}$/);
  });

  it('goes by what it has seen where the others cannot be told', async () => {
    const { store, first, logger, settle } = build();
    store.logins.note = () => Promise.reject(new Error('no disk'));
    await failAt(first, '192.0.2.1', 'a', 4);
    await settle();
    expect(logger.warn).toHaveBeenCalled();
    expect((await first.knock('192.0.2.1', 'b')).waitMs).toBe(1_000);
  });

  it('never waits longer than the rule, whatever the clock of another host says', async () => {
    const { store, clock, first, second, settle } = build();
    store.now = () => clock.now + 1_000_000;
    await failAt(first, '192.0.2.1', 'a', 4);
    await settle();
    expect((await second.knock('192.0.2.1', 'a')).waitMs).toBe(1_000);
  });
});
