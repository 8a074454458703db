import { expect, test } from 'vitest';
import type { AcmeState } from './state.ts';
import { isLimited, nextOrder } from './timetable.ts';

const NOW = Date.parse('2030-06-15T12:00:00Z');
const DAY = 86_400_000;
const names = ['a.example', 'b.example'];
const certificate = {
  id: 'one',
  names,
  notBefore: NOW - 10 * DAY,
  notAfter: NOW + 80 * DAY,
  arrivedAt: NOW - 10 * DAY,
  renewAt: NOW + 50 * DAY,
};
const none: AcmeState = {
  directoryUrl: 'https://ca.example/directory',
  requestNames: [],
  askAt: 0,
  attempts: { failures: 0, nextAt: 0, limited: false },
  attempted: '',
  deaf: false,
};
const held = { ...none, certificate };
const failed = { attempts: { failures: 2, nextAt: NOW + DAY, limited: false }, attempted: 'these' };
const suggestion = { start: 0, end: 1, renewAt: NOW + DAY };

test.each<[string, AcmeState, readonly string[], object]>([
  ['nothing held', none, names, { at: 0, why: 'first', actAt: 0 }],
  [
    'nothing held, failed',
    { ...none, ...failed },
    names,
    { at: 0, why: 'first', actAt: NOW + DAY },
  ],
  [
    'failed with other settings',
    { ...none, ...failed, attempted: 'those' },
    names,
    { at: 0, why: 'first', actAt: 0 },
  ],
  ['held', held, names, { at: NOW + 50 * DAY, why: 'renewal', actAt: NOW + 50 * DAY }],
  [
    'held, a forced order failed',
    { ...held, ...failed },
    names,
    { at: NOW + 50 * DAY, why: 'renewal', actAt: NOW + 50 * DAY },
  ],
  ['other names', held, ['c.example'], { at: 0, why: 'names', actAt: 0 }],
  [
    'the same names in another order',
    held,
    [...names].reverse(),
    { at: NOW + 50 * DAY, why: 'renewal', actAt: NOW + 50 * DAY },
  ],
  [
    'the CA suggests',
    { ...held, suggestion },
    names,
    { at: NOW + DAY, why: 'suggestion', actAt: NOW + DAY },
  ],
])('%s', (_, state, wanted, due) => {
  expect(nextOrder(state, wanted, 'these', NOW)).toEqual(due);
});

test('a rate limit is that of what was ordered, and ends', () => {
  const limited = { ...none, ...failed, attempts: { ...failed.attempts, limited: true } };
  expect(isLimited(limited, 'these', NOW)).toBe(true);
  expect(isLimited(limited, 'those', NOW)).toBe(false);
  expect(isLimited(limited, 'these', NOW + DAY)).toBe(false);
  expect(isLimited({ ...none, ...failed }, 'these', NOW)).toBe(false);
});
