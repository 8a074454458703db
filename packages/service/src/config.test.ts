import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { z } from 'zod';
import {
  byteSize,
  commonSettings,
  duration,
  flag,
  list,
  parseSettings,
  readSettings,
  wholeNumber,
} from './config.ts';
import { ServiceError } from './errors.ts';

const folder = mkdtempSync(join(tmpdir(), 'concert-config-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('the environment wins over the file, and other variables are left alone', () => {
  const file = join(folder, 'concert.env');
  writeFileSync(file, '# a comment\nCONCERT_DATA=/from/file\nCONCERT_WORKERS="3"\nHOME=/nowhere\n');
  const settings = readSettings({
    CONCERT_CONFIG: file,
    CONCERT_DATA: '/from/environment',
    PATH: '/bin',
  });
  expect(settings).toEqual({
    CONCERT_CONFIG: file,
    CONCERT_DATA: '/from/environment',
    CONCERT_WORKERS: '3',
  });
});

test('NAME_FILE reads the value, without its last line end', () => {
  const file = join(folder, 'secret');
  writeFileSync(file, 'abc\n');
  expect(readSettings({ CONCERT_REGISTRY_KEY_FILE: file })['CONCERT_REGISTRY_KEY']).toBe('abc');
});

test('an empty NAME_FILE names no file', () => {
  expect(readSettings({ CONCERT_REGISTRY_KEY_FILE: '' })).toEqual({
    CONCERT_REGISTRY_KEY_FILE: '',
  });
});

test('a file that cannot be read is named', () => {
  expect(() => readSettings({ CONCERT_CONFIG: join(folder, 'absent') })).toThrow(
    /CONCERT_CONFIG: cannot read .*absent \(ENOENT\)/,
  );
});

test.each([
  ['250ms', 250],
  ['30s', 30_000],
  ['5m', 300_000],
  ['2h', 7_200_000],
  ['20d', 1_728_000_000],
])('duration %s', (text, milliseconds) => {
  expect(duration(0).parse(text)).toBe(milliseconds);
});

test.each(['', '5', '-1s', '1.5s', '1 s', '9999999999s', '1w', '25d'])(
  'no duration: %j',
  (text) => {
    expect(duration(0).safeParse(text).success).toBe(false);
  },
);

test('a duration has limits', () => {
  expect(duration(1_000, 60_000).safeParse('999ms').success).toBe(false);
  expect(duration(1_000, 60_000).safeParse('61s').success).toBe(false);
  expect(duration(1_000, 60_000).parse('1m')).toBe(60_000);
});

test('sizes, flags, numbers and lists', () => {
  expect(byteSize.parse('50MiB')).toBe(52_428_800);
  expect(byteSize.safeParse('50MB').success).toBe(false);
  expect([flag.parse('yes'), flag.parse('off')]).toEqual([true, false]);
  expect(flag.safeParse('perhaps').success).toBe(false);
  expect(wholeNumber(1, 64).parse('64')).toBe(64);
  for (const bad of ['0', '65', '1e1', '']) {
    expect(wholeNumber(1, 64).safeParse(bad).success).toBe(false);
  }
  expect(list.parse(' a, b  c,')).toEqual(['a', 'b', 'c']);
});

test('every fault is told at once, and no value is', () => {
  const schema = z.object({ CONCERT_A: duration(0), CONCERT_B: flag });
  const attempt = () => parseSettings(schema, { CONCERT_A: 'hunter2', CONCERT_B: 'hunter3' });
  expect(attempt).toThrow(ServiceError);
  expect(attempt).toThrow(/CONCERT_A: .*CONCERT_B: /);
  expect(attempt).not.toThrow(/hunter/);
});

test('the common settings have defaults', () => {
  expect(parseSettings(commonSettings, {})).toMatchObject({
    CONCERT_DATA: './data',
    CONCERT_WORKERS: 1,
    CONCERT_SHUTDOWN_GRACE: 10_000,
  });
});
