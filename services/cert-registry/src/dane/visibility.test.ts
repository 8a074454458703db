import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { associationOf, type KeyHolder } from './association.ts';
import {
  afterAnswer,
  afterFailure,
  nextLookupMs,
  type OwnerView,
  standingOf,
  type TlsaAnswer,
  unseen,
} from './visibility.ts';

const OWNER = '_25._tcp.mail.example.org';
const NOON = Date.UTC(2026, 10, 24, 12);
const HOUR = 3_600_000;
const [OURS, OTHER] = ['a'.repeat(64), 'b'.repeat(64)];
const key: KeyHolder = { spkiSha256: OURS, dnsNames: [], chainPem: '' };

const answer = (ttlSeconds: number, ...spkis: string[]): TlsaAnswer => ({
  associations: spkis.map(associationOf),
  ttlSeconds,
  authenticated: true,
});
const kindAt = (view: OwnerView, now: number) => standingOf(view, key, now).kind;

describe('a record', () => {
  test('is in every cache when an answer has it after twice its TTL', () => {
    let view = afterAnswer(unseen(OWNER), answer(60, OURS), NOON);
    expect(kindAt(view, NOON)).toBe('visible');
    // time alone proves nothing: it must be there then
    expect(kindAt(view, NOON + 120_000)).toBe('visible');
    view = afterAnswer(view, answer(60, OURS), NOON + 119_999);
    expect(kindAt(view, NOON + 119_999)).toBe('visible');
    view = afterAnswer(view, answer(60, OURS), NOON + 120_000);
    expect(standingOf(view, key, NOON + 120_000)).toMatchObject({
      kind: 'settled',
      sighting: { since: NOON, ttlSeconds: 60 },
    });
  });

  test('goes by the largest TTL seen, since caches count down', () => {
    let view = afterAnswer(unseen(OWNER), answer(3, OURS), NOON);
    view = afterAnswer(view, answer(600, OURS), NOON + 6_000);
    expect(kindAt(view, NOON + 6_000)).toBe('visible');
    view = afterAnswer(view, answer(5, OURS), NOON + 1_199_000);
    expect(kindAt(view, NOON + 1_199_000)).toBe('visible');
    view = afterAnswer(view, answer(5, OURS), NOON + 1_200_000);
    expect(kindAt(view, NOON + 1_200_000)).toBe('settled');
  });

  describe('that is new waits for what caches may have from before it', () => {
    const DAY_S = 86_400;
    const settledAt = (view: OwnerView, seconds: number) =>
      kindAt(
        afterAnswer(view, answer(60, OURS, OTHER), NOON + seconds * 1000),
        NOON + seconds * 1000,
      );

    test.each<[string, TlsaAnswer, number]>([
      ['a set with a longer TTL', answer(DAY_S, OTHER), 2 * DAY_S],
      ['a set with a shorter TTL', answer(1, OTHER), 10 + 120],
      ['an absence', answer(900), 1_800],
      ['an absence that nobody keeps for so long', answer(DAY_S), 6 * 3_600],
      ['a set with a TTL beyond reason', answer(2 ** 31 - 1, OTHER), 14 * DAY_S],
    ])('%s', (_, former, seconds) => {
      let view = afterAnswer(unseen(OWNER), former, NOON);
      view = afterAnswer(view, answer(60, OURS, OTHER), NOON + 10_000);
      // looked at without a gap
      for (let at = 1_800; at < seconds; at += 1_800) {
        view = afterAnswer(view, answer(60, OURS, OTHER), NOON + at * 1000);
      }
      expect(settledAt(view, seconds - 1)).toBe('visible');
      expect(settledAt(view, seconds)).toBe('settled');
    });

    test('also over an hour without answers', () => {
      let view = afterAnswer(unseen(OWNER), answer(DAY_S, OTHER), NOON);
      view = afterAnswer(view, answer(60, OURS, OTHER), NOON + 2 * HOUR);
      expect(settledAt(view, 2.5 * 3_600)).toBe('visible');
    });

    test('and not for a long TTL that was lowered in time', () => {
      let view = afterAnswer(unseen(OWNER), answer(DAY_S, OTHER), NOON);
      const late = NOON + 2 * DAY_S * 1000;
      view = afterAnswer(view, answer(60, OTHER), late);
      view = afterAnswer(view, answer(60, OURS, OTHER), late + 60_000);
      expect(settledAt(view, 2 * DAY_S + 60 + 120)).toBe('settled');
    });

    test('and not for ever where the clock was set back', () => {
      const view = afterAnswer(unseen(OWNER), answer(60, OTHER), NOON + 9_999 * HOUR);
      const back = afterAnswer(view, answer(60, OURS, OTHER), NOON);
      const latest = NOON + 14 * DAY_S * 1000;
      expect(back.sightings.every(({ formerUntil }) => formerUntil <= latest)).toBe(true);
    });
  });

  test('that was away begins anew', () => {
    let view = afterAnswer(unseen(OWNER), answer(1, OURS), NOON);
    view = afterAnswer(view, answer(1, OTHER), NOON + 60_000);
    expect(kindAt(view, NOON + 60_000)).toBe('absent');
    view = afterAnswer(view, answer(1, OURS, OTHER), NOON + 90_000);
    expect(standingOf(view, key, NOON + 90_000)).toMatchObject({
      kind: 'visible',
      sighting: { since: NOON + 90_000 },
    });
  });

  test('outlives failures for an hour, and then is not known', () => {
    let view = afterAnswer(unseen(OWNER), answer(1, OURS), NOON);
    view = afterAnswer(view, answer(1, OURS), NOON + 2_000);
    view = afterFailure(view, 'no answer');
    expect(kindAt(view, NOON + 2_000 + HOUR)).toBe('settled');
    const later = NOON + 2_001 + HOUR;
    expect(standingOf(view, key, later)).toEqual({ kind: 'unknown', problem: 'no answer' });
    // and nobody can say that it was there all the while
    view = afterAnswer(view, answer(1, OURS), later);
    expect(standingOf(view, key, later)).toMatchObject({
      kind: 'visible',
      sighting: { since: later },
    });
  });

  test('never looked up is not known', () => {
    expect(kindAt(unseen(OWNER), NOON)).toBe('unknown');
    expect(kindAt(afterFailure(unseen(OWNER), 'no answer'), NOON)).toBe('unknown');
  });
});

test('settled means: in each answer for twice the TTL, its own and of what was before, with no gap of an hour', () => {
  const step = fc.record({
    afterMs: fc.integer({ min: 0, max: 2 * HOUR }),
    event: fc.constantFrom('ours', 'other', 'failure'),
    ttl: fc.integer({ min: 0, max: 1_000 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      let view = unseen(OWNER);
      let now = NOON;
      /** The unbroken run of answers that have it, up to the last answer. */
      let run: { at: number; ttl: number }[] = [];
      let former: { at: number; ttl: number }[] = [];
      for (const { afterMs, event, ttl } of steps) {
        now += afterMs;
        const last = run.at(-1);
        if (event === 'failure') view = afterFailure(view, 'no answer');
        if (event === 'other') {
          view = afterAnswer(view, answer(ttl, OTHER), now);
          former = [...former, ...run, { at: now, ttl }];
          run = [];
        }
        if (event === 'ours') {
          view = afterAnswer(view, answer(ttl, OURS), now);
          const unbroken = last !== undefined && now - last.at <= HOUR;
          if (!unbroken) former = [...former, ...run];
          run = [...(unbroken ? run : []), { at: now, ttl }];
        }
        const [first] = run;
        const newest = run.at(-1);
        const most = Math.max(1, ...run.map((one) => one.ttl));
        const expected =
          first !== undefined &&
          newest !== undefined &&
          newest.at - first.at >= 2000 * most &&
          former.every((one) => newest.at >= one.at + 2000 * one.ttl) &&
          now - newest.at <= HOUR;
        expect(kindAt(view, now) === 'settled').toBe(expected);
      }
    }),
  );
});

test.each<[string, OwnerView, number]>([
  ['nothing there', afterAnswer(unseen(OWNER), answer(0), NOON), 30_000],
  ['a short TTL', afterAnswer(unseen(OWNER), answer(1, OURS), NOON), 30_000],
  ['a TTL', afterAnswer(unseen(OWNER), answer(120, OURS), NOON), 120_000],
  ['a long TTL', afterAnswer(unseen(OWNER), answer(86_400, OURS), NOON), 300_000],
  ['a failure', afterFailure(unseen(OWNER), 'no answer'), 30_000],
  ['two failures', afterFailure(afterFailure(unseen(OWNER), 'no'), 'no'), 60_000],
  ['many failures', { ...unseen(OWNER), failures: 2_000 }, 300_000],
])('after %s it looks again in time', (_, view, ms) => {
  expect(nextLookupMs(view, 0)).toBe(ms);
  expect(nextLookupMs(view, 1)).toBe(ms * 1.1);
});

test('of more records than anybody has, a part is kept', () => {
  const many = Array.from({ length: 500 }, (_, index) => index.toString(16).padStart(64, '0'));
  expect(afterAnswer(unseen(OWNER), answer(1, ...many), NOON).sightings).toHaveLength(64);
});
