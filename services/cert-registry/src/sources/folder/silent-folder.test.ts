import { expect, test, vi } from 'vitest';
import { FolderReader } from './folder-reader.ts';

const calls = vi.hoisted(() => ({ opened: 0, answer: Promise.withResolvers<never>() }));

/** A network file system whose server has gone. */
vi.mock('node:fs/promises', async (original) => ({
  ...(await original<typeof import('node:fs/promises')>()),
  opendir: () => {
    calls.opened += 1;
    return calls.answer.promise;
  },
}));

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
