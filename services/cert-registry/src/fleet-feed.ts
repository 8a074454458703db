/**
 * The fleet as operators see it: one snapshot, and a feed of snapshots for watchers. Changes of a moment
 * become one snapshot, encoded once for all; a watcher that reads slowly gets the newest when it is
 * ready for one, and nothing piles up for it.
 */
import type { ServerWritableStream } from '@grpc/grpc-js';
import {
  type Certificate,
  type Fleet,
  PartitionPolicy,
  type Rotation,
  type Subscriber,
  SubscriberState,
  WatchFleetResponse,
} from '@mail/proto';
import { FLEET_INTERVAL_MS, LIMITS } from './config.ts';
import type { SubscriberView } from './coordinator.ts';
import { RegistryError } from './errors.ts';
import { fleetWarnings, type Warning } from './warnings.ts';

/** The fleet's parts, from those who own them. */
export interface FleetSource {
  readonly generation: bigint;
  readonly activeCertificate: Certificate | undefined;
  readonly subscribers: readonly SubscriberView[];
  readonly rotation: Rotation | undefined;
  /** Of those who know more than the fleet shows. */
  readonly warnings: readonly Warning[];
  /** Monotonic nanoseconds, and the wall clock at that moment in milliseconds. */
  readonly now: bigint;
  readonly wallNow: number;
}

/** One snapshot as the contract has it. */
export function describeFleet(source: FleetSource): Fleet {
  const subscribers = source.subscribers.map((view) => describeSubscriber(view, source));
  return {
    generation: source.generation,
    activeCertificate: source.activeCertificate,
    subscribers,
    warnings: [
      ...fleetWarnings(source.activeCertificate, subscribers, source.wallNow),
      ...source.warnings,
    ].map(({ message }) => message),
    rotation: source.rotation,
  };
}

function describeSubscriber(view: SubscriberView, source: FleetSource): Subscriber {
  const wallClock = (at: bigint | undefined) =>
    at === undefined ? undefined : new Date(source.wallNow - Number(source.now - at) / 1e6);
  const leaseMs = Number(view.leaseUntil - source.now) / 1e6;
  return {
    service: view.service,
    instance: view.instance,
    state: view.connected
      ? SubscriberState.SUBSCRIBER_STATE_CONNECTED
      : SubscriberState.SUBSCRIBER_STATE_LOST,
    generation: view.generation,
    fingerprintSha256: view.fingerprintSha256,
    connectedAt: wallClock(view.connectedAt),
    activeSince: view.generation === 0n ? undefined : wallClock(view.activeSince),
    leaseRemainingMs: Math.max(0, Math.round(leaseMs)),
    partitionPolicy: view.partitionPolicy || PartitionPolicy.PARTITION_POLICY_SERVE,
    version: view.version,
    roundTripMs: Number(view.roundTripNs) / 1e6,
    ports: [...view.ports],
    lagging: view.generation !== source.generation,
  };
}

/** Watchers write bytes: the service definition that serves them passes buffers through. */
export type WatchCall = ServerWritableStream<unknown, Buffer>;

interface Watcher {
  /** It has been given a snapshot that has not gone out yet. */
  reading: boolean;
  /** There is a newer one. */
  behind: boolean;
}

export class FleetFeed {
  readonly #snapshot: () => Fleet;
  readonly #watchers = new Map<WatchCall, Watcher>();
  #timer: NodeJS.Timeout | undefined;
  #lastAt = Number.NEGATIVE_INFINITY;

  constructor(snapshot: () => Fleet) {
    this.#snapshot = snapshot;
  }

  /** Tells `call` the fleet now and after each change, until it goes away. Throws RegistryError. */
  watch(call: WatchCall): void {
    if (this.#watchers.size >= LIMITS.fleetWatchers) {
      throw new RegistryError('exhausted', `${LIMITS.fleetWatchers} watch the fleet already`);
    }
    const watcher: Watcher = { reading: false, behind: false };
    this.#watchers.set(call, watcher);
    const leave = () => this.#watchers.delete(call);
    call.once('cancelled', leave);
    call.once('close', leave);
    this.#tell([[call, watcher]]);
  }

  /** The fleet or the rotation has changed. */
  changed(): void {
    if (this.#timer !== undefined || this.#watchers.size === 0) return;
    const waitMs = Math.max(0, this.#lastAt + FLEET_INTERVAL_MS - performance.now());
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#lastAt = performance.now();
      this.#tell([...this.#watchers]);
    }, waitMs);
  }

  stop(): void {
    clearTimeout(this.#timer);
    for (const call of this.#watchers.keys()) call.end();
    this.#watchers.clear();
  }

  #tell(watchers: [WatchCall, Watcher][]): void {
    let encoded: Buffer | undefined;
    for (const [call, watcher] of watchers) {
      watcher.behind = watcher.reading;
      if (watcher.reading) continue;
      encoded ??= Buffer.from(WatchFleetResponse.encode({ fleet: this.#snapshot() }).finish());
      watcher.reading = true;
      call.write(encoded, () => {
        watcher.reading = false;
        if (watcher.behind && this.#watchers.has(call)) this.#tell([[call, watcher]]);
      });
    }
  }
}
