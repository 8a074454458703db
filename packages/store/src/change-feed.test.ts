import { silentLogger } from '@mail/service';
import { describe, expect, it, vi } from 'vitest';
import { ChangeFeed } from './change-feed.ts';
import type { ChangeSignal, Engine } from './engine.ts';
import type { AccountId, MailboxId, ModSeq } from './mail-store.ts';

/** An engine whose mailboxes are numbers in a map, and whose reads end when the test says. */
class FakeEngine implements Pick<Engine, 'read' | 'listen'> {
  readonly modSeqs = new Map<MailboxId, ModSeq>();
  readonly listeners = new Set<ChangeSignal>();
  reads = 0;
  gate: Promise<void> = Promise.resolve();

  async read<T>(): Promise<T> {
    this.reads += 1;
    const seen = new Map(this.modSeqs);
    await this.gate;
    return seen as T;
  }

  listen(signal: ChangeSignal): () => void {
    this.listeners.add(signal);
    return () => this.listeners.delete(signal);
  }

  signal(mailboxes?: readonly (readonly [MailboxId, ModSeq])[]): void {
    for (const listener of this.listeners) listener(mailboxes && { mailboxes, accounts: [] });
  }

  signalAccounts(...accounts: AccountId[]): void {
    for (const listener of this.listeners) listener({ mailboxes: [], accounts });
  }
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function start() {
  const engine = new FakeEngine();
  const logger = silentLogger();
  return { engine, logger, feed: new ChangeFeed(engine, logger), called: vi.fn() };
}

describe('the change feed', () => {
  it('calls at once for a write of this process, without reading', () => {
    const { engine, feed, called } = start();
    feed.watch(1, called);
    engine.signal([
      [1, 5],
      [2, 9],
    ]);
    expect(called).toHaveBeenCalledTimes(1);
    engine.signal([[1, 5]]);
    expect(called).toHaveBeenCalledTimes(1);
    engine.signal([[1, 6]]);
    expect(called).toHaveBeenCalledTimes(2);
    expect(engine.reads).toBe(0);
  });

  it('reads what changed for a write of another, and calls for that alone', async () => {
    const { engine, feed, called } = start();
    const other = vi.fn();
    engine.modSeqs.set(1, 5).set(2, 5);
    feed.watch(1, called);
    feed.watch(2, other);
    engine.signal();
    await settled();
    // the first signal cannot tell
    expect([called.mock.calls.length, other.mock.calls.length]).toEqual([1, 1]);
    engine.modSeqs.set(1, 6);
    engine.signal();
    await settled();
    expect([called.mock.calls.length, other.mock.calls.length]).toEqual([2, 1]);
    engine.modSeqs.delete(2);
    engine.signal();
    engine.signal();
    await settled();
    expect([called.mock.calls.length, other.mock.calls.length]).toEqual([2, 2]);
  });

  it('loses no change that comes while it reads', async () => {
    const { engine, feed, called } = start();
    engine.modSeqs.set(1, 5);
    feed.watch(1, called);
    engine.signal();
    await settled();
    const gate = Promise.withResolvers<void>();
    engine.gate = gate.promise;
    engine.signal();
    engine.modSeqs.set(1, 6);
    engine.signal();
    gate.resolve();
    await settled();
    expect(called).toHaveBeenCalledTimes(2);
    expect(engine.reads).toBe(3);
  });

  it('goes on after a failing read and a failing watcher, and says so', async () => {
    const { engine, feed, called, logger } = start();
    const warn = vi.spyOn(logger, 'warn');
    const error = vi.spyOn(logger, 'error');
    engine.modSeqs.set(1, 5);
    engine.gate = Promise.reject(new Error('unreachable'));
    feed.watch(1, () => {
      throw new Error('a watcher fails');
    });
    feed.watch(1, called);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    engine.signal();
    await settled();
    expect(warn).toHaveBeenCalledOnce();
    engine.gate = Promise.resolve();
    // no other signal need come
    vi.runOnlyPendingTimers();
    vi.useRealTimers();
    await settled();
    expect(error).toHaveBeenCalledOnce();
    expect(called).toHaveBeenCalledOnce();
  });

  it('reads what became of an account in any case, and of no other', async () => {
    const { engine, feed, called } = start();
    const other = vi.fn();
    engine.modSeqs.set(1, 5).set(2, 5);
    feed.watchAccount(1, called);
    feed.watchAccount(2, other);
    engine.signalAccounts(1, 3);
    await settled();
    // the first signal cannot tell
    expect([called.mock.calls.length, other.mock.calls.length]).toEqual([1, 0]);
    engine.signalAccounts(1);
    await settled();
    expect(called).toHaveBeenCalledTimes(1);
    engine.modSeqs.set(1, 6);
    engine.signalAccounts(1);
    await settled();
    expect([called.mock.calls.length, other.mock.calls.length]).toEqual([2, 0]);
    const { reads } = engine;
    engine.signalAccounts(3);
    await settled();
    expect(engine.reads).toBe(reads);
    engine.modSeqs.delete(2);
    engine.signal();
    engine.signal();
    await settled();
    expect([called.mock.calls.length, other.mock.calls.length]).toEqual([2, 1]);
  });

  it('listens only while somebody watches', () => {
    const { engine, feed, called } = start();
    const stops = [feed.watch(1, called), feed.watch(1, called), feed.watchAccount(1, called)];
    expect(engine.listeners.size).toBe(1);
    for (const stop of stops) stop();
    expect(engine.listeners.size).toBe(0);
    for (const stop of stops) stop();
    feed.watch(1, called);
    engine.signal([[1, 2]]);
    expect(called).toHaveBeenCalledOnce();
  });
});
