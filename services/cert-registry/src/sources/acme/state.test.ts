import { silentLogger } from '@mail/service';
import { beforeEach, expect, test } from 'vitest';
import { StoredValues } from '../../stored-values.ts';
import { KeptState } from './state.ts';

const settings = new Map<string, string>();
const disk = {
  setting: (name: string) => settings.get(name),
  setSetting: (name: string, value: string) => void settings.set(name, value),
};
const open = (directory = 'https://ca.example/directory') =>
  new KeptState(new StoredValues(disk, silentLogger()), directory);

beforeEach(() => settings.clear());

test('what has changed is there at the next start, and an order that was dropped is not', () => {
  const state = open();
  const order = { url: 'https://ca.example/order/1', requestId: 'one' };
  state.change({ order, requestId: 'one', requestNames: ['a.example'] });
  expect(open().value).toEqual(state.value);
  state.dropOrder();
  expect(open().value.order).toBeUndefined();
  expect(open().value.requestId).toBe('one');
});

test('of another directory all but the next key, with its names, begins anew', () => {
  const attempts = { failures: 3, nextAt: 1, limited: true };
  open().change({ attempts, askAt: 5, requestId: 'one', requestNames: ['a.example'] });
  expect(open('https://other.example/directory').value).toEqual({
    directoryUrl: 'https://other.example/directory',
    requestId: 'one',
    requestNames: ['a.example'],
    askAt: 0,
    attempts: { failures: 0, nextAt: 0, limited: false },
    attempted: '',
    deaf: false,
  });
});

test.each(['', 'none', '{"directoryUrl":5}', '[]'])(
  'what cannot be read begins anew: %s',
  (text) => {
    open().change({ attempted: 'these' });
    for (const name of settings.keys()) settings.set(name, text);
    expect(open().value.attempted).toBe('');
  },
);
