import {
  closeSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { limitLog, openLog } from './log-file.ts';

const limits = { maxBytes: 1_000, kept: 2 };
let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'concert-log-'));
  path = join(folder, 'imap.log');
});
afterEach(() => rmSync(folder, { recursive: true }));

test('a file below the limit is left alone', () => {
  const log = openLog(path, limits);
  writeSync(log, 'x'.repeat(1_000));
  limitLog(path, limits);
  expect(readdirSync(folder)).toEqual(['imap.log']);
  closeSync(log);
});

test('a process that holds the file open goes on in an empty one, and no line is lost', () => {
  const log = openLog(path, limits);
  for (let line = 0; line < 400; line += 1) {
    writeSync(log, `line ${String(line).padStart(4, '0')} of a log\n`);
    limitLog(path, limits);
  }
  closeSync(log);
  expect(statSync(path).size).toBeLessThanOrEqual(1_000);
  expect(readdirSync(folder).sort()).toEqual(['imap.log', 'imap.log.1', 'imap.log.2']);
  const all = ['imap.log.2', 'imap.log.1', 'imap.log']
    .map((name) => readFileSync(join(folder, name), 'utf8'))
    .join('');
  const numbers = Array.from(all.matchAll(/^line (\d+) of a log$/gm), ([, number]) =>
    Number(number),
  );
  const first = numbers[0] ?? 0;
  expect(numbers).toEqual(numbers.map((_, index) => first + index));
  expect(numbers.at(-1)).toBe(399);
  expect(all.split('\n')).toHaveLength(numbers.length + 1);
});

test('a new start begins a new file, readable by its owner alone, and keeps the old', () => {
  for (const word of ['one', 'two', 'three', 'four']) {
    const log = openLog(path, limits);
    writeSync(log, word);
    closeSync(log);
  }
  expect(readFileSync(path, 'utf8')).toBe('four');
  expect(readFileSync(`${path}.1`, 'utf8')).toBe('three');
  expect(readFileSync(`${path}.2`, 'utf8')).toBe('two');
  expect(existsSync(`${path}.3`)).toBe(false);
  for (const name of readdirSync(folder)) {
    expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
  }
});

test('a file that is not there is no trouble', () => {
  limitLog(path, limits);
  expect(readdirSync(folder)).toEqual([]);
});
