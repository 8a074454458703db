import { silentLogger } from '@mail/service';
import { beforeEach, expect, test, vi } from 'vitest';
import type { Certificates } from '../../certificates.ts';
import { StoredValues } from '../../stored-values.ts';
import { AcmeError } from './errors.ts';
import type { RenewalInfo } from './renewal-info.ts';
import { KeptState } from './state.ts';
import { askWhenToRenew } from './suggestion.ts';

const NOW = Date.parse('2030-06-15T12:00:00Z');
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const certificate = {
  id: 'one',
  names: ['a.example'],
  notBefore: NOW - 10 * DAY,
  notAfter: NOW + 80 * DAY,
  arrivedAt: NOW - 10 * DAY,
  renewAt: NOW + 50 * DAY,
};
const window = { start: NOW + 20 * DAY, end: NOW + 30 * DAY };
const info: RenewalInfo = { window, explanation: undefined };

let state: KeptState;
let held: { chainPem: string } | undefined;
let random = 0;
const suggestion = vi.fn();

beforeEach(() => {
  const disk = { setting: () => undefined, setSetting: () => {} };
  state = new KeptState(new StoredValues(disk, silentLogger()), 'https://ca.example/directory');
  state.change({ certificate });
  held = { chainPem: 'PEM' };
  random = 0;
  suggestion.mockReset();
});

const ask = () =>
  askWhenToRenew(
    { suggestion },
    {
      state,
      certificates: { whole: () => held } as unknown as Certificates,
      logger: silentLogger(),
      now: () => NOW,
      random: () => random,
    },
  );

test('a moment of the window is picked once, and another for another window', async () => {
  suggestion.mockResolvedValue({ info, retryAfterMs: 2 * HOUR });
  await ask();
  expect(state.value).toMatchObject({
    suggestion: { ...window, renewAt: window.start },
    askAt: NOW + 2 * HOUR,
  });
  random = 0.5;
  suggestion.mockResolvedValue({ info: { window, explanation: 'why' }, retryAfterMs: undefined });
  await ask();
  expect(state.value.suggestion).toEqual({ ...window, renewAt: window.start, explanation: 'why' });
  const sooner = { start: NOW + DAY, end: NOW + 3 * DAY };
  suggestion.mockResolvedValue({ info: { ...info, window: sooner }, retryAfterMs: undefined });
  await ask();
  expect(state.value.suggestion?.renewAt).toBe(NOW + 2 * DAY);
});

test('what was suggested stands while the CA cannot be asked, and goes where it says nothing', async () => {
  suggestion.mockResolvedValueOnce({ info, retryAfterMs: undefined });
  await ask();
  suggestion.mockRejectedValueOnce(new AcmeError('unreachable', 'no answer'));
  await ask();
  expect(state.value).toMatchObject({ suggestion: window, askAt: NOW + 6 * HOUR });
  suggestion.mockResolvedValueOnce({ info: undefined, retryAfterMs: undefined });
  await ask();
  expect(state.value.suggestion).toBeUndefined();
});

test('when to ask again is kept before the CA is asked', async () => {
  suggestion.mockImplementation(() => {
    expect(state.value.askAt).toBe(NOW + 6 * HOUR);
    throw new TypeError('a bug');
  });
  await expect(ask()).rejects.toThrow('a bug');
});

test('nobody is asked about a certificate that an operator has deleted', async () => {
  held = undefined;
  await ask();
  expect(suggestion).not.toHaveBeenCalled();
  expect(state.value.askAt).toBe(NOW + 6 * HOUR);
});
