/**
 * The rules of the switch, checked from outside at every step of a simulation. They see the true time and
 * every process, and trust neither machine: what was sent, written and served is what counts.
 */
import { type Material, RotationState, SubscriberPhase } from '@mail/proto';
import type {
  CoordinatorEvent,
  RotateRequest,
  RotationView,
  StreamId,
  ToSubscriber,
} from '../coordinator.ts';
import {
  type DriftingClock,
  nameOf,
  promoteIfDue,
  type RegistryProcess,
  type SubscriberProcess,
  type Watch,
} from './world.ts';

/** Thrown at the step that breaks a rule. */
export class RuleBroken extends Error {
  readonly rule: string;

  constructor(rule: string, detail: string) {
    super(detail);
    this.rule = rule;
  }
}

/** A durable generation. */
interface Switch {
  readonly generation: bigint;
  readonly material: Material;
  /** True time of the earliest instant told to anybody; never, while nobody was told. */
  instant: number;
  /** What each registry process told, on its clock. */
  readonly told: Map<RegistryProcess, bigint>;
}

interface Requested {
  readonly request: RotateRequest;
  readonly process: RegistryProcess;
  /** Who refused its material, by name, while it was being prepared. */
  readonly rejectedBy: Set<string>;
  /** When it was asked, on the clock of `process`. */
  readonly at: bigint;
  results: number;
  state: RotationState | undefined;
}

/** What one registry process has heard of a subscriber, on its own clock. */
interface Heard {
  readonly connectedAt: bigint;
  /** Its last sign of life; undefined once it has said goodbye. */
  at: bigint | undefined;
  /** The newest generation that each of its ports was seen to serve. */
  proved: bigint;
}

/** Two clocks may drift apart by this share of the time that passes. */
const DRIFT = 400 / 1_000_000;
const ROUNDING_NS = 2_000;

export class Rules {
  readonly #switches: Switch[];
  readonly #seeds = new Set<string>();
  readonly #clocks = new Map<string, DriftingClock>();
  readonly #requests = new Map<bigint, Requested>();
  readonly #requestOf = new Map<string, Requested>();
  /** The newest stream's alone: what comes on one that it has replaced counts for nothing. */
  readonly #heard = new WeakMap<RegistryProcess, Map<string, Heard>>();
  readonly #heardOn = new Map<StreamId, Heard>();
  readonly #lease: bigint;
  #healthy = false;

  /** `lease` is that of the registry, in nanoseconds. */
  constructor(first: Material, lease: bigint) {
    this.#lease = lease;
    this.#switches = [
      { generation: first.generation, material: first, instant: 0, told: new Map() },
    ];
    this.#seeds.add(first.ticketSeed.toString('hex'));
  }

  fail(rule: string, detail: string): never {
    throw new RuleBroken(rule, detail);
  }

  addClock(clockId: string, clock: DriftingClock): void {
    this.#clocks.set(clockId, clock);
  }

  /** Trouble is so long over that nobody has a reason to refuse a handshake any more. */
  expectHealth(): void {
    this.#healthy = true;
  }

  // ---- what is served ---------------------------------------------------------------------------

  /** A handshake starts now, on this process. */
  checkServed(process: SubscriberProcess, now: number): void {
    // A stalled process starts no handshake, and the first after it finds the clock where it is.
    if (now < process.stalledUntil) return;
    promoteIfDue(process, now);
    const served = process.current;
    if (served === undefined) return;
    if (now >= process.fenceFrom) {
      if (this.#healthy) this.fail('no handshake fails because of a switch', nameOf(process.name));
      return;
    }
    const { watch } = process;
    const { generation } = served;
    let index = this.#switches.length - 1;
    for (; index >= 0; index -= 1) {
      const later = this.#switches[index];
      if (later === undefined || later.generation <= generation) break;
      if (
        process.fences &&
        later.generation > watch.leftOut &&
        now > later.instant + errorOf(watch, later.generation) + ROUNDING_NS
      ) {
        const detail = `${nameOf(process.name)} serves ${generation} after the instant of ${later.generation}`;
        this.fail('no fencing subscriber serves older material after the instant', detail);
      }
    }
    const committed = this.#switches[index];
    if (committed?.material !== served) {
      const detail = `${nameOf(process.name)} serves generation ${generation}`;
      this.fail('nobody serves what is not committed', detail);
    }
    if (now < committed.instant - errorOf(watch, generation)) {
      const detail = `${nameOf(process.name)} serves ${generation} ${committed.instant - now} ns early`;
      this.fail('nobody swaps before the instant', detail);
    }
    if (generation < watch.mustServe && now > watch.mustFrom) {
      const detail = `${nameOf(process.name)} serves ${generation}, not ${watch.mustServe}`;
      this.fail('who was ready and heard activate serves nothing older after the instant', detail);
    }
  }

  noteHeard(
    process: SubscriberProcess,
    registry: RegistryProcess,
    message: ToSubscriber,
    now: number,
  ): void {
    const { clock } = process.machine.status;
    if (clock === undefined) return;
    if (message.$case === 'heartbeatAck' || message.$case === 'welcome') {
      const offset = registry.clock.read(now) - process.clock.read(now);
      const error = offset - clock.offsetNs;
      if ((error < 0n ? -error : error) > clock.errorNs + 1_000n) {
        const detail = `${nameOf(process.name)}: off by ${error}, by its own word ${clock.errorNs}`;
        this.fail('the clock estimate is as good as it says', detail);
      }
    }
    if (message.$case !== 'welcome' && message.$case !== 'activate') return;
    const [generation, atNs] =
      message.$case === 'welcome'
        ? [message.value.material?.generation ?? 0n, message.value.activateAtNs]
        : [message.value.generation, message.value.atNs];
    const { watch } = process;
    const instant = registry.clock.when(atNs);
    const error = Number(clock.errorNs) + Math.max(0, instant - now) * DRIFT + ROUNDING_NS;
    watch.errors.set(generation, Math.max(error, errorOf(watch, generation)));
    const material = this.#switchOf(generation)?.material;
    for (const build of process.builds.values()) {
      if (message.$case !== 'activate' || !build.done || build.material !== material) continue;
      watch.mustServe = generation;
      watch.mustFrom = Math.max(now, instant) + errorOf(watch, generation);
    }
  }

  noteDrain(process: SubscriberProcess, belowGeneration: bigint, now: number): void {
    promoteIfDue(process, now);
    if (belowGeneration > (process.current?.generation ?? 0n)) {
      const detail = `${nameOf(process.name)} drains below ${belowGeneration}`;
      this.fail('only older generations are drained', detail);
    }
    process.watch.drained = belowGeneration;
  }

  // ---- what the registry sends and writes -------------------------------------------------------

  checkSent(process: RegistryProcess, message: ToSubscriber): void {
    if (message.$case === 'prepare') {
      const generation = message.value.material?.generation ?? 0n;
      if (generation <= this.#newest.generation) {
        this.fail('numbers only grow', `generation ${generation} is prepared again`);
      }
    } else if (message.$case === 'activate') {
      this.#tell(process, message.value.generation, message.value.atNs);
    } else if (message.$case === 'welcome') {
      const { material, activateAtNs } = message.value;
      const generation = material?.generation ?? 0n;
      this.#tell(process, generation, activateAtNs);
      if (material !== this.#newest.material) {
        this.fail('welcome brings what is committed', `generation ${generation}`);
      }
    }
  }

  #tell(process: RegistryProcess, generation: bigint, atNs: bigint): void {
    const next = this.#switchOf(generation);
    if (next === undefined) {
      this.fail('a generation is durable before anybody hears of it', `generation ${generation}`);
    }
    const before = next.told.get(process);
    if (before !== undefined && before !== atNs) {
      this.fail('a generation has one instant', `${generation}: ${before}, then ${atNs}`);
    }
    next.told.set(process, atNs);
    next.instant = Math.min(next.instant, process.clock.when(atNs));
  }

  /** After the machine has taken it, before what it wants is done. */
  noteRegistryEvent(process: RegistryProcess, event: CoordinatorEvent, now: number): void {
    this.#hear(process, event, process.clock.read(now));
    if (event.kind !== 'message' || event.message.$case !== 'rejected') return;
    const { nonce } = event.message.value;
    const link = process.links.get(event.stream);
    if (link === undefined) return;
    for (const { request, rejectedBy } of this.#requests.values()) {
      if (request.nonce === nonce) rejectedBy.add(nameOf(link.subscriber.name));
    }
  }

  #hear(process: RegistryProcess, event: CoordinatorEvent, at: bigint): void {
    if (event.kind === 'connected') {
      const { stream, hello } = event;
      const heard = this.#heard.get(process) ?? new Map<string, Heard>();
      const proved = heard.get(nameOf(hello))?.proved ?? 0n;
      const fresh: Heard = { connectedAt: at, at, proved };
      this.#heard.set(process, heard.set(nameOf(hello), fresh));
      this.#heardOn.set(stream, fresh);
    } else if (event.kind === 'lost') {
      const heard = this.#heardOn.get(event.stream);
      if (heard !== undefined && event.goodbye) heard.at = undefined;
    } else if (event.kind === 'message') {
      const heard = this.#heardOn.get(event.stream);
      if (heard === undefined) return;
      if (event.message.$case === 'heartbeat') heard.at = at;
      if (event.message.$case !== 'verified') return;
      const { generation, ports } = event.message.value;
      const wanted = this.#switchOf(generation)?.material.fingerprintSha256;
      const served = ports.map(({ fingerprintSha256 }) => fingerprintSha256);
      const proves = served.length > 0 && served.every((seen) => seen === wanted);
      heard.proved = proves ? generation : 0n;
    }
  }

  /** The coordinator decides to commit: everybody required has to hold the new material. */
  checkCommit(
    registry: RegistryProcess,
    material: Material,
    processes: readonly (SubscriberProcess | undefined)[],
    now: number,
  ): void {
    const requested = this.#requestOf.get(material.certificateId);
    if (requested === undefined) return;
    const { require } = requested.request;
    const outcomes = registry.coordinator.rotation?.outcomes ?? [];
    for (const process of processes) {
      if (process === undefined) continue;
      const name = nameOf(process.name);
      const required =
        require.kind === 'all' ||
        (require.kind === 'services' && require.services.includes(process.name.service));
      if (!required) {
        const outcome = outcomes.find((one) => nameOf(one) === name);
        const ready = outcome?.phase === SubscriberPhase.SUBSCRIBER_PHASE_READY;
        if (outcome !== undefined && !ready) process.watch.leftOut = material.generation;
        continue;
      }
      if (requested.rejectedBy.has(name)) {
        this.fail('what a required subscriber rejects is not committed', name);
      }
      const { generation, stale } = process.machine.status;
      const leased = generation > 0n && !stale && now >= process.stalledUntil;
      const holds = [...process.builds.values()].some(
        (build) => build.done && build.material === material,
      );
      if (leased && !holds) {
        this.fail(
          'nothing is committed while a required subscriber with a lease is not ready',
          name,
        );
      }
    }
  }

  noteDurable(material: Material): void {
    if (material.generation <= this.#newest.generation) {
      this.fail('numbers only grow', `${material.generation} after ${this.#newest.generation}`);
    }
    const seed = material.ticketSeed.toString('hex');
    if (this.#seeds.has(seed)) {
      this.fail('each generation has its own ticket seed', `generation ${material.generation}`);
    }
    if (this.#requestOf.get(material.certificateId)?.state !== undefined) {
      this.fail('what has ended is not committed', `generation ${material.generation}`);
    }
    this.#seeds.add(seed);
    this.#switches.push({
      generation: material.generation,
      material,
      instant: Number.POSITIVE_INFINITY,
      told: new Map(),
    });
  }

  /**
   * It hears nobody up to the thaw: silence in that time is no sign that somebody has gone. Two wakes are
   * missed within it for certain, so that the machine knows of it.
   */
  noteFreeze(process: RegistryProcess, from: number, thaw: number): void {
    const now = process.clock.read(from);
    const hearsAgain = process.clock.read(thaw);
    for (const heard of this.#heard.get(process)?.values() ?? []) {
      if (heard.at !== undefined && now - heard.at < this.#lease) heard.at = hearsAgain;
    }
  }

  // ---- results ----------------------------------------------------------------------------------

  noteRequest(process: RegistryProcess, request: RotateRequest, now: number): void {
    const requested: Requested = {
      request,
      process,
      at: process.clock.read(now),
      rejectedBy: new Set(),
      results: 0,
      state: undefined,
    };
    this.#requests.set(request.id, requested);
    this.#requestOf.set(request.material.certificateId, requested);
  }

  /** The result of a request: how the rotation ended, or undefined when it was refused. */
  noteResult(id: bigint, rotation: RotationView | undefined, now: number): void {
    const requested = this.#requests.get(id);
    if (requested === undefined) return;
    requested.results += 1;
    if (requested.results > 1) this.fail('a request has one result', `request ${id} has more`);
    requested.state = rotation?.state ?? RotationState.ROTATION_STATE_UNSPECIFIED;
    const { certificateId } = requested.request.material;
    const committed = this.#switches.some((one) => one.material.certificateId === certificateId);
    const switched =
      rotation?.state === RotationState.ROTATION_STATE_VERIFIED ||
      rotation?.state === RotationState.ROTATION_STATE_INCOMPLETE;
    if (committed !== switched) {
      const detail = `request ${id} ended in state ${rotation?.state}, committed: ${committed}`;
      this.fail('the result says whether anything was switched', detail);
    }
    if (rotation?.state === RotationState.ROTATION_STATE_VERIFIED) {
      this.#checkProof(requested, rotation, requested.process.clock.read(now));
    }
  }

  /** Whoever took part, and is heard of still, has shown the generation on every port. */
  #checkProof({ process, at }: Requested, rotation: RotationView, now: bigint): void {
    const listed = new Set(rotation.outcomes.map(nameOf));
    for (const [name, heard] of this.#heard.get(process) ?? []) {
      const tookPart = listed.has(name) || heard.connectedAt < at;
      const isThere = heard.at !== undefined && now - heard.at < this.#lease;
      if (!tookPart || !isThere || heard.proved === rotation.toGeneration) continue;
      const detail = `${name} has not shown ${rotation.toGeneration}`;
      this.fail('verified means that everybody who is still there has proved it', detail);
    }
  }

  drainOf(material: Material): number | undefined {
    return this.#requestOf.get(material.certificateId)?.request.drainGraceMs;
  }

  /** Trouble is long over, and the last request was a rotation that required everybody. */
  checkEnd(
    registry: RegistryProcess | undefined,
    processes: readonly (SubscriberProcess | undefined)[],
    lastRequest: number,
  ): void {
    const rule = 'the fleet converges when trouble is over';
    const { material, generation } = this.#newest;
    const last = this.#requests.get(BigInt(lastRequest));
    if (last?.state !== RotationState.ROTATION_STATE_VERIFIED) {
      this.fail(rule, `the last rotation ended in state ${last?.state}`);
    }
    for (const { request, process, results } of this.#requests.values()) {
      if (results === 0 && process === registry) {
        this.fail('a request has one result', `request ${request.id} has none`);
      }
    }
    for (const process of processes) {
      if (process === undefined) this.fail(rule, 'a process did not come back');
      const name = nameOf(process.name);
      const { connected, stale, fenced } = process.machine.status;
      if (process.current !== material) {
        this.fail(rule, `${name} serves ${process.current?.generation}, not ${generation}`);
      }
      if (!connected || stale || fenced) {
        this.fail(rule, `${name}: connected ${connected}, stale ${stale}, fenced ${fenced}`);
      }
      if (process.watch.drained !== generation) this.fail(rule, `${name} has not drained`);
    }
  }

  get #newest(): Switch {
    const newest = this.#switches.at(-1);
    if (newest === undefined) throw new Error('the first generation is always there');
    return newest;
  }

  #switchOf(generation: bigint): Switch | undefined {
    return this.#switches.findLast((one) => one.generation === generation);
  }
}

function errorOf(watch: Watch, generation: bigint): number {
  return watch.errors.get(generation) ?? 0;
}
