/**
 * The one mutable reference of a process: which material is in force. Every listener asks it at each
 * handshake and keeps nothing. The switch is a comparison of clocks made by whoever asks, so it happens
 * at its instant to the nanosecond, however late a timer or a busy event loop may be.
 */
import { TlsError } from './errors.ts';
import type { Material } from './material.ts';

/** Nanoseconds on a clock that never goes back. */
export type MonotonicClock = () => bigint;

export const monotonicClock: MonotonicClock = () => process.hrtime.bigint();

type Observer = (material: Material) => void;

/** setTimeout takes no more; a later instant is waited for in steps. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export class CurrentMaterial {
  readonly #now: MonotonicClock;
  readonly #observers = new Set<Observer>();
  #current: Material | undefined;
  /** What is still to come, by instant. */
  readonly #coming: { readonly material: Material; readonly at: bigint }[] = [];
  #fenceAt: bigint | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(now: MonotonicClock = monotonicClock) {
    this.#now = now;
  }

  /**
   * The material for a handshake that starts now.
   * @throws TlsError no-material before the first generation, fenced once the lease is out
   */
  get(): Material {
    const now = this.#now();
    this.#promoteIfDue(now);
    if (this.#fenceAt !== undefined && now >= this.#fenceAt) {
      throw new TlsError('fenced', 'cut off from the registry: new handshakes are refused');
    }
    if (this.#current === undefined) {
      throw new TlsError('no-material', 'no certificate is in force yet');
    }
    return this.#current;
  }

  /** As get, without refusing: for status, metrics and probes. */
  peek(): Material | undefined {
    this.#promoteIfDue(this.#now());
    return this.#current;
  }

  /** Whether get() refuses now because of the fence. */
  get fenced(): boolean {
    return this.#fenceAt !== undefined && this.#now() >= this.#fenceAt;
  }

  /**
   * Puts `next` in force for every handshake that starts at the instant `at` (nanoseconds on the clock
   * of this object) or later; an instant that has passed means at once. Replaces what was scheduled for
   * that instant or later; what is due before it is in force until then.
   */
  schedule(next: Material, at: bigint): void {
    this.#promoteIfDue(this.#now());
    while ((this.#coming.at(-1)?.at ?? at - 1n) >= at) this.#coming.pop();
    this.#coming.push({ material: next, at });
    this.#promoteIfDue(this.#now());
    this.#armTimer();
  }

  /** Refuses handshakes that start at the instant `at` or later; undefined takes the limit away. */
  fenceFrom(at: bigint | undefined): void {
    this.#fenceAt = at;
  }

  /**
   * Tells `observer` of each material as it comes into force, synchronously: it must be quick and must
   * not throw. Returns how to stop it.
   */
  observe(observer: Observer): () => void {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  /** Stops the timer. What is in force stays so, and a schedule is still kept by get(). */
  close(): void {
    clearTimeout(this.#timer);
  }

  #promoteIfDue(now: bigint): void {
    for (let next = this.#coming[0]; next !== undefined && next.at <= now; next = this.#coming[0]) {
      this.#coming.shift();
      this.#current = next.material;
      clearTimeout(this.#timer);
      for (const observer of this.#observers) observer(next.material);
    }
  }

  /** Only so that observers hear of a switch when no handshake comes by. */
  #armTimer(): void {
    clearTimeout(this.#timer);
    const next = this.#coming[0];
    if (next === undefined) return;
    const waitMs = Number((next.at - this.#now() + 999_999n) / 1_000_000n);
    this.#timer = setTimeout(
      () => {
        this.#promoteIfDue(this.#now());
        this.#armTimer();
      },
      Math.max(0, Math.min(waitMs, MAX_TIMER_MS)),
    );
    this.#timer.unref();
  }
}
