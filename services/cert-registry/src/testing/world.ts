/** The things of the simulated world: clocks, processes and the connections between them. */
import type { BuildId, Subscriber } from '@mail/certs/subscriber';
import type { Material } from '@mail/proto';
import type { Coordinator, StreamId } from '../coordinator.ts';
import type { Random } from './random.ts';

/** Nanoseconds in a millisecond: true time is a number of nanoseconds since the schedule began. */
export const MS = 1_000_000;

/** A process's monotonic clock: begins anywhere, runs a little fast or slow. Nanoseconds. */
export class DriftingClock {
  readonly #start: number;
  readonly #rate: number;

  constructor(random: Random) {
    this.#start = random.whole(1, 1_000_000) * MS;
    this.#rate = 1 + random.between(-200, 200) / 1_000_000;
  }

  read(trueTime: number): bigint {
    return BigInt(this.#start + Math.floor(trueTime * this.#rate));
  }

  /** The first true instant at which the clock shows `reading` or more. */
  when(reading: bigint): number {
    let at = Math.ceil((Number(reading) - this.#start) / this.#rate);
    while (this.read(at) < reading) at += 1;
    return at;
  }
}

/** One TCP connection with its stream. */
export interface Link {
  readonly id: StreamId;
  readonly registry: RegistryProcess;
  readonly subscriber: SubscriberProcess;
  /** Nothing passes any more, whoever has noticed. */
  broken: boolean;
  lastDown: number;
  lastUp: number;
}

export interface Process {
  alive: boolean;
  readonly clock: DriftingClock;
  stalledUntil: number;
  /** Tells the newest wakeAt from those that it replaced. */
  wake: number;
}

export interface RegistryProcess extends Process {
  readonly clockId: string;
  readonly coordinator: Coordinator;
  readonly links: Map<StreamId, Link>;
  /** Crash before the action of that number; counted down. */
  crashBeforeAction: number | undefined;
  /** Freeze before the action of that number, for so long; counted down. */
  freezeBeforeAction: { actions: number; readonly forNs: number } | undefined;
}

export interface Build {
  readonly material: Material;
  done: boolean;
}

export interface SubscriberProcess extends Process {
  readonly name: { readonly service: string; readonly instance: string };
  readonly fences: boolean;
  readonly machine: Subscriber;
  readonly builds: Map<BuildId, Build>;
  link: Link | undefined;
  // The holder of the current material, with its instants in true time.
  current: Material | undefined;
  coming: { readonly material: Material; readonly at: number }[];
  fenceFrom: number;
  readonly watch: Watch;
}

/** What the rules remember of a subscriber's process. */
export interface Watch {
  /** How wrong its idea of a generation's instant may be, for those that it was told of. */
  readonly errors: Map<bigint, number>;
  /** From `mustFrom` on it serves this generation or a later one: it was ready and heard Activate. */
  mustServe: bigint;
  mustFrom: number;
  /** The newest generation whose policy left it out, so that the fence makes no promise for it. */
  leftOut: bigint;
  drained: bigint;
}

export function newWatch(): Watch {
  return { errors: new Map(), mustServe: 0n, mustFrom: 0, leftOut: 0n, drained: 0n };
}

/** What the holder of the current material does at a handshake: compare the clock. */
export function promoteIfDue(process: SubscriberProcess, now: number): void {
  for (let next = process.coming[0]; next && next.at <= now; next = process.coming[0]) {
    process.coming.shift();
    process.current = next.material;
  }
}

export function nameOf({ service, instance }: { service: string; instance: string }): string {
  return `${service}/${instance}`;
}
