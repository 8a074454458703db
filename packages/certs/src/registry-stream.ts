/**
 * The shell around the subscriber machine: the stream to the registry with its reconnects, the clock,
 * the timer, and the doing of what the machine says. What to do and when is the machine's alone.
 */
import { status as grpcStatus, type ServiceError } from '@grpc/grpc-js';
import type { Material as MaterialMessage, PartitionPolicy, PortObservation } from '@mail/proto';
import type { Logger } from '@mail/service';
import type { CurrentMaterial, MonotonicClock } from './current-material.ts';
import { CertsError } from './errors.ts';
import { buildMaterial, type Material, refuseExpired, warnIfExpired } from './material.ts';
import type { RegistryCall } from './registry-client.ts';
import {
  type BuildId,
  Subscriber,
  type SubscriberAction,
  type SubscriberEvent,
  type SubscriberStatus,
} from './subscriber.ts';

/** Between two attempts to reach the registry, doubled from the first figure to the second. */
const BACK_OFF_MS = { least: 100, most: 10_000 };

export interface RegistryStreamOptions {
  readonly service: string;
  readonly instance: string;
  readonly version: string;
  readonly partitionPolicy: PartitionPolicy;
  /** What the current material already serves from the cache, if it does. */
  readonly cached: MaterialMessage | undefined;
  readonly current: CurrentMaterial;
  /** The clock that `current` compares with. */
  readonly now: MonotonicClock;
  /** From 0 up to 1, as Math.random. */
  readonly random: () => number;
  /** Opens one stream, with the identity as it is then. */
  readonly open: () => RegistryCall;
  readonly probe: () => Promise<readonly PortObservation[]>;
  readonly persist: (material: MaterialMessage) => void;
  readonly onDrain: (drain: DrainRequest) => void;
  /** Called after each event. */
  readonly onStatus: (status: SubscriberStatus) => void;
  readonly logger: Logger;
}

/** Connections made under generations below this one are to end, in the protocol's own words. */
export interface DrainRequest {
  readonly belowGeneration: number;
  /** How long to wait before. */
  readonly graceMs: number;
}

interface Build {
  readonly message: MaterialMessage;
  /** Undefined while it is under way. */
  material: Material | undefined;
}

type WithoutNow<E> = E extends SubscriberEvent ? Omit<E, 'now'> : never;
type Happening = WithoutNow<SubscriberEvent>;

export class RegistryStream {
  readonly #options: RegistryStreamOptions;
  readonly #machine: Subscriber;
  readonly #builds = new Map<BuildId, Build>();
  /** What a later persist may ask for, by generation. */
  readonly #held = new Map<bigint, MaterialMessage>();
  readonly #happenings: Happening[] = [];
  #handling = false;
  #closed = false;
  #call: RegistryCall | undefined;
  #opened = false;
  /** Whether the registry was called at all. */
  #asked = false;
  #attempts = 0;
  #reconnectTimer: NodeJS.Timeout | undefined;
  #wakeTimer: NodeJS.Timeout | undefined;

  constructor(options: RegistryStreamOptions) {
    const { service, instance, version, partitionPolicy, cached } = options;
    this.#options = options;
    this.#machine = new Subscriber({ service, instance, version, partitionPolicy, cached });
    if (cached !== undefined) this.#held.set(cached.generation, cached);
  }

  /** Before the first handshake under cached material: with FENCE there may be none yet. */
  start(): void {
    this.#feed({ kind: 'started' });
    this.#connect();
  }

  get status(): SubscriberStatus {
    return this.#machine.status;
  }

  /** Ends the stream and opens another at once, for example under a new identity. */
  reconnect(): void {
    if (this.#call !== undefined) this.#end(this.#call, undefined);
  }

  /** Probes the listeners once more and reports it, for example because they have just opened. */
  async probeAgain(): Promise<void> {
    const { generation } = this.#machine.status;
    if (generation > 0n) await this.#probe(generation);
  }

  /** The message that this generation was built from, as long as it is in force or to come. */
  messageOf(generation: bigint): MaterialMessage | undefined {
    return this.#held.get(generation);
  }

  /** Leaves the fleet, with a goodbye where there is somebody to hear it. Idempotent; never rejects. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#reconnectTimer);
    clearTimeout(this.#wakeTimer);
    const call = this.#call;
    this.#call = undefined;
    if (this.#opened) await call?.leave();
    else call?.close();
  }

  // ---- events and actions ------------------------------------------------------------------------

  /** One event after the other, also where carrying out an action brings the next. */
  #feed(happening: Happening): void {
    if (this.#closed) return;
    this.#happenings.push(happening);
    if (this.#handling) return;
    this.#handling = true;
    try {
      for (let next = this.#happenings.shift(); next; next = this.#happenings.shift()) {
        const event = { ...next, now: this.#options.now() } as SubscriberEvent;
        for (const action of this.#machine.handle(event)) this.#carryOut(action);
        this.#options.onStatus(this.#machine.status);
      }
    } finally {
      this.#handling = false;
    }
  }

  #carryOut(action: SubscriberAction): void {
    const { current, logger } = this.#options;
    switch (action.kind) {
      case 'send':
        this.#call?.stream.write({ message: action.message });
        return;
      case 'build':
        void this.#build(action.build, action.material);
        return;
      case 'discard':
        this.#builds.delete(action.build);
        return;
      case 'schedule':
        this.#schedule(action.build, action.at);
        return;
      case 'fenceFrom':
        current.fenceFrom(action.at);
        return;
      case 'setStale':
        this.#tellStale(action.stale);
        return;
      case 'setFenced':
        if (action.fenced) logger.error('cut off from the registry: refusing new handshakes');
        return;
      case 'promoted':
        this.#notePromoted(action.generation);
        return;
      case 'persist': {
        const message = this.#held.get(action.generation);
        if (message !== undefined) this.#options.persist(message);
        return;
      }
      case 'probe':
        void this.#probe(action.generation);
        return;
      case 'drain':
        this.#options.onDrain({
          belowGeneration: Number(action.belowGeneration),
          graceMs: action.graceMs,
        });
        return;
      case 'wakeAt':
        this.#wakeAt(action.at);
        return;
      case 'reconnect':
        logger.warn({ reason: action.reason, detail: action.detail }, 'giving up the stream');
        if (this.#call !== undefined) this.#end(this.#call, action.detail);
        return;
      case 'violation':
        logger.error({ detail: action.detail }, 'the registry did what it never should');
        return;
    }
  }

  #tellStale(stale: boolean): void {
    const { logger } = this.#options;
    if (!stale) logger.info('the registry vouches for the certificate');
    else if (this.#asked) logger.warn('cut off from the registry: the certificate may be stale');
    // a start like any other: the registry may answer at once
    else logger.info('the cached certificate serves until the registry answers');
  }

  async #build(id: BuildId, message: MaterialMessage): Promise<void> {
    const build: Build = { message, material: undefined };
    this.#builds.set(id, build);
    let outcome: Happening;
    try {
      build.material = await buildMaterial(message, this.#options.service);
      if (!this.#isInForce(message)) refuseExpired(build.material);
      const { fingerprintSha256 } = build.material;
      outcome = { kind: 'built', build: id, fingerprintSha256 };
    } catch (error) {
      this.#options.logger.error({ error }, 'the offered material is refused');
      const code = error instanceof CertsError ? error.code : 'unusable-material';
      const detail = error instanceof Error ? error.message : String(error);
      outcome = { kind: 'buildFailed', build: id, code, detail };
    }
    if (this.#builds.has(id)) this.#feed(outcome);
  }

  /** Committed already, or the same certificate under another ticket seed. */
  #isInForce({ generation, fingerprintSha256 }: MaterialMessage): boolean {
    const status = this.#machine.status;
    return (
      generation <= status.committedGeneration || fingerprintSha256 === status.fingerprintSha256
    );
  }

  #schedule(id: BuildId, at: bigint): void {
    const build = this.#builds.get(id);
    this.#builds.delete(id);
    if (build?.material === undefined) throw new Error(`build ${id} is scheduled and not done`);
    this.#held.set(build.message.generation, build.message);
    this.#options.current.schedule(build.material, at);
  }

  #notePromoted(generation: bigint): void {
    for (const older of this.#held.keys()) if (older < generation) this.#held.delete(older);
    const material = this.#options.current.peek();
    this.#options.logger.info(
      { generation: Number(generation), fingerprint: material?.fingerprintSha256 },
      'switched certificate',
    );
    if (material !== undefined) warnIfExpired(material, this.#options.logger);
  }

  async #probe(generation: bigint): Promise<void> {
    const ports = await this.#options.probe();
    this.#feed({ kind: 'probed', generation, ports });
  }

  #wakeAt(at: bigint): void {
    clearTimeout(this.#wakeTimer);
    const waitMs = Number((at - this.#options.now() + 999_999n) / 1_000_000n);
    this.#wakeTimer = setTimeout(() => this.#feed({ kind: 'timer' }), Math.max(0, waitMs));
  }

  // ---- the stream --------------------------------------------------------------------------------

  #connect(): void {
    if (this.#closed) return;
    this.#asked = true;
    let call: RegistryCall;
    try {
      call = this.#options.open();
    } catch (error) {
      // an identity that OpenSSL does not take; a better one may be on its way
      this.#tryAgain(error instanceof Error ? error.message : String(error), undefined);
      return;
    }
    this.#call = call;
    this.#opened = false;
    call.connected.then(
      () => {
        if (this.#call !== call) return;
        this.#opened = true;
        this.#feed({ kind: 'streamOpened' });
      },
      (error: Error) => this.#end(call, error.message),
    );
    call.stream.on('data', ({ message }) => {
      if (this.#call !== call || message === undefined) return;
      if (message.$case === 'welcome') this.#noteWelcome();
      this.#feed({ kind: 'message', message });
    });
    call.stream.on('end', () => this.#end(call, 'the registry ended the stream'));
    call.stream.on('error', (error: ServiceError) => this.#end(call, error.details, error.code));
  }

  #noteWelcome(): void {
    if (this.#attempts > 0) this.#options.logger.info('the registry answers');
    this.#attempts = 0;
  }

  /** `why` undefined = on our own wish, so without delay. */
  #end(call: RegistryCall, why: string | undefined, code?: grpcStatus): void {
    if (this.#call !== call || this.#closed) return;
    this.#call = undefined;
    call.close();
    if (this.#opened) this.#feed({ kind: 'streamLost' });
    this.#tryAgain(why, code);
  }

  #tryAgain(why: string | undefined, code: grpcStatus | undefined): void {
    const delayMs = why === undefined ? 0 : this.#backOff(code);
    // one line when it begins, then quiet until it ends
    const level = why === undefined || this.#attempts > 1 ? 'debug' : 'warn';
    this.#options.logger[level]({ why, delayMs }, 'no stream to the registry; trying again');
    clearTimeout(this.#reconnectTimer);
    this.#reconnectTimer = setTimeout(() => this.#connect(), delayMs);
  }

  /** Half of the doubled delay is drawn, so that a fleet does not come back as one. */
  #backOff(code: grpcStatus | undefined): number {
    const { least, most } = BACK_OFF_MS;
    // replaced by another process under our name: two that chase each other should do it slowly
    const delay =
      code === grpcStatus.ABORTED
        ? most
        : Math.min(most, least * 2 ** Math.min(this.#attempts, 16));
    this.#attempts += 1;
    return delay / 2 + this.#options.random() * (delay / 2);
  }
}
