import fc from 'fast-check';
import { expect, test } from 'vitest';
import { renewalTime, suggestedRenewalTime } from './renewal-time.ts';

const NOW = Date.parse('2030-06-15T12:00:00Z');
const DAY = 86_400_000;
const life = (ms: number) => ({ notBefore: NOW, notAfter: NOW + ms });

test.each([
  ['90 days', 90 * DAY, 60 * DAY],
  ['47 days', 47 * DAY, (47 * DAY * 2) / 3],
  ['6 days', 6 * DAY, 4 * DAY],
  ['a minute', 60_000, 40_000],
])('%s: at two thirds, and up to a twentieth of the life earlier', (_, ms, at) => {
  expect(renewalTime(life(ms), NOW, 0)).toBe(NOW + Math.round(at));
  expect(renewalTime(life(ms), NOW, 1)).toBe(NOW + Math.round(at - ms / 20));
});

test('one that comes with most of its life behind it is kept for half of the rest', () => {
  const old = { notBefore: NOW - 9 * DAY, notAfter: NOW + DAY };
  expect(renewalTime(old, NOW, 0.5)).toBe(NOW + DAY / 2);
});

test('the CA’s window: a random moment of it, never too late, never again and again', () => {
  const certificate = { ...life(90 * DAY), arrivedAt: NOW };
  const window = { start: NOW + 40 * DAY, end: NOW + 42 * DAY };
  expect(suggestedRenewalTime(window, certificate, 0.5)).toBe(NOW + 41 * DAY);
  const late = { start: NOW + 100 * DAY, end: NOW + 101 * DAY };
  expect(suggestedRenewalTime(late, certificate, 0.5)).toBe(NOW + 81 * DAY);
  const past = { start: NOW - DAY, end: NOW };
  expect(suggestedRenewalTime(past, certificate, 0.5)).toBe(NOW + 3_600_000);
  expect(
    suggestedRenewalTime(past, { ...certificate, arrivedAt: NOW - 30 * DAY }, 0.5),
  ).toBeLessThan(NOW);
});

test('always within the life, and after a while of it', () => {
  const random = fc.double({ min: 0, max: 0.999, noNaN: true });
  const time = fc.integer({ min: NOW - 900 * DAY, max: NOW + 900 * DAY });
  fc.assert(
    fc.property(
      fc.integer({ min: 20_000, max: 400 * DAY }),
      random,
      time,
      fc.integer({ min: 1, max: 90 * DAY }),
      (ms, chance, start, length) => {
        const validity = life(ms);
        const own = renewalTime(validity, NOW, chance);
        const suggested = suggestedRenewalTime(
          { start, end: start + length },
          { ...validity, arrivedAt: NOW },
          chance,
        );
        for (const at of [own, suggested]) {
          expect(at).toBeGreaterThan(NOW);
          expect(at).toBeLessThan(validity.notAfter);
        }
      },
    ),
  );
});
