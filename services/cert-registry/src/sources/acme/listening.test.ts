import { silentLogger } from '@mail/service';
import { beforeEach, expect, test, vi } from 'vitest';
import { StoredValues } from '../../stored-values.ts';
import type { SourceStatus } from '../source-status.ts';
import { AcmeError } from './errors.ts';
import { type Listener, Listening } from './listening.ts';
import { KeptState } from './state.ts';

const settings = new Map<string, string>();
const disk = {
  setting: (name: string) => settings.get(name),
  setSetting: (name: string, value: string) => void settings.set(name, value),
};
const told: string[] = [];
const status = {
  failed: (detail: string) => told.push(detail),
  recovered: () => told.push('recovered'),
} as unknown as SourceStatus;
let free = false;
const listener: Listener = {
  async listen() {
    if (!free) throw new AcmeError('not-listening', 'taken');
  },
  async close() {},
};

/** As a process that has just begun has it. */
function listening(answers: Listener | undefined, directory = 'https://ca.example/d') {
  const logger = silentLogger();
  const error = vi.spyOn(logger, 'error');
  const state = new KeptState(new StoredValues(disk, logger), directory);
  return { of: new Listening({ listener: answers, state, status, logger }), state, error };
}

beforeEach(() => {
  settings.clear();
  told.length = 0;
  free = false;
});

test('told once while it lasts, and taken back', async () => {
  const { of, error } = listening(listener);
  await of.begin();
  await of.begin();
  expect(told).toEqual(['taken']);
  expect(error).toHaveBeenCalledTimes(1);
  free = true;
  await of.begin();
  await of.begin();
  expect(told).toEqual(['taken', 'recovered']);
});

test.each<[string, () => Listening]>([
  ['the next process', () => listening(listener).of],
  ['one that proves by DNS', () => listening(undefined).of],
  ['one with another CA', () => listening(listener, 'https://other.example/d').of],
])('taken back by %s', async (_, next) => {
  await listening(listener).of.begin();
  free = true;
  await next().begin();
  expect(told).toEqual(['taken', 'recovered']);
});

test('what failed since is another matter', async () => {
  const { of, state } = listening(listener);
  await of.begin();
  state.change({ deaf: false });
  free = true;
  await of.begin();
  expect(told).toEqual(['taken']);
});
