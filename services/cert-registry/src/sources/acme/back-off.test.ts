import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Attempts, afterFailure, earliest, NO_ATTEMPTS } from './back-off.ts';
import type { Validity } from './renewal-time.ts';

const NOW = Date.parse('2030-06-15T12:00:00Z');
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const MIDDLE = 0.5;

/** A certificate of that life with that much of it left. */
const heldFor = (life: number, left: number): Validity => ({
  notBefore: NOW + left - life,
  notAfter: NOW + left,
});

function delays(count: number, held: Validity | undefined, permanent = false): number[] {
  let attempts = NO_ATTEMPTS;
  return Array.from({ length: count }, () => {
    attempts = afterFailure(attempts, { now: NOW, held, permanent, random: MIDDLE });
    return attempts.nextAt - NOW;
  });
}

test.each([
  ['nothing held: a minute to a day', undefined, false, [1, 3, 9, 27, 81, 243, 729, 1440, 1440]],
  ['nothing held, for an operator: an hour to a day', undefined, true, [60, 180, 540, 1440, 1440]],
  ['90 days, 30 left', heldFor(90 * DAY, 30 * DAY), false, [1, 3, 9, 27, 81, 243, 729, 1440]],
  [
    '6 days, 2 left: a quarter of the rest',
    heldFor(6 * DAY, 2 * DAY),
    false,
    [1, 3, 9, 27, 81, 243, 720, 720],
  ],
  ['6 days, an hour left: an hour at most', heldFor(6 * DAY, HOUR), false, [1, 3, 9, 27, 60, 60]],
  ['6 days, over: an hour at most', heldFor(6 * DAY, -DAY), true, [60, 60]],
  [
    '10 minutes, 3 left: steps shrink with the life',
    heldFor(10 * MINUTE, 3 * MINUTE),
    false,
    [0.5, 0.75, 0.75],
  ],
])('%s', (_, held, permanent, minutes) => {
  expect(delays(minutes.length, held, permanent).map((ms) => ms / MINUTE)).toEqual(minutes);
});

test('the CA asks for longer: then longer, and a rate limit is kept as one', () => {
  const asked = { now: NOW, held: undefined, retryAfterMs: 2 * HOUR, random: MIDDLE };
  expect(afterFailure(NO_ATTEMPTS, { ...asked, rateLimited: true })).toEqual({
    failures: 1,
    nextAt: NOW + 2 * HOUR,
    limited: true,
  });
  expect(afterFailure(NO_ATTEMPTS, asked)).toMatchObject({
    limited: false,
    nextAt: NOW + 2 * HOUR,
  });
});

test.each([
  ['nothing held', undefined],
  ['a certificate that runs out', heldFor(90 * DAY, HOUR)],
  ['one that has ended', heldFor(90 * DAY, -DAY)],
])("the CA's word holds for a day at a stretch, then there is one try: %s", (_, held) => {
  let [attempts, now] = [NO_ATTEMPTS, NOW];
  for (const retryAfterMs of [DAY, 8 * DAY, 999_999_999_000]) {
    const facts = { now, held, retryAfterMs, rateLimited: true, random: MIDDLE };
    attempts = afterFailure(attempts, facts);
    expect(attempts).toMatchObject({ nextAt: now + DAY, limited: true });
    expect(earliest(attempts, now)).toBe(now + DAY);
    now = attempts.nextAt;
  }
});

test('a clock that is set back by years does not silence us', () => {
  const attempts: Attempts = { failures: 1, nextAt: NOW + 3650 * DAY, limited: true };
  expect(earliest(attempts, NOW)).toBeLessThanOrEqual(NOW);
  // what a CA may ask for is kept
  expect(earliest({ ...attempts, nextAt: NOW + DAY }, NOW)).toBe(NOW + DAY);
});

test('a registry that dies in each attempt and is started again each second asks 8 times a day', () => {
  let attempts = NO_ATTEMPTS;
  let asked = 0;
  for (let now = NOW; now < NOW + DAY; now += 1_000) {
    if (earliest(attempts, now) > now) continue;
    attempts = afterFailure(attempts, { now, held: undefined, random: MIDDLE });
    asked += 1;
  }
  expect(asked).toBe(8);
});

describe('whatever happens', () => {
  const lives = fc.option(
    fc.tuple(
      fc.integer({ min: 1_000, max: 400 * DAY }),
      fc.double({ min: -1, max: 1, noNaN: true }),
    ),
    { nil: undefined },
  );

  test('it waits at least most of a second and at most a day and its jitter, and counts', () => {
    fc.assert(
      fc.property(
        lives,
        fc.nat(40),
        fc.boolean(),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (life, failures, permanent, random) => {
          const held = life && heldFor(life[0], life[0] * life[1]);
          const attempts = { failures, nextAt: 0, limited: false };
          const after = afterFailure(attempts, { now: NOW, held, permanent, random });
          expect(after.failures).toBe(failures + 1);
          expect(after.nextAt - NOW).toBeGreaterThanOrEqual(800);
          expect(after.nextAt - NOW).toBeLessThanOrEqual(1.2 * DAY);
        },
      ),
    );
  });

  test('a certificate that is renewed in time has four tries or more before it ends', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2 * MINUTE, max: 400 * DAY }),
        fc.boolean(),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (life, permanent, random) => {
          let now = NOW;
          const held = { notBefore: NOW - (life * 2) / 3, notAfter: NOW + life / 3 };
          let attempts = NO_ATTEMPTS;
          for (let tries = 0; tries < 4; tries += 1) {
            expect(now).toBeLessThan(held.notAfter);
            attempts = afterFailure(attempts, { now, held, permanent, random });
            now = attempts.nextAt;
          }
        },
      ),
    );
  });
});
