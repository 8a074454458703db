/**
 * What this process believes of the registry's clock. Pure arithmetic on samples, each of which is one
 * round trip: the registry's reading lies somewhere between sending and hearing, which bounds the offset
 * from both sides, however lopsided the way. The bounds of all samples hold at once, so their
 * intersection does: one quick way there and one quick way back, of two trips, are as good as one quick
 * trip, and that is what a busy machine has to offer. Bounds widen with age, since the two clocks drift.
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
  /** Least and most that the offset may be, as of the last sample. */
  #least = 0n;
  #most = 0n;
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
    if (this.#bestTrip === 0n || trip < this.#bestTrip) this.#bestTrip = trip;
    let least = registryTime - heardAt - driftOver(trip);
    let most = registryTime - sentAt + driftOver(trip);
    if (this.#takenAt !== undefined) {
      const drift = driftOver(heardAt - this.#takenAt);
      const [before, after] = [this.#least - drift, this.#most + drift];
      // a clock that has jumped contradicts what was known: then the newest counts alone
      if (before <= most && least <= after) {
        if (before > least) least = before;
        if (after < most) most = after;
      }
    }
    this.#least = least;
    this.#most = most;
    this.#takenAt = heardAt;
  }

  /** The estimate at a local instant; undefined before the first sample. */
  readAt(now: bigint): ClockReading | undefined {
    if (this.#takenAt === undefined) return undefined;
    const errorNs = (this.#most - this.#least + 1n) / 2n + driftOver(now - this.#takenAt);
    return { offsetNs: this.#offset, errorNs };
  }

  toLocal(registryTime: bigint): bigint {
    return registryTime - this.#offset;
  }

  toRegistry(local: bigint): bigint {
    return local + this.#offset;
  }

  get #offset(): bigint {
    return (this.#least + this.#most) / 2n;
  }
}

/** How far the clocks may drift apart in that time. */
function driftOver(duration: bigint): bigint {
  return (duration * MAX_DRIFT_PPM) / 1_000_000n;
}
