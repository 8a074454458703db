/**
 * What this process believes of the registry's clock. Pure arithmetic on samples, each of which is one
 * round trip: the registry's reading lies somewhere between sending and hearing, so half the round trip
 * bounds the error, however lopsided the way. The sample with the smallest bound wins; the bound grows
 * with its age, since the two clocks drift, so that a lucky old sample gives way in the end.
 */

/** Two crystals, each as far off as 200 parts in a million. */
const MAX_DRIFT_PPM = 400n;

/** An offset and how wrong it may be. Nanoseconds. */
export interface ClockReading {
  /** The registry's clock minus the local one. */
  readonly offsetNs: bigint;
  readonly errorNs: bigint;
}

/** One registry process's clock as seen from here. Owned by the subscriber machine. */
export class ClockEstimate {
  /** Which registry process: another one has another clock. */
  readonly clockId: string;
  #offset = 0n;
  #error = 0n;
  #takenAt: bigint | undefined;
  #bestTrip = 0n;

  constructor(clockId: string) {
    this.clockId = clockId;
  }

  /** The smallest round trip seen; 0 before the first sample. */
  get roundTripNs(): bigint {
    return this.#bestTrip;
  }

  /** Takes a round trip: sent and heard on the local clock, answered on the registry's. */
  addSample(sentAt: bigint, registryTime: bigint, heardAt: bigint): void {
    const trip = heardAt - sentAt;
    const error = (trip + 1n) / 2n + driftOver(trip);
    if (this.#bestTrip === 0n || trip < this.#bestTrip) this.#bestTrip = trip;
    if (this.#takenAt !== undefined && error > this.#errorAt(heardAt)) return;
    this.#offset = registryTime - sentAt - trip / 2n;
    this.#error = error;
    this.#takenAt = heardAt;
  }

  /** The estimate at a local instant; undefined before the first sample. */
  readAt(now: bigint): ClockReading | undefined {
    if (this.#takenAt === undefined) return undefined;
    return { offsetNs: this.#offset, errorNs: this.#errorAt(now) };
  }

  toLocal(registryTime: bigint): bigint {
    return registryTime - this.#offset;
  }

  toRegistry(local: bigint): bigint {
    return local + this.#offset;
  }

  #errorAt(now: bigint): bigint {
    return this.#error + driftOver(now - (this.#takenAt ?? now));
  }
}

/** How far the clocks may drift apart in that time. */
function driftOver(duration: bigint): bigint {
  return (duration * MAX_DRIFT_PPM) / 1_000_000n;
}
