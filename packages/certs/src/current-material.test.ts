import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CurrentMaterial } from './current-material.ts';
import { TlsError } from './errors.ts';
import type { Material } from './material.ts';
import { buildSecureContext } from './secure-context.ts';
import { makeTestMaterial } from './testing/self-signed.ts';

describe('CurrentMaterial', () => {
  let now = 0n;
  let current: CurrentMaterial;
  let secureContext: Material['secureContext'];

  const generation = (number: number): Material => ({
    generation: number,
    certificateId: `c${number}`,
    fingerprintSha256: `f${number}`,
    chainPem: '',
    notBefore: new Date(0),
    notAfter: new Date(0),
    secureContext,
  });

  beforeEach(async () => {
    secureContext ??= buildSecureContext(await makeTestMaterial(), 'imap');
    vi.useFakeTimers();
    now = 1_000_000_000n;
    current = new CurrentMaterial(() => now);
  });
  afterEach(() => {
    current.close();
    vi.useRealTimers();
  });

  it('has nothing at first', () => {
    expect(() => current.get()).toThrow(expect.objectContaining({ code: 'no-material' }));
    expect(current.peek()).toBeUndefined();
  });

  it('switches at the nanosecond, with no timer having run', () => {
    current.schedule(generation(1), 0n);
    const at = now + 5_000_000n;
    current.schedule(generation(2), at);
    now = at - 1n;
    expect(current.get().generation).toBe(1);
    now = at;
    expect(current.get().generation).toBe(2);
  });

  it('tells observers once, by whoever notices first', () => {
    const seen: number[] = [];
    current.observe((material) => seen.push(material.generation));
    current.schedule(generation(1), 0n);
    current.schedule(generation(2), now + 3_000_000n);
    expect(seen).toEqual([1]);
    now += 3_000_000n;
    vi.advanceTimersByTime(3);
    expect(seen).toEqual([1, 2]);
    current.get();
    current.schedule(generation(3), now + 1n);
    now += 1n;
    current.get();
    vi.runAllTimers();
    expect(seen).toEqual([1, 2, 3]);
  });

  it('goes on waiting after a timer that came early', () => {
    const seen: number[] = [];
    current.observe((material) => seen.push(material.generation));
    current.schedule(generation(1), now + 2_000_000n);
    vi.advanceTimersByTime(2);
    expect(seen).toEqual([]);
    now += 2_000_000n;
    vi.advanceTimersByTime(2);
    expect(seen).toEqual([1]);
  });

  it('keeps what is due first, and replaces what would come later', () => {
    current.schedule(generation(1), now + 10n);
    current.schedule(generation(2), now + 30n);
    current.schedule(generation(3), now + 20n);
    now += 15n;
    expect(current.get().generation).toBe(1);
    now += 5n;
    expect(current.get().generation).toBe(3);
    now += 10n;
    expect(current.get().generation).toBe(3);
  });

  it('passes through all that became due, in order', () => {
    const seen: number[] = [];
    current.observe((material) => seen.push(material.generation));
    current.schedule(generation(1), now + 10n);
    current.schedule(generation(2), now + 20n);
    now += 50n;
    expect(current.get().generation).toBe(2);
    expect(seen).toEqual([1, 2]);
  });

  it('stops telling an observer that went away', () => {
    const observer = vi.fn();
    current.observe(observer)();
    current.schedule(generation(1), 0n);
    expect(observer).not.toHaveBeenCalled();
  });

  it('refuses from the fence on, exactly, and serves again without it', () => {
    current.schedule(generation(1), 0n);
    current.fenceFrom(now + 7n);
    now += 6n;
    expect(current.get().generation).toBe(1);
    expect(current.fenced).toBe(false);
    now += 1n;
    expect(current.fenced).toBe(true);
    expect(() => current.get()).toThrow(TlsError);
    expect(() => current.get()).toThrow(expect.objectContaining({ code: 'fenced' }));
    expect(current.peek()?.generation).toBe(1);
    current.fenceFrom(undefined);
    expect(current.get().generation).toBe(1);
  });

  it('waits for an instant further away than a timer can', () => {
    const far = BigInt(2 ** 32) * 1_000_000n;
    current.schedule(generation(1), now + far);
    vi.advanceTimersByTime(2 ** 31);
    expect(current.peek()).toBeUndefined();
    now += far;
    vi.advanceTimersByTime(2 ** 32);
    expect(current.peek()?.generation).toBe(1);
  });
});
