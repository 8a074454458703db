/**
 * One registry and up to eight subscribers in a simulated world, driven through a random schedule from a
 * seed. The machines are the real ones; clocks, network, disks and processes are played here, and
 * `Rules` looks at every step. Same seed, same run.
 *
 * Faults it injects, each schedule a random choice of them, half of them close to a rotation:
 *  - messages delayed, slowly and in spikes, and so reordered across streams (in a stream order holds);
 *  - a stream breaks, what is in flight is lost, each end notices soon, late, or not at all;
 *  - partitions of a subscriber: both ways, only towards it, only from it; traffic waits, or is lost with
 *    the stream;
 *  - duplicates by reconnection: a second stream while the registry still holds the first;
 *  - the registry crashes at any moment and restarts from its disk: while it writes a commit, between the
 *    write and `committed`, between any two actions of one event, so also between two activates;
 *  - a commit fails and is known to have failed;
 *  - a subscriber crashes and restarts from its cache, which may be empty or old, under its name or another;
 *  - a subscriber says goodbye and comes back; one joins in the midst of things;
 *  - a process stalls: its clock goes on, its events wait; timers come a little early;
 *  - the registry freezes for longer than its subscribers wait, up to more than a lease: at any moment, and
 *    between any two actions of one event;
 *  - builds are slow, longer than the deadline, or fail;
 *  - clocks start anywhere and drift by up to 200 parts in a million each way;
 *  - rotations under every policy, two at once, for a service that does not exist.
 *
 * A clock that is wound on while the process runs is not played: a monotonic clock does not do it, apart
 * from machines that sleep, and those look like a stall. Nor is one that stands while the machine sleeps.
 */
import { Subscriber, type SubscriberEvent } from '@mail/certs/subscriber';
import { type Material, PartitionPolicy, RotationKind } from '@mail/proto';
import {
  Coordinator,
  type CoordinatorAction,
  type CoordinatorEvent,
  type FromSubscriber,
  type KnownSubscriber,
  type RequiredSubscribers,
  type RotateRequest,
  type ToSubscriber,
} from '../coordinator.ts';
import { EventQueue } from './event-queue.ts';
import { Random } from './random.ts';
import { RuleBroken, Rules } from './rules.ts';
import {
  DriftingClock,
  type Link,
  MS,
  nameOf,
  newWatch,
  type Process,
  promoteIfDue,
  type RegistryProcess,
  type SubscriberProcess,
} from './world.ts';

const LEASE_MS = 1_000;
const HEARTBEAT_MS = 250;
const PREPARED_LEASE_MS = 60;
const PREPARE_TIMEOUT_MS = 250;
const REPORT_TIMEOUT_MS = 250;
/** Faults happen until then. */
const TROUBLE_MS = 1_500;
/** Then every old lease runs out and every back-off ends. */
const CALM_MS = 1_500;
/** And then one more rotation has to go through. */
const FINAL_MS = 600;
/** A freeze is over by then, so that the leases it renews run out in time. */
const LAST_THAW_MS = TROUBLE_MS + 400;

/** The machines under test; a test of the simulator hands in broken ones. */
export interface Machines {
  readonly Coordinator: typeof Coordinator;
  readonly Subscriber: typeof Subscriber;
}

export const REAL_MACHINES: Machines = { Coordinator, Subscriber };

/** A broken rule: replay it with `simulate.ts --seed SEED --schedules 1 --trace`. */
export interface Failure {
  readonly seed: number;
  readonly rule: string;
  readonly detail: string;
}

/** What outlives a subscriber's process. */
interface Host {
  readonly service: string;
  instance: number;
  readonly policy: PartitionPolicy;
  cache: Material | undefined;
  process: SubscriberProcess | undefined;
  /** True time up to which nothing passes. */
  downBlockedUntil: number;
  upBlockedUntil: number;
}

export class Simulation {
  readonly seed: number;
  readonly #random: Random;
  readonly #machines: Machines;
  readonly #trace: string[] | undefined;
  readonly #queue = new EventQueue();
  readonly #rules: Rules;

  #now = 0;
  #calm = false;
  readonly #hosts: Host[] = [];
  #registry: RegistryProcess | undefined;
  #registryStarts = 0;
  #streams = 0;
  #requests = 0;

  // The registry's disk.
  #committed: Material;
  #drain: { readonly belowGeneration: bigint; readonly graceMs: number } | undefined;
  readonly #known = new Map<string, KnownSubscriber>();

  // The character of this schedule.
  readonly #latency: number;
  readonly #spikes: number;
  readonly #buildFailures: number;
  readonly #slowBuilds: number;
  readonly #commitFailures: number;

  constructor(seed: number, machines: Machines = REAL_MACHINES, trace?: string[]) {
    this.seed = seed;
    this.#random = new Random(seed);
    this.#machines = machines;
    this.#trace = trace;
    const random = this.#random;
    this.#latency = random.between(0.05, random.chance(0.3) ? 4 : 1) * MS;
    this.#spikes = random.chance(0.3) ? random.between(0, 0.2) : 0;
    this.#buildFailures = random.chance(0.3) ? random.between(0, 0.5) : 0;
    this.#slowBuilds = random.chance(0.3) ? random.between(0, 0.5) : 0;
    this.#commitFailures = random.chance(0.2) ? 0.5 : 0;
    this.#committed = this.#makeMaterial(1n);
    this.#rules = new Rules(this.#committed, BigInt(LEASE_MS * MS));
  }

  /** Plays the schedule to its end. @returns the first broken rule, or undefined. */
  run(): Failure | undefined {
    try {
      this.#plan();
      this.#play(TROUBLE_MS * MS);
      this.#calmDown();
      this.#play((TROUBLE_MS + CALM_MS) * MS);
      this.#rules.expectHealth();
      this.#rotate({ kind: 'all' }, 5);
      this.#play((TROUBLE_MS + CALM_MS + FINAL_MS) * MS);
      this.#rules.checkEnd(
        this.#registry,
        this.#hosts.map((host) => host.process),
        this.#requests,
      );
      return undefined;
    } catch (error) {
      if (!(error instanceof RuleBroken)) throw error;
      return { seed: this.seed, rule: error.rule, detail: error.message };
    }
  }

  #play(until: number): void {
    while (this.#queue.nextAt <= until) {
      this.#now = this.#queue.nextAt;
      const run = this.#queue.pop();
      for (const { process } of this.#hosts) {
        if (process !== undefined) this.#rules.checkServed(process, this.#now);
      }
      run?.();
    }
    this.#now = until;
  }

  // ---- the schedule -----------------------------------------------------------------------------

  #plan(): void {
    const random = this.#random;
    const fencing = random.pick([0, 0, 0.5, 1]);
    const count = random.chance(0.8) ? random.whole(1, 3) : random.whole(4, 8);
    for (let i = 0; i < count; i += 1) {
      const host: Host = {
        service: random.pick(['imap', 'pop', 'smtp']),
        instance: 100 * i,
        policy: random.chance(fencing)
          ? PartitionPolicy.PARTITION_POLICY_FENCE
          : PartitionPolicy.PARTITION_POLICY_SERVE,
        cache: random.chance(0.5) ? this.#committed : undefined,
        process: undefined,
        downBlockedUntil: 0,
        upBlockedUntil: 0,
      };
      this.#hosts.push(host);
      const joinsLate = i > 0 && random.chance(0.2);
      this.#at(joinsLate ? random.between(0, TROUBLE_MS) * MS : 0, () => this.#startHost(host));
    }
    this.#startRegistry();

    const moments: [number, ...number[]] = [random.between(50, 300) * MS];
    for (let i = random.whole(0, 3); i > 0; i -= 1) {
      moments.push(random.between(0, TROUBLE_MS - 100) * MS);
    }
    for (const moment of moments) {
      this.#at(moment, () => {
        this.#rotate(this.#pickPolicy(), random.chance(0.2) ? 5 : undefined);
        if (random.chance(0.1)) this.#rotate(this.#pickPolicy(), undefined);
      });
    }
    for (let i = random.whole(0, 5); i > 0; i -= 1) {
      const near = random.pick(moments) + random.between(-2, random.pick([4, 20, 100])) * MS;
      const moment = random.chance(0.7) ? near : random.between(0, TROUBLE_MS) * MS;
      this.#at(Math.max(0, Math.floor(moment)), () => this.#makeTrouble());
    }
  }

  #pickPolicy(): RequiredSubscribers {
    const roll = this.#random.next();
    if (roll < 0.55) return { kind: 'all' };
    if (roll < 0.75) return { kind: 'none' };
    const service = this.#random.pick(['imap', 'pop', 'smtp', 'ldap']);
    return { kind: 'services', services: [service] };
  }

  #makeTrouble(): void {
    const random = this.#random;
    const host = this.#hosts[random.whole(0, this.#hosts.length - 1)];
    if (host === undefined || this.#calm) return;
    const roll = random.next();
    if (roll < 0.2) this.#crashRegistryAround();
    else if (roll < 0.3) this.#crashHost(host);
    else if (roll < 0.36) this.#stopHost(host);
    else if (roll < 0.46) this.#stall(host.process, random.between(1, 300) * MS);
    else if (roll < 0.5) this.#stall(this.#registry, random.between(1, 100) * MS);
    else if (roll < 0.56) this.#freezeRegistryAround();
    else if (roll < 0.72) this.#breakLink(host.process?.link);
    else if (roll < 0.76) this.#duplicateLink(host);
    else this.#partition(host, random.between(1, random.chance(0.5) ? 100 : 1_200) * MS);
  }

  /** Everything heals and comes back. */
  #calmDown(): void {
    this.#calm = true;
    this.#log('all', 'calm');
    for (const host of this.#hosts) {
      host.downBlockedUntil = this.#now;
      host.upBlockedUntil = this.#now;
      if (host.process === undefined) this.#startHost(host);
    }
    if (this.#registry === undefined) this.#startRegistry();
    else
      Object.assign(this.#registry, {
        crashBeforeAction: undefined,
        freezeBeforeAction: undefined,
      });
  }

  // ---- the registry -----------------------------------------------------------------------------

  #startRegistry(): void {
    if (this.#registry !== undefined) return;
    this.#registryStarts += 1;
    const clock = new DriftingClock(this.#random);
    const clockId = `clock-${this.#registryStarts}`;
    this.#rules.addClock(clockId, clock);
    this.#log('registry', `starts at generation ${this.#committed.generation}`);
    const coordinator = new this.#machines.Coordinator(
      {
        clockId,
        leaseMs: LEASE_MS,
        heartbeatIntervalMs: HEARTBEAT_MS,
        preparedLeaseMs: PREPARED_LEASE_MS,
        prepareTimeoutMs: PREPARE_TIMEOUT_MS,
        minLeadMs: 4,
        maxLeadMs: 100,
        reportTimeoutMs: REPORT_TIMEOUT_MS,
      },
      { active: this.#committed, known: [...this.#known.values()], drain: this.#drain },
      clock.read(this.#now),
    );
    const process: RegistryProcess = {
      alive: true,
      clock,
      stalledUntil: 0,
      wake: 0,
      clockId,
      coordinator,
      links: new Map(),
      crashBeforeAction: undefined,
      freezeBeforeAction: undefined,
    };
    this.#registry = process;
    this.#feedRegistry(process, { kind: 'timer', now: 0n });
  }

  /** `now` of the event is filled in here. */
  #feedRegistry(process: RegistryProcess, event: CoordinatorEvent): void {
    if (!process.alive) return;
    if (this.#now < process.stalledUntil) {
      this.#at(process.stalledUntil, () => this.#feedRegistry(process, event));
      return;
    }
    const now = process.clock.read(this.#now);
    const actions = process.coordinator.handle({ ...event, now });
    this.#rules.noteRegistryEvent(process, event, this.#now);
    this.#performAll(process, actions);
  }

  #performAll(process: RegistryProcess, actions: readonly CoordinatorAction[]): void {
    for (const [index, action] of actions.entries()) {
      if (process.crashBeforeAction !== undefined) {
        process.crashBeforeAction -= 1;
        if (process.crashBeforeAction < 0) {
          this.#crashRegistry(process);
          return;
        }
      }
      const freeze = process.freezeBeforeAction;
      if (freeze !== undefined) {
        freeze.actions -= 1;
        if (freeze.actions < 0) {
          process.freezeBeforeAction = undefined;
          this.#freezeRegistry(process, freeze.forNs);
          const rest = actions.slice(index);
          // in front of everything that waits for the thaw as well
          this.#at(process.stalledUntil, () => {
            if (process.alive) this.#performAll(process, rest);
          });
          return;
        }
      }
      switch (action.kind) {
        case 'send':
          this.#rules.checkSent(process, action.message);
          this.#log('registry', () => `to ${action.to} ${show(action.message)}`);
          for (const id of action.to) {
            const link = process.links.get(id);
            if (link !== undefined) this.#sendDown(link, action.message);
          }
          break;
        case 'close': {
          this.#log('registry', `closes ${action.stream}: ${action.reason}`);
          const link = process.links.get(action.stream);
          process.links.delete(action.stream);
          if (link !== undefined) this.#breakFrom(link, 'registry');
          break;
        }
        case 'commit': {
          this.#rules.checkCommit(
            process,
            action.material,
            this.#hosts.map((host) => host.process),
            this.#now,
          );
          this.#writeCommit(process, action.material);
          break;
        }
        case 'remember':
          this.#known.set(nameOf(action.subscriber), action.subscriber);
          break;
        case 'forget':
          this.#known.delete(nameOf(action.subscriber));
          break;
        case 'refuse':
          this.#log('registry', `refuses ${action.rotationId}: ${action.code}`);
          this.#rules.noteResult(action.rotationId, undefined, this.#now);
          break;
        case 'finish':
          this.#log(
            'registry',
            () =>
              `ends ${action.rotation.id} in state ${action.rotation.state} ${action.rotation.failure}`,
          );
          this.#rules.noteResult(action.rotation.id, action.rotation, this.#now);
          break;
        case 'wakeAt': {
          process.wake += 1;
          const { wake } = process;
          this.#at(this.#timerTime(process, action.at), () => {
            if (process.wake === wake) this.#feedRegistry(process, { kind: 'timer', now: 0n });
          });
          break;
        }
        case 'violation':
          this.#rules.fail('no false alarm', `coordinator: ${action.detail}`);
          break;
        case 'stalled':
          this.#log('registry', `has stood still for ${ms(Number(action.forNs))}`);
          break;
        case 'changed':
          break;
      }
    }
  }

  #writeCommit(process: RegistryProcess, material: Material): void {
    const random = this.#random;
    const { generation } = material;
    this.#log('registry', `writes generation ${generation}`);
    const fails = !this.#calm && random.chance(this.#commitFailures);
    this.#at(this.#now + random.between(0.1, 3) * MS, () => {
      if (!process.alive) return;
      if (fails) {
        this.#feedRegistry(process, { kind: 'commitFailed', now: 0n, generation, detail: 'full' });
        return;
      }
      this.#log('registry', `generation ${generation} is durable`);
      this.#rules.noteDurable(material);
      this.#committed = material;
      const drainGraceMs = this.#rules.drainOf(material);
      if (drainGraceMs !== undefined) {
        this.#drain = { belowGeneration: generation, graceMs: drainGraceMs };
      }
      this.#at(this.#now + random.between(0, 1) * MS, () =>
        this.#feedRegistry(process, { kind: 'committed', now: 0n, generation }),
      );
    });
  }

  #rotate(require: RequiredSubscribers, drainGraceMs: number | undefined): void {
    const process = this.#registry;
    if (process === undefined) return;
    this.#requests += 1;
    const { generation: _, ...material } = this.#makeMaterial(0n);
    const request: RotateRequest = {
      id: BigInt(this.#requests),
      rotationKind: RotationKind.ROTATION_KIND_ROTATE,
      nonce: `nonce-${this.#requests}`,
      material,
      require,
      drainGraceMs,
    };
    this.#rules.noteRequest(process, request, this.#now);
    this.#log('registry', () => `rotation ${request.id}, requiring ${JSON.stringify(require)}`);
    this.#feedRegistry(process, { kind: 'rotate', now: 0n, request });
  }

  #crashRegistryAround(): void {
    const process = this.#registry;
    if (process === undefined) return;
    if (this.#random.chance(0.5)) process.crashBeforeAction = this.#random.whole(0, 8);
    else this.#crashRegistry(process);
  }

  #crashRegistry(process: RegistryProcess): void {
    this.#log('registry', 'crashes');
    process.alive = false;
    this.#registry = undefined;
    for (const link of process.links.values()) this.#breakFrom(link, 'registry');
    const restart = this.#random.between(1, this.#random.chance(0.5) ? 20 : 400) * MS;
    this.#at(this.#now + restart, () => this.#startRegistry());
  }

  #freezeRegistryAround(): void {
    const process = this.#registry;
    if (process === undefined) return;
    const outlastsLeases = this.#random.chance(0.5);
    const forNs = (outlastsLeases ? LEASE_MS : 300) * this.#random.between(1, 1.6) * MS;
    if (this.#random.chance(0.6)) {
      process.freezeBeforeAction = { actions: this.#random.whole(0, 8), forNs };
    } else this.#freezeRegistry(process, forNs);
  }

  #freezeRegistry(process: RegistryProcess, forNs: number): void {
    if (this.#now < process.stalledUntil) return;
    this.#stall(process, Math.min(forNs, LAST_THAW_MS * MS - this.#now));
    this.#rules.noteFreeze(process, this.#now, process.stalledUntil);
    if (this.#random.chance(0.5)) {
      const soonAfter = process.stalledUntil + this.#random.between(0, 20) * MS;
      this.#at(soonAfter, () => this.#rotate(this.#pickPolicy(), undefined));
    }
  }

  // ---- subscribers ------------------------------------------------------------------------------

  #startHost(host: Host): void {
    if (host.process !== undefined) return;
    const cached = host.cache;
    const name = { service: host.service, instance: `${host.instance}` };
    const process: SubscriberProcess = {
      alive: true,
      clock: new DriftingClock(this.#random),
      stalledUntil: 0,
      wake: 0,
      name,
      fences: host.policy === PartitionPolicy.PARTITION_POLICY_FENCE,
      machine: new this.#machines.Subscriber({
        ...name,
        version: '',
        partitionPolicy: host.policy,
        cached: cached && {
          generation: cached.generation,
          fingerprintSha256: cached.fingerprintSha256,
        },
        welcomeTimeoutMs: 300,
        rebuildDelayMs: 100,
        burst: 2,
      }),
      builds: new Map(),
      link: undefined,
      current: cached,
      coming: [],
      fenceFrom: Number.POSITIVE_INFINITY,
      watch: newWatch(),
    };
    host.process = process;
    this.#log(nameOf(name), () => `starts with generation ${cached?.generation ?? 0n}`);
    this.#feed(host, process, { kind: 'started', now: 0n });
    this.#connect(host, process);
  }

  #connect(host: Host, process: SubscriberProcess): void {
    if (!process.alive || process.link !== undefined) return;
    const registry = this.#registry;
    const blocked = Math.max(host.downBlockedUntil, host.upBlockedUntil) > this.#now;
    if (registry === undefined || blocked || this.#now < process.stalledUntil) {
      this.#connectSoon(host, process);
      return;
    }
    this.#streams += 1;
    const link: Link = {
      id: this.#streams,
      registry,
      subscriber: process,
      broken: false,
      lastDown: this.#now,
      lastUp: this.#now,
    };
    process.link = link;
    this.#feed(host, process, { kind: 'streamOpened', now: 0n });
  }

  #connectSoon(host: Host, process: SubscriberProcess): void {
    this.#at(this.#now + this.#random.between(1, 60) * MS, () => this.#connect(host, process));
  }

  /** `now` of the event is filled in here. */
  #feed(host: Host, process: SubscriberProcess, event: SubscriberEvent): void {
    if (!process.alive) return;
    if (this.#now < process.stalledUntil) {
      this.#at(process.stalledUntil, () => this.#feed(host, process, event));
      return;
    }
    const random = this.#random;
    const actions = process.machine.handle({ ...event, now: process.clock.read(this.#now) });
    const who = nameOf(process.name);
    for (const action of actions) {
      switch (action.kind) {
        case 'send':
          if (process.link !== undefined) this.#sendUp(process.link, action.message);
          break;
        case 'build': {
          const { build, material } = action;
          process.builds.set(build, { material, done: false });
          const slow = !this.#calm && random.chance(this.#slowBuilds);
          const fails = !this.#calm && random.chance(this.#buildFailures);
          const took = random.between(0.2, slow ? 400 : 5) * MS;
          this.#at(this.#now + took, () => {
            const started = process.builds.get(build);
            if (started === undefined) return;
            started.done = !fails;
            const { fingerprintSha256 } = material;
            this.#feed(
              host,
              process,
              fails
                ? { kind: 'buildFailed', now: 0n, build, code: 'unusable-material', detail: '' }
                : { kind: 'built', now: 0n, build, fingerprintSha256 },
            );
          });
          break;
        }
        case 'discard':
          process.builds.delete(action.build);
          break;
        case 'schedule': {
          const built = process.builds.get(action.build);
          if (built?.done !== true) this.#rules.fail('built before served', who);
          const at = this.#trueTime(process, action.at);
          process.coming = process.coming.filter((earlier) => earlier.at < at);
          process.coming.push({ material: built.material, at });
          this.#log(who, () => `will serve ${action.generation} at ${ms(at)}`);
          break;
        }
        case 'fenceFrom':
          process.fenceFrom =
            action.at === undefined ? Number.POSITIVE_INFINITY : this.#trueTime(process, action.at);
          break;
        case 'persist': {
          promoteIfDue(process, this.#now);
          const material = process.current;
          this.#at(this.#now + random.between(0, 2) * MS, () => {
            if (process.alive) host.cache = material;
          });
          break;
        }
        case 'probe': {
          const { generation } = action;
          this.#at(this.#now + random.between(0.2, 3) * MS, () => {
            const seen = process.current?.fingerprintSha256 ?? '';
            const ports = [{ listener: who, fingerprintSha256: seen, error: '' }];
            this.#feed(host, process, { kind: 'probed', now: 0n, generation, ports });
          });
          break;
        }
        case 'drain':
          this.#rules.noteDrain(process, action.belowGeneration, this.#now);
          break;
        case 'wakeAt': {
          process.wake += 1;
          const { wake } = process;
          this.#at(this.#timerTime(process, action.at), () => {
            if (process.wake === wake) this.#feed(host, process, { kind: 'timer', now: 0n });
          });
          break;
        }
        case 'reconnect': {
          this.#log(who, `reconnects: ${action.reason}, ${action.detail}`);
          const { link } = process;
          process.link = undefined;
          if (link !== undefined) this.#breakFrom(link, 'subscriber');
          this.#at(this.#now, () => this.#feed(host, process, { kind: 'streamLost', now: 0n }));
          this.#connectSoon(host, process);
          break;
        }
        case 'violation':
          this.#rules.fail('no false alarm', `${who}: ${action.detail}`);
          break;
        case 'setStale':
          this.#log(who, action.stale ? 'is stale' : 'is fresh');
          break;
        case 'setFenced':
          this.#log(who, action.fenced ? 'is fenced' : 'is not fenced');
          break;
        case 'promoted':
          this.#log(who, `serves ${action.generation}`);
          break;
      }
    }
  }

  #crashHost(host: Host): void {
    const { process } = host;
    if (process === undefined) return;
    this.#log(nameOf(process.name), 'crashes');
    this.#endHost(host, process);
    if (process.link !== undefined) this.#breakFrom(process.link, 'subscriber');
  }

  #stopHost(host: Host): void {
    const { process } = host;
    if (process === undefined || this.#now < process.stalledUntil) return;
    this.#log(nameOf(process.name), 'says goodbye');
    this.#endHost(host, process);
    const { link } = process;
    if (link === undefined) return;
    const at = this.#arrival(link.lastUp, host.upBlockedUntil);
    this.#at(at, () => {
      if (link.broken) return;
      link.broken = true;
      this.#loseAtRegistry(link, true);
    });
  }

  #endHost(host: Host, process: SubscriberProcess): void {
    process.alive = false;
    host.process = undefined;
    if (this.#random.chance(0.3)) host.instance += 1;
    this.#at(this.#now + this.#random.between(1, 500) * MS, () => this.#startHost(host));
  }

  // ---- the network ------------------------------------------------------------------------------

  #delay(): number {
    const spike = !this.#calm && this.#random.chance(this.#spikes);
    return (
      this.#latency * this.#random.between(0.5, 1.5) +
      (spike ? this.#random.between(1, 60) * MS : 0)
    );
  }

  #arrival(last: number, blockedUntil: number): number {
    return Math.max(last, Math.floor(Math.max(this.#now, blockedUntil) + this.#delay()));
  }

  #sendDown(link: Link, message: ToSubscriber): void {
    const host = this.#hostOf(link.subscriber);
    if (link.broken || host === undefined) return;
    link.lastDown = this.#arrival(link.lastDown, host.downBlockedUntil);
    this.#at(link.lastDown, () => this.#deliverDown(host, link, message));
  }

  #deliverDown(host: Host, link: Link, message: ToSubscriber): void {
    const process = link.subscriber;
    if (this.#now < process.stalledUntil) {
      this.#at(process.stalledUntil, () => this.#deliverDown(host, link, message));
      return;
    }
    if (link.broken || process.link !== link || !process.alive) return;
    this.#log(nameOf(process.name), () => `hears ${show(message)}`);
    this.#feed(host, process, { kind: 'message', now: 0n, message });
    this.#rules.noteHeard(process, link.registry, message, this.#now);
  }

  #sendUp(link: Link, message: FromSubscriber): void {
    const host = this.#hostOf(link.subscriber);
    if (link.broken || host === undefined) return;
    this.#log(nameOf(link.subscriber.name), () => `says ${show(message)}`);
    link.lastUp = this.#arrival(link.lastUp, host.upBlockedUntil);
    this.#at(link.lastUp, () => {
      const process = link.registry;
      if (link.broken || !process.alive) return;
      if (message.$case === 'hello') {
        process.links.set(link.id, link);
        const hello = message.value;
        this.#feedRegistry(process, { kind: 'connected', now: 0n, stream: link.id, hello });
      } else {
        this.#feedRegistry(process, { kind: 'message', now: 0n, stream: link.id, message });
      }
    });
  }

  /** The network breaks it; each end finds out in its own time, or has to miss the other. */
  #breakLink(link: Link | undefined): void {
    if (link === undefined) return;
    this.#log(nameOf(link.subscriber.name), `stream ${link.id} breaks`);
    this.#breakFrom(link, undefined);
  }

  /** `by` has closed it and knows. */
  #breakFrom(link: Link, by: 'registry' | 'subscriber' | undefined): void {
    if (link.broken) return;
    link.broken = true;
    const notice = () =>
      this.#now + this.#random.between(0, this.#random.chance(0.6) ? 5 : 300) * MS;
    const silent = by === undefined && this.#random.chance(0.3);
    if (by !== 'registry' && !silent) this.#at(notice(), () => this.#loseAtRegistry(link, false));
    if (by !== 'subscriber' && !(by === undefined && this.#random.chance(0.3))) {
      this.#at(notice(), () => this.#loseAtSubscriber(link));
    }
  }

  #loseAtRegistry(link: Link, goodbye: boolean): void {
    const process = link.registry;
    if (!process.alive || !process.links.delete(link.id)) return;
    this.#log('registry', `loses ${link.id}${goodbye ? ' by goodbye' : ''}`);
    this.#feedRegistry(process, { kind: 'lost', now: 0n, stream: link.id, goodbye });
  }

  #loseAtSubscriber(link: Link): void {
    const process = link.subscriber;
    const host = this.#hostOf(process);
    if (!process.alive || process.link !== link || host === undefined) return;
    if (this.#now < process.stalledUntil) {
      this.#at(process.stalledUntil, () => this.#loseAtSubscriber(link));
      return;
    }
    process.link = undefined;
    this.#log(nameOf(process.name), `loses stream ${link.id}`);
    this.#feed(host, process, { kind: 'streamLost', now: 0n });
    this.#connectSoon(host, process);
  }

  /** The subscriber gives up its stream and connects at once; the registry still holds the old one. */
  #duplicateLink(host: Host): void {
    const { process } = host;
    if (process?.link === undefined || this.#now < process.stalledUntil) return;
    const { link } = process;
    link.broken = true;
    this.#loseAtSubscriber(link);
    this.#connect(host, process);
  }

  #partition(host: Host, forNs: number): void {
    const until = this.#now + forNs;
    const way = this.#random.pick(['both', 'down', 'up']);
    this.#log(`${host.service}/${host.instance}`, `cut off ${way} until ${ms(until)}`);
    if (way !== 'up') host.downBlockedUntil = Math.max(host.downBlockedUntil, until);
    if (way !== 'down') host.upBlockedUntil = Math.max(host.upBlockedUntil, until);
    // Traffic that waits passes afterwards, unless the connection does not live to see it.
    if (this.#random.chance(0.5)) this.#breakLink(host.process?.link);
  }

  #stall(process: Process | undefined, forNs: number): void {
    // one at a time: what waits for the end of one must not come behind what came during another
    if (process === undefined || this.#now < process.stalledUntil) return;
    this.#log('a process', `stalls for ${ms(forNs)}`);
    // Half a nanosecond keeps what was due before in front of what is due just then.
    process.stalledUntil = Math.floor(this.#now + forNs) + 0.5;
  }

  // ---- the rest ---------------------------------------------------------------------------------

  #hostOf(process: SubscriberProcess): Host | undefined {
    return this.#hosts.find((host) => host.process === process);
  }

  /** When the process's clock shows `reading`; what it has shown already is now. */
  #trueTime({ clock }: Process, reading: bigint): number {
    return reading <= clock.read(this.#now) ? this.#now : clock.when(reading);
  }

  #timerTime(process: Process, reading: bigint): number {
    const early = this.#random.chance(0.02) ? this.#random.between(0, 1) * MS : 0;
    return Math.floor(this.#trueTime(process, reading) - early);
  }

  #makeMaterial(generation: bigint): Material {
    const ticketSeed = Buffer.allocUnsafe(8);
    ticketSeed.writeUInt32LE(this.#random.whole(0, 2 ** 32 - 1), 0);
    ticketSeed.writeUInt32LE(this.#random.whole(0, 2 ** 32 - 1), 4);
    const label = `certificate-${this.#requests}`;
    return {
      generation,
      certificateId: label,
      chainPem: label,
      privateKeyPem: '',
      ticketSeed,
      fingerprintSha256: label,
    };
  }

  #at(at: number, run: () => void): void {
    this.#queue.push(Math.max(at, this.#now), run);
  }

  #log(who: string, what: string | (() => string)): void {
    this.#trace?.push(
      `${ms(this.#now).padStart(12)} ${who}: ${typeof what === 'string' ? what : what()}`,
    );
  }
}

function ms(ns: number): string {
  return `${(ns / MS).toFixed(3)} ms`;
}

function show(message: ToSubscriber | FromSubscriber): string {
  return `${message.$case} ${JSON.stringify(message.value, (key, value: unknown) =>
    key === 'ticketSeed' || key === 'privateKeyPem' || key === 'chainPem'
      ? undefined
      : typeof value === 'bigint'
        ? Number(value)
        : value,
  )}`;
}
