import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AcmeError } from './errors.ts';
import { nextPoll, pollDelay, readRenewalInfo } from './renewal-info.ts';

const NOW = Date.parse('2030-06-15T12:00:00Z');
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const start = '2030-06-15T12:00:00Z';
const end = '2030-06-16T14:00:00+02:00';

test('a suggestion is a window, and why in one line', () => {
  const window = { start: NOW, end: NOW + DAY };
  expect(readRenewalInfo({ suggestedWindow: { start, end } })).toEqual({
    window,
    explanation: undefined,
  });
  const explanationURL = 'https://ca.example/why\u001b[2J';
  expect(readRenewalInfo({ suggestedWindow: { start, end }, explanationURL })).toEqual({
    window,
    explanation: 'https://ca.example/why [2J',
  });
});

test.each<[string, unknown]>([
  ['nothing', undefined],
  ['text', 'soon'],
  ['no window', {}],
  ['half a window', { suggestedWindow: { start } }],
  ['times that are none', { suggestedWindow: { start: 'soon', end: 'later' } }],
  ['an end before the start', { suggestedWindow: { start: end, end: start } }],
  ['no time between them', { suggestedWindow: { start, end: start } }],
])('%s is no suggestion', (_, body) => {
  expect(() => readRenewalInfo(body)).toThrow(expect.objectContaining({ code: 'bad-answer' }));
});

test('whatever a CA answers is a window or an AcmeError', () => {
  const text = fc.oneof(fc.string(), fc.date({ noInvalidDate: true }).map(String));
  const body = fc.oneof(
    fc.anything(),
    fc.record({ suggestedWindow: fc.record({ start: text, end: text }) }),
  );
  fc.assert(
    fc.property(body, (answer) => {
      try {
        const { window } = readRenewalInfo(answer);
        expect(window.end).toBeGreaterThan(window.start);
      } catch (error) {
        expect(error).toBeInstanceOf(AcmeError);
      }
    }),
  );
});

test.each<[string, number | undefined, number, number]>([
  ['as the CA asks', 2 * HOUR, 90 * DAY, 2 * HOUR],
  ['not each second', 1_000, 90 * DAY, MINUTE],
  ['not in years', 3650 * DAY, 90 * DAY, DAY],
  ['where it does not say', undefined, 90 * DAY, 6 * HOUR],
  ['of one that lives for hours', undefined, 12 * HOUR, HOUR],
  ['of one that lives for minutes', undefined, 5 * MINUTE, MINUTE],
])('asked again %s', (_, retryAfterMs, life, delay) => {
  expect(pollDelay(retryAfterMs, { notBefore: NOW, notAfter: NOW + life })).toBe(delay);
});

test('a clock that was ahead does not keep us from asking', () => {
  expect(nextPoll(NOW + 3650 * DAY, NOW)).toBe(NOW);
  expect(nextPoll(NOW + DAY, NOW)).toBe(NOW + DAY);
  expect(nextPoll(NOW - DAY, NOW)).toBe(NOW - DAY);
});
