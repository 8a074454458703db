import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FolderReader } from './folder-reader.ts';

let folder: string;
let now: number;
let reader: FolderReader;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'reader-'));
  now = 0;
  reader = new FolderReader(folder, () => now);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const path = (name: string) => join(folder, name);
const write = (name: string, text: string) => writeFileSync(path(name), text);

async function names(): Promise<string[]> {
  const sight = await reader.look(false);
  return sight.kind === 'content' ? sight.files.map(({ name }) => name) : [];
}

async function key(): Promise<string> {
  const sight = await reader.look(false);
  return sight.kind === 'content' ? sight.key : sight.kind;
}

describe('which files count', () => {
  test('those that certificates come in, whole, and no others', async () => {
    for (const name of ['a.pem', 'b.CRT', 'c.cer', 'd.key', 'e.pfx', 'f.p12']) write(name, name);
    for (const name of ['README', '.a.pem.swp', '.hidden.pem', 'a.pem~', 'a.pem.tmp', '#a.pem#']) {
      write(name, 'x');
    }
    write('empty.pem', '');
    mkdirSync(path('folder.pem'));
    expect(await names()).toEqual(['a.pem', 'b.CRT', 'c.cer', 'd.key', 'e.pfx', 'f.p12']);
  });

  test('neither FIFO nor device is opened', async () => {
    execFileSync('mkfifo', [path('privkey.pem')]);
    symlinkSync('/dev/zero', path('cert.pem'));
    expect(await reader.look(false)).toEqual({
      kind: 'empty',
      detail: `${folder} holds no certificate yet (passed over: cert.pem, which is no file, privkey.pem, which is no file)`,
    });
  });
});

describe('contents', () => {
  test('are the same whatever the files are called and when they were touched', async () => {
    write('a.pem', 'one');
    write('b.pem', 'two');
    const before = await key();
    utimesSync(path('a.pem'), 1, 1);
    expect(await key()).toBe(before);
    renameSync(path('a.pem'), path('c.pem'));
    expect(await key()).toBe(before);
    write('b.pem', 'twe');
    expect(await key()).not.toBe(before);
  });

  test('are not read again while nothing has changed and writes could be told apart', async () => {
    write('a.pem', 'one');
    expect((await reader.look(true)).kind).toBe('content');
    now = 10_000;
    expect((await reader.look(true)).kind).toBe('content');
    now = 10_001;
    expect((await reader.look(true)).kind).toBe('unchanged');
    expect((await reader.look(false)).kind).toBe('content');
    write('b.pem', 'two');
    expect((await reader.look(true)).kind).toBe('content');
  });
});

describe('what cannot be read', () => {
  test.each<[string, () => void, RegExp]>([
    ['no folder', () => rmSync(folder, { recursive: true }), /does not exist/],
    [
      'a file in its place',
      () => {
        rmSync(folder, { recursive: true });
        writeFileSync(folder, '');
      },
      /is no folder/,
    ],
    ['a loop of links', () => symlinkSync('a.pem', path('a.pem')), /leads to itself/],
    [
      'a link to what is not mounted',
      () => symlinkSync('../../archive/cert1.pem', path('cert.pem')),
      /cert\.pem .* link to \.\.\/\.\.\/archive\/cert1\.pem, which is not there/,
    ],
    [
      'too many certificate files',
      () => {
        for (let number = 0; number < 17; number += 1) write(`${number}.pem`, 'x');
      },
      /17 certificate files; at most 16/,
    ],
    [
      'too many files',
      () => {
        for (let number = 0; number < 1_001; number += 1) write(String(number), '');
      },
      /over 1000 files/,
    ],
    ['a file too large', () => write('a.pem', 'x'.repeat(256 * 1024 + 1)), /over 256 KiB/],
  ])('%s', async (_, prepare, detail) => {
    prepare();
    expect(await reader.look(false)).toEqual({
      kind: 'problem',
      detail: expect.stringMatching(detail),
    });
  });

  test.skipIf(process.getuid?.() === 0)('a key for root alone', async () => {
    write('privkey.pem', 'x');
    chmodSync(path('privkey.pem'), 0);
    expect(await reader.look(false)).toEqual({
      kind: 'problem',
      detail: expect.stringMatching(
        new RegExp(`privkey\\.pem .* may not be read .* uid ${process.getuid?.()}`),
      ),
    });
  });
});
