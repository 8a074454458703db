import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { makeFolder } from './make-folder.ts';

const root = mkdtempSync(join(tmpdir(), 'concert-folder-'));
afterAll(() => rmSync(root, { recursive: true }));

test('makes what is missing, for its owner alone, and says whether it was', () => {
  const folder = join(root, 'a/b/c');
  expect(makeFolder(folder)).toBe(true);
  expect(makeFolder(folder)).toBe(false);
  for (const path of ['a', 'a/b', 'a/b/c']) {
    expect(statSync(join(root, path)).mode & 0o777).toBe(0o700);
  }
});

test('throws for a file, and for what lies below one', () => {
  const file = join(root, 'file');
  writeFileSync(file, '');
  expect(() => makeFolder(file)).toThrow(/EEXIST/);
  expect(() => makeFolder(join(file, 'below'))).toThrow(/ENOTDIR/);
});

test.runIf(process.platform === 'linux')('throws where nothing can be made, and returns', () => {
  expect(() => makeFolder('/proc/concert/data')).toThrow(/ENOENT/);
});
