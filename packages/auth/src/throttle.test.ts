import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Throttle, type ThrottleSettings } from './throttle.ts';

const settings: ThrottleSettings = {
  byOrigin: { free: 3, firstWaitMs: 1_000, longestWaitMs: 8_000 },
  byAccount: { free: 5, firstWaitMs: 1_000, longestWaitMs: 4_000 },
  memoryMs: 60_000,
  maxEntries: 100,
};

function build(overrides: Partial<ThrottleSettings> = {}) {
  const clock = { now: 0 };
  return { clock, throttle: new Throttle({ ...settings, ...overrides }, () => clock.now) };
}

describe('Throttle', () => {
  it('doubles the wait of an origin past its free failures, up to the longest', () => {
    const { throttle } = build();
    const waits = Array.from({ length: 8 }, (_, at) => {
      throttle.failed('192.0.2.1', `account-${at}`);
      return throttle.waitMs('192.0.2.1', 'another');
    });
    expect(waits).toEqual([0, 0, 0, 1_000, 2_000, 4_000, 8_000, 8_000]);
    expect(throttle.waitMs('192.0.2.2', 'another')).toBe(0);
  });

  it('slows guesses at one account from many origins', () => {
    const { throttle } = build();
    for (let at = 0; at < 7; at += 1) throttle.failed(`192.0.2.${at}`, 'alice');
    expect(throttle.waitMs('198.51.100.1', 'alice')).toBe(2_000);
    expect(throttle.waitMs('198.51.100.1', 'bob')).toBe(0);
  });

  it('leaves an account open to an origin that has logged in to it', () => {
    const { throttle } = build();
    throttle.succeeded('198.51.100.1', 'alice');
    for (let at = 0; at < 20; at += 1) throttle.failed(`192.0.2.${at}`, 'alice');
    expect(throttle.waitMs('198.51.100.1', 'alice')).toBe(0);
    expect(throttle.waitMs('198.51.100.2', 'alice')).toBe(4_000);
  });

  it("does not let one account's owner guess at others", () => {
    const { throttle } = build();
    for (let at = 0; at < 5; at += 1) {
      throttle.failed('192.0.2.1', `victim-${at}`);
      throttle.succeeded('192.0.2.1', 'own');
    }
    expect(throttle.waitMs('192.0.2.1', 'victim-9')).toBe(2_000);
  });

  it('opens again when the wait is over and forgets in time', () => {
    const { throttle, clock } = build();
    for (let at = 0; at < 4; at += 1) throttle.failed('192.0.2.1', 'alice');
    clock.now = 999;
    expect(throttle.waitMs('192.0.2.1', 'alice')).toBe(1);
    clock.now = 1_000;
    expect(throttle.waitMs('192.0.2.1', 'alice')).toBe(0);
    clock.now = 61_000;
    throttle.failed('192.0.2.1', 'alice');
    expect(throttle.waitMs('192.0.2.1', 'alice')).toBe(0);
  });

  it('forgets the least recent first, so a flood of names costs bounded memory', () => {
    const { throttle } = build({ maxEntries: 2 });
    for (let at = 0; at < 4; at += 1) throttle.failed('192.0.2.1', 'a');
    throttle.failed('192.0.2.2', 'a');
    expect(throttle.waitMs('192.0.2.1', 'x')).toBe(1_000);
    throttle.failed('192.0.2.3', 'a');
    expect(throttle.waitMs('192.0.2.1', 'x')).toBe(0);
  });

  it('never waits longer than the longest, whatever happens', () => {
    const step = fc.record({
      origin: fc.constantFrom('o1', 'o2', 'o3'),
      account: fc.constantFrom('a1', 'a2'),
      failed: fc.boolean(),
      later: fc.nat(5_000),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { throttle, clock } = build();
        for (const { origin, account, failed, later } of steps) {
          clock.now += later;
          if (failed) throttle.failed(origin, account);
          else throttle.succeeded(origin, account);
          const wait = throttle.waitMs(origin, account);
          expect(wait).toBeGreaterThanOrEqual(0);
          expect(wait).toBeLessThanOrEqual(8_000);
        }
      }),
    );
  });
});
