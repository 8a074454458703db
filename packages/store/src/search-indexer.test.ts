import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Logger, silentLogger } from '@mail/service';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Engine } from './engine.ts';
import { StoreError } from './errors.ts';
import { TextIndexer } from './search-indexer.ts';

const LOOK_MS = 10_000;

describe('indexing in the background', () => {
  let toFill: number;
  let toIndex: number;
  let failure: Error | undefined;
  const written: string[] = [];
  const warn = vi.fn();
  let indexer: TextIndexer;

  /** Does one of them with each write. */
  const engine = {
    read: async (query: { name: string }) =>
      query.name === 'readUnfilled' ? { after: 0, upTo: toFill } : Math.min(toIndex, 256),
    write: async (name: string) => {
      written.push(name);
      if (failure !== undefined) throw failure;
      const left = name === 'fillTexts' ? --toFill : --toIndex;
      return left > 0;
    },
  };
  const look = async (): Promise<void> => {
    vi.advanceTimersByTime(LOOK_MS);
    let seen = -1;
    // what it does takes no time, but turns
    for (let calm = 0; calm < 50; calm += 1) {
      if (written.length !== seen) calm = 0;
      seen = written.length;
      await nextTurn();
    }
  };

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
    [toFill, toIndex, failure] = [0, 0, undefined];
    written.length = 0;
    warn.mockClear();
    const logger: Logger = { ...silentLogger(), warn };
    indexer = new TextIndexer(engine as unknown as Engine, logger, async () => {});
  });
  afterEach(() => {
    indexer.stop();
    vi.useRealTimers();
  });

  it('leaves few texts unindexed', async () => {
    toIndex = 255;
    await look();
    expect(written).toEqual([]);
  });

  it('fills first, then indexes all there is', async () => {
    [toFill, toIndex] = [2, 300];
    await look();
    expect(written.slice(0, 3)).toEqual(['fillTexts', 'fillTexts', 'indexTexts']);
    expect(toIndex).toBe(0);
  });

  it('goes on at the next look where it failed', async () => {
    toIndex = 300;
    failure = new StoreError('database-unavailable', 'gone');
    await look();
    expect(warn).toHaveBeenCalledOnce();
    expect(written).toEqual(['indexTexts']);
    failure = undefined;
    await look();
    expect(toIndex).toBe(0);
  });

  it('ends with the store, without a word', async () => {
    toIndex = 300;
    failure = new StoreError('closed', 'the store is closed');
    await look();
    indexer.stop();
    await look();
    expect(written).toEqual(['indexTexts']);
    expect(warn).not.toHaveBeenCalled();
  });
});
