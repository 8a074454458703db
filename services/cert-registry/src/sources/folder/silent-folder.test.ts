import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test, vi } from 'vitest';
import { FolderReader } from './folder-reader.ts';

const calls = vi.hoisted(() => ({ opened: 0, answer: Promise.withResolvers<void>() }));

/** A network file system whose server has gone, and may come back. */
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>();
  const opendir = async (path: string) => {
    calls.opened += 1;
    await calls.answer.promise;
    return real.opendir(path);
  };
  return { ...real, opendir };
});

beforeEach(() => {
  calls.opened = 0;
  calls.answer = Promise.withResolvers();
});

test('who wants the files read is not told that nothing has changed', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'silent-'));
  try {
    writeFileSync(join(folder, 'a.pem'), 'one');
    let now = 0;
    const reader = new FolderReader(folder, () => now);
    calls.answer.resolve();
    await reader.look(true);
    now = 60_000;
    calls.answer = Promise.withResolvers();
    const byTimetable = reader.look(true);
    const forced = reader.look(false);
    calls.answer.resolve();
    expect((await byTimetable).kind).toBe('unchanged');
    expect((await forced).kind).toBe('content');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a folder that does not answer is a problem, and is not asked again meanwhile', async () => {
  vi.useFakeTimers();
  try {
    const reader = new FolderReader('/mnt/gone', () => 0);
    for (let look = 0; look < 2; look += 1) {
      const sight = reader.look(false);
      await vi.advanceTimersByTimeAsync(10_000);
      expect(await sight).toEqual({ kind: 'problem', detail: '/mnt/gone does not answer' });
    }
    expect(calls.opened).toBe(1);
    calls.answer.reject(Object.assign(new Error('gone'), { code: 'ESTALE' }));
    expect(await reader.look(false)).toEqual({
      kind: 'problem',
      detail: '/mnt/gone cannot be read: ESTALE',
    });
  } finally {
    vi.useRealTimers();
  }
});
