/**
 * The subscriber's half of the switch, as a pure state machine: what a service process does when the
 * registry speaks, falls silent, or comes back. It owns the clock estimate, the lease, what is being
 * built, and when which generation is served. It does no I/O, reads no clock and draws no randomness:
 * events go in, actions come out, and the shell carries these out **in order**. Streams, TLS contexts,
 * listeners and files are the shell's.
 *
 * All instants called local are nanoseconds on this process's own monotonic clock. It should be one
 * that goes on counting while the machine sleeps: a fenced lease is only as good as it.
 */
import {
  type Activate,
  type HeartbeatAck,
  type Material,
  PartitionPolicy,
  type PortObservation,
  type Prepare,
  type SubscribeRequest,
  type SubscribeResponse,
  type Welcome,
} from '@mail/proto';
import { ClockEstimate, type ClockReading } from './clock-estimate.ts';

const WELCOME_TIMEOUT_MS = 10_000;
const REBUILD_DELAY_MS = 5_000;
const REPROBE_DELAY_MS = 10_000;
/** Round trips right after Welcome: enough that one of them is likely undisturbed. */
const BURST = 5;
/**
 * A clock that is known worse than this after the burst is asked a few times more, at some distance, and
 * again before a switch.
 */
const FINE_CLOCK_NS = 2_000_000n;
const REFINEMENTS = 5;
const REFINE_INTERVAL_MS = 1_000;
/** Whoever fences beats this many times per prepared lease while the outcome is open. */
const BEATS_PER_PREPARED_LEASE = 4;

/** Names one build of a TLS context. The machine numbers them; the shell gives the number back. */
export type BuildId = number;

/** What a subscriber says, as ts-proto makes it. */
export type ToRegistry = NonNullable<SubscribeRequest['message']>;

/** What the registry says, as ts-proto makes it. */
export type FromRegistry = NonNullable<SubscribeResponse['message']>;

/** Who the subscriber is and how it behaves when cut off. */
export interface SubscriberOptions {
  /** As in the identity: "imap". */
  readonly service: string;
  /** Unique among the live subscribers of the service, stable over reconnects. */
  readonly instance: string;
  /** Of the software, for people. */
  readonly version: string;
  /** SERVE goes on with old material once the lease is out; FENCE refuses new handshakes. */
  readonly partitionPolicy: PartitionPolicy;
  /** Material that the shell already serves from its cache, if there was any. */
  readonly cached?: { readonly generation: bigint; readonly fingerprintSha256: string } | undefined;
  /** How long a stream may stay without its Welcome before it is given up. Default 10 s. */
  readonly welcomeTimeoutMs?: number;
  /** Pause before the committed generation is built anew after a failed build. Default 5 s. */
  readonly rebuildDelayMs?: number;
  /** Pause before ports that did not show what is served are looked at again. Default 10 s. */
  readonly reprobeDelayMs?: number;
  /** Heartbeats sent one after the other after Welcome, for a good first clock sample. Default 5. */
  readonly burst?: number;
}

/** What happens to a subscriber. `now` is local and never goes back. */
export type SubscriberEvent =
  /** The first event of all, before the shell serves anything, cached material included. */
  | { readonly kind: 'started'; readonly now: bigint }
  /** A stream to the registry is open; the machine says Hello on it. */
  | { readonly kind: 'streamOpened'; readonly now: bigint }
  /** The open stream has ended, for whatever reason. No message of it may follow. */
  | { readonly kind: 'streamLost'; readonly now: bigint }
  | { readonly kind: 'message'; readonly now: bigint; readonly message: FromRegistry }
  /** The context of that build exists and shook hands with itself in memory, serving this leaf. */
  | {
      readonly kind: 'built';
      readonly now: bigint;
      readonly build: BuildId;
      readonly fingerprintSha256: string;
    }
  /** The material can't be used. `code` as in Rejected: "unusable-material", "self-handshake-failed". */
  | {
      readonly kind: 'buildFailed';
      readonly now: bigint;
      readonly build: BuildId;
      readonly code: string;
      readonly detail: string;
    }
  /** The instant of the last `wakeAt` has come (early and needless ones do no harm). */
  | { readonly kind: 'timer'; readonly now: bigint }
  /** What handshakes to the process's own listeners showed. */
  | {
      readonly kind: 'probed';
      readonly now: bigint;
      readonly generation: bigint;
      readonly ports: readonly PortObservation[];
    };

/** Why the machine gives up a stream. */
export type ReconnectReason =
  /** The registry broke the protocol. */
  | 'protocol-violation'
  /** Activate came for something this process does not hold: Welcome will bring it. */
  | 'not-prepared'
  /** No answer for half a lease, or the lease is out. */
  | 'silent';

/** What the shell does, in the order given. */
export type SubscriberAction =
  /** Sends on the open stream. */
  | { readonly kind: 'send'; readonly message: ToRegistry }
  /** Builds a context off to the side, proves it in memory, answers with built or buildFailed. */
  | { readonly kind: 'build'; readonly build: BuildId; readonly material: Material }
  /** Forgets a build, under way or done; no answer is wanted for it any more. */
  | { readonly kind: 'discard'; readonly build: BuildId }
  /**
   * Hands a finished build to the holder of the current material, to be served by every handshake that
   * starts at the local instant `at` or later. The holder compares the clock at each handshake, so no
   * timer stands between the instant and the swap. Replaces what is scheduled for `at` or later; what is
   * due before is still served until then.
   */
  | {
      readonly kind: 'schedule';
      readonly build: BuildId;
      readonly generation: bigint;
      readonly fingerprintSha256: string;
      readonly at: bigint;
    }
  /**
   * Refuse handshakes that start at the local instant `at` or later; undefined takes the limit away.
   * Compared at each handshake like `schedule`, so that a stalled event loop can't serve past it.
   * Only with FENCE.
   */
  | { readonly kind: 'fenceFrom'; readonly at: bigint | undefined }
  /** For logs, metrics and readiness: the lease is out, or what is served is not what is committed. */
  | { readonly kind: 'setStale'; readonly stale: boolean }
  /** For logs, metrics and readiness: handshakes are being refused. */
  | { readonly kind: 'setFenced'; readonly fenced: boolean }
  /** The swap to this generation is done: the former material may be let go. */
  | { readonly kind: 'promoted'; readonly generation: bigint; readonly fingerprintSha256: string }
  /** Cache this generation's material as last-known-good. */
  | { readonly kind: 'persist'; readonly generation: bigint }
  /** Handshake with the process's own listeners, answer with probed. */
  | { readonly kind: 'probe'; readonly generation: bigint }
  /** Close connections made under generations below this one, after the grace. */
  | { readonly kind: 'drain'; readonly belowGeneration: bigint; readonly graceMs: number }
  /** Feed `timer` at this local instant; replaces the one before. */
  | { readonly kind: 'wakeAt'; readonly at: bigint }
  /** End the stream and open another with back-off and jitter. `streamLost` follows as ever. */
  | { readonly kind: 'reconnect'; readonly reason: ReconnectReason; readonly detail: string }
  /** Log loudly: the registry did what it never should. */
  | { readonly kind: 'violation'; readonly detail: string };

/** How a subscriber stands, for metrics and tests. */
export interface SubscriberStatus {
  readonly connected: boolean;
  /** Served now; 0 for nothing. */
  readonly generation: bigint;
  readonly fingerprintSha256: string;
  /** Committed as far as is known; 0 before the first Welcome. */
  readonly committedGeneration: bigint;
  readonly stale: boolean;
  readonly fenced: boolean;
  /** The registry's clock minus the local one, and how wrong that may be; undefined before a sample. */
  readonly clock: ClockReading | undefined;
  /** Smallest round trip on this stream; 0 before the first. */
  readonly roundTripNs: bigint;
}

/** One stream to the registry, as long as it lasts. */
interface Stream {
  readonly helloAt: bigint;
  welcomed: boolean;
  heartbeatAt: bigint;
  /** When the first heartbeat since the last answer went out. */
  unansweredSince: bigint | undefined;
  burstLeft: number;
  refinementsLeft: number;
  /** The last answer left the clock known worse than is wanted. */
  coarse: boolean;
}

/** Prepared and not decided. */
interface Prepared {
  readonly build: BuildId;
  readonly material: Material;
  readonly nonce: string;
  readonly deadline: bigint;
  /** `ready` from the moment Ready is sent until the outcome is heard. */
  state: 'building' | 'built' | 'ready';
}

/** Committed, and still to be built: this process missed the prepare, or could not use it then. */
interface CatchUp {
  build: BuildId;
  readonly material: Material;
  /** The earliest instant heard, on the clock of the registry process that told it. */
  activateAt: bigint;
  clock: ClockEstimate;
  /** Local instant from which what is served before it is out of force. */
  retireAt: bigint;
  /** Set while a failed build waits for its next try. */
  retryAt: bigint | undefined;
}

/** In the hands of the holder, not yet due. */
interface Scheduled {
  readonly generation: bigint;
  readonly fingerprintSha256: string;
  readonly at: bigint;
  /** As in CatchUp: earlier than `at` where a generation in between was missed. */
  readonly retireAt: bigint;
}

/**
 * The machine. Three rules shape it.
 *
 * - **The holder swaps, the machine follows.** `schedule` goes out when the instant is known; the machine
 *   learns of the swap from the first event past it and reports the agreed instant, which is the true one.
 * - **What is prepared is known by its nonce, what is committed by its content.** An aborted try may
 *   bear the number of a later committed one, so a build is only taken for committed material that is the same.
 * - **A lease speaks for the material it was granted under.** A fencing subscriber whose Ready is
 *   undecided holds a short one. Welcome may then name a newer generation whose instant is still to come,
 *   and yet what is served here may be out of force: when other switches lie between, or when another
 *   registry process told the first instant. Then the old material keeps the lease it had, and the new
 *   lease begins with the swap.
 */
export class Subscriber {
  readonly #options: SubscriberOptions;
  readonly #fences: boolean;
  readonly #burst: number;
  readonly #welcomeTimeout: bigint;
  readonly #rebuildDelay: bigint;
  readonly #reprobeDelay: bigint;

  #stream: Stream | undefined;
  #clock: ClockEstimate | undefined;
  #builds = 0;

  #current: { readonly generation: bigint; readonly fingerprintSha256: string } | undefined;
  /** By instant and by generation; more than one only where a registry restarts between two switches. */
  #scheduled: Scheduled[] = [];
  #prepared: Prepared | undefined;
  #catchUp: CatchUp | undefined;
  /** The registry named an older generation than was committed before. */
  #contradicted = false;

  #lease = 0n;
  #preparedLease = 0n;
  #heartbeatInterval = 0n;
  /** Local sending time of the request whose answer granted the lease. */
  #leaseFrom: bigint | undefined;
  /** The registry process that granted it. */
  #leaseClockId: string | undefined;
  /** Set while leases that are granted begin with the next swap: the old material stays valid up to here. */
  #heldUntil: bigint | undefined;
  /** Local sending time of the last request that was answered, whether or not its lease counts yet. */
  #answeredFrom: bigint | undefined;

  /** What could not be reported yet. */
  #unreportedSwap: { readonly generation: bigint; readonly at: bigint } | undefined;
  #unreportedProbe:
    | { readonly generation: bigint; readonly ports: readonly PortObservation[] }
    | undefined;
  /** Set while ports that did not prove the generation served wait to be looked at again. */
  #reprobeAt: bigint | undefined;
  #drainWaiting: { readonly belowGeneration: bigint; readonly graceMs: number } | undefined;

  #stale = false;
  #fenced = false;
  #fenceFrom: bigint | undefined;
  #wakeAt: bigint | undefined;
  #startedAt: bigint | undefined;
  #now = 0n;
  #actions: SubscriberAction[] = [];

  constructor(options: SubscriberOptions) {
    this.#options = options;
    this.#fences = options.partitionPolicy === PartitionPolicy.PARTITION_POLICY_FENCE;
    this.#burst = options.burst ?? BURST;
    this.#welcomeTimeout = msToNs(options.welcomeTimeoutMs ?? WELCOME_TIMEOUT_MS);
    this.#rebuildDelay = msToNs(options.rebuildDelayMs ?? REBUILD_DELAY_MS);
    this.#reprobeDelay = msToNs(options.reprobeDelayMs ?? REPROBE_DELAY_MS);
    this.#current = options.cached;
  }

  /**
   * Takes one event and says what to do about it. `now` of an event must not be before the last one's.
   * @throws nothing: what the registry does wrong becomes `violation` and `reconnect`.
   */
  handle(event: SubscriberEvent): SubscriberAction[] {
    this.#actions = [];
    this.#now = event.now;
    // The holder has swapped at the instant by itself; whatever happened after it comes second.
    this.#promoteIfDue();
    switch (event.kind) {
      case 'started':
        break;
      case 'timer':
        // The shell's timer is used up; one that came too early has to be set again.
        this.#wakeAt = undefined;
        break;
      case 'streamOpened':
        this.#openStream();
        break;
      case 'streamLost':
        this.#stream = undefined;
        break;
      case 'message':
        if (this.#stream !== undefined) this.#receive(event.message, this.#stream);
        break;
      case 'built':
        this.#takeBuilt(event.build, event.fingerprintSha256);
        break;
      case 'buildFailed':
        this.#takeBuildFailed(event.build, event.code, event.detail);
        break;
      case 'probed':
        this.#takeProbed(event.generation, event.ports);
        break;
    }
    this.#actOnTime();
    this.#promoteIfDue();
    this.#judge();
    this.#askForTimer();
    return this.#actions;
  }

  /** How it stands at the last event. */
  get status(): SubscriberStatus {
    return {
      connected: this.#stream?.welcomed ?? false,
      generation: this.#current?.generation ?? 0n,
      fingerprintSha256: this.#current?.fingerprintSha256 ?? '',
      committedGeneration: this.#committedGeneration,
      stale: this.#stale,
      fenced: this.#fenced,
      clock: this.#clock?.readAt(this.#now),
      roundTripNs: this.#clock?.roundTripNs ?? 0n,
    };
  }

  // ---- the stream -------------------------------------------------------------------------------

  #openStream(): void {
    this.#stream = {
      helloAt: this.#now,
      welcomed: false,
      heartbeatAt: this.#now,
      unansweredSince: undefined,
      burstLeft: this.#burst,
      refinementsLeft: REFINEMENTS,
      coarse: false,
    };
    this.#send({
      $case: 'hello',
      value: {
        service: this.#options.service,
        instance: this.#options.instance,
        generation: this.#current?.generation ?? 0n,
        fingerprintSha256: this.#current?.fingerprintSha256 ?? '',
        partitionPolicy: this.#options.partitionPolicy,
        version: this.#options.version,
      },
    });
  }

  #receive(message: FromRegistry, stream: Stream): void {
    if (message.$case === 'welcome') {
      this.#takeWelcome(message.value, stream);
      return;
    }
    if (!stream.welcomed) {
      this.#giveUpStream('protocol-violation', 'no welcome came first');
      return;
    }
    switch (message.$case) {
      case 'heartbeatAck':
        this.#takeHeartbeatAck(message.value, stream);
        break;
      case 'prepare':
        this.#takePrepare(message.value, stream);
        break;
      case 'activate':
        this.#takeActivate(message.value);
        break;
      case 'abort':
        if (this.#prepared?.nonce === message.value.nonce) this.#discardPrepared();
        break;
      case 'drain':
        this.#drainWaiting = message.value;
        this.#drainIfSwapped();
        break;
    }
  }

  /**
   * Welcome says what is committed, and so decides every open question: whatever else was prepared is
   * not committed. It may come again on the same stream, to one that was left behind by a commit.
   */
  #takeWelcome(welcome: Welcome, stream: Stream): void {
    const { material } = welcome;
    if (material === undefined) {
      this.#giveUpStream('protocol-violation', 'welcome without material');
      return;
    }
    const first = !stream.welcomed;
    const validUntil = this.#validUntil;
    stream.welcomed = true;
    if (this.#clock?.clockId !== welcome.clockId) this.#clock = new ClockEstimate(welcome.clockId);
    // Only the first answers something whose sending time is known.
    if (first) this.#clock.addSample(stream.helloAt, welcome.registryTimeNs, this.#now);
    this.#lease = msToNs(welcome.leaseMs);
    this.#preparedLease = msToNs(welcome.preparedLeaseMs);
    this.#heartbeatInterval = msToNs(Math.max(1, welcome.heartbeatIntervalMs));

    // Whoever holds its old material back already, heard of the swap too late for the first instant.
    const heardInstant =
      this.#heldUntil === undefined &&
      this.#scheduled.some(({ generation }) => generation === material.generation);
    const newer = material.generation > this.#committedGeneration;
    this.#contradicted = this.#contradicts(material);
    if (this.#contradicted) {
      // The registry decides what is committed, but its numbers only grow: an older one means that its
      // disk went back in time. Going back with it would undo a switch behind the operator's back, so
      // this process serves on, stale, and takes the next generation that is newer than its own.
      this.#act({
        kind: 'violation',
        detail: `registry names generation ${material.generation}, here ${this.#committedGeneration} is committed`,
      });
      this.#discardPrepared();
    } else if (newer || this.#catchUp?.material.generation === material.generation) {
      this.#catchUpTo(material, welcome.activateAtNs, this.#clock);
    } else {
      this.#discardPrepared();
    }
    if (!first) return;

    const served = this.#current?.generation ?? material.generation;
    const behind = served < material.generation;
    // Only what this very registry process replaces now is in force until the instant that it names.
    const inForce = served === material.generation - 1n && this.#leaseClockId === welcome.clockId;
    const holds = this.#contradicted || (behind && !heardInstant && !inForce);
    this.#heldUntil = holds ? validUntil : undefined;
    this.#extendLease(stream.helloAt);
    this.#beat(stream);
    this.#report();
  }

  #takeHeartbeatAck(ack: HeartbeatAck, stream: Stream): void {
    if (ack.sentAtNs < stream.helloAt || ack.sentAtNs > stream.heartbeatAt) {
      this.#giveUpStream('protocol-violation', 'answer to a heartbeat that was never sent');
      return;
    }
    this.#clock?.addSample(ack.sentAtNs, ack.registryTimeNs, this.#now);
    this.#lease = msToNs(ack.leaseMs);
    this.#extendLease(ack.sentAtNs);
    if (ack.sentAtNs === stream.heartbeatAt) stream.unansweredSince = undefined;
    if (stream.burstLeft > 0) this.#beat(stream);
    else this.#noteCoarse(stream);
    this.#sayReady();
  }

  /** A connection made in the rush after a restart has slow samples only: better ones follow soon. */
  #noteCoarse(stream: Stream): void {
    stream.coarse = this.#clockError > FINE_CLOCK_NS && stream.refinementsLeft > 0;
    if (stream.coarse) stream.refinementsLeft -= 1;
  }

  get #clockError(): bigint {
    return this.#clock?.readAt(this.#now)?.errorNs ?? 0n;
  }

  #takePrepare(prepare: Prepare, stream: Stream): void {
    const { material, nonce } = prepare;
    if (material === undefined || material.generation <= this.#committedGeneration) {
      this.#giveUpStream('protocol-violation', 'prepare for what is not a next generation');
      return;
    }
    if (this.#prepared?.nonce === nonce) {
      if (this.#prepared.state === 'ready') this.#prepared.state = 'built';
      this.#sayReady();
      return;
    }
    this.#discardPrepared();
    this.#prepared = {
      build: this.#build(material),
      material,
      nonce,
      deadline: this.#now + msToNs(prepare.timeoutMs),
      state: 'building',
    };
    // The clock sample for the instant, and for those who fence the lease under which to say ready. In a
    // large fleet all answer at once, so whoever needs neither leaves the way to the others.
    if (this.#fences || this.#clockError > FINE_CLOCK_NS) this.#beat(stream);
  }

  #takeActivate({ generation, nonce, atNs }: Activate): void {
    if (generation <= this.#committedGeneration) return;
    const prepared = this.#prepared;
    if (prepared?.nonce !== nonce || prepared.material.generation !== generation) {
      this.#giveUpStream('not-prepared', `activate for generation ${generation}`);
      return;
    }
    if (this.#clock !== undefined) this.#catchUpTo(prepared.material, atNs, this.#clock);
    this.#contradicted = false;
  }

  // ---- what is built, and when it is served -----------------------------------------------------

  /** Moves to committed material: at the instant if it is built by then, else as soon as it is. */
  #catchUpTo(material: Material, activateAt: bigint, clock: ClockEstimate): void {
    const at = clock.toLocal(activateAt);
    const prepared = this.#prepared;
    const catchUp = this.#catchUp;
    if (catchUp !== undefined && isSameMaterial(catchUp.material, material)) {
      this.#discardPrepared();
      if (at < localInstantOf(catchUp)) Object.assign(catchUp, { activateAt, clock });
      catchUp.retireAt = min(catchUp.retireAt, at);
      if (catchUp.retryAt !== undefined) this.#rebuild(catchUp);
      return;
    }
    const retireAt = catchUp === undefined ? at : min(catchUp.retireAt, at);
    this.#discardCatchUp();
    if (prepared !== undefined && isSameMaterial(prepared.material, material)) {
      const { build, state } = prepared;
      this.#prepared = undefined;
      this.#catchUp = { build, material, activateAt, clock, retireAt, retryAt: undefined };
      if (state !== 'building') this.#schedule(this.#catchUp);
    } else {
      this.#discardPrepared();
      const build = this.#build(material);
      this.#catchUp = { build, material, activateAt, clock, retireAt, retryAt: undefined };
    }
  }

  #schedule(catchUp: CatchUp): void {
    const { generation, fingerprintSha256 } = catchUp.material;
    let { retireAt } = catchUp;
    let at = localInstantOf(catchUp);
    if (at < this.#now) at = this.#now;
    while ((this.#scheduled.at(-1)?.at ?? at - 1n) >= at) {
      retireAt = min(this.#scheduled.pop()?.retireAt ?? retireAt, retireAt);
    }
    this.#catchUp = undefined;
    this.#scheduled.push({ generation, fingerprintSha256, at, retireAt });
    this.#act({ kind: 'schedule', build: catchUp.build, generation, fingerprintSha256, at });
  }

  #promoteIfDue(): void {
    for (;;) {
      const due = this.#scheduled[0];
      if (due === undefined || due.at > this.#now) return;
      this.#scheduled.shift();
      this.#promote(due);
    }
  }

  #promote({ generation, fingerprintSha256, at }: Scheduled): void {
    this.#current = { generation, fingerprintSha256 };
    const newest = this.#catchUp === undefined && this.#scheduled.length === 0;
    if (this.#heldUntil !== undefined && newest && !this.#contradicted) {
      this.#heldUntil = undefined;
      if (this.#answeredFrom !== undefined) this.#extendLease(this.#answeredFrom);
    }
    this.#reprobeAt = undefined;
    this.#act({ kind: 'promoted', generation, fingerprintSha256 });
    this.#unreportedSwap = { generation, at };
    this.#report();
    this.#act({ kind: 'probe', generation });
    this.#act({ kind: 'persist', generation });
    this.#drainIfSwapped();
  }

  #takeBuilt(build: BuildId, fingerprintSha256: string): void {
    const prepared = this.#prepared;
    const catchUp = this.#catchUp;
    const wanted = [prepared, catchUp].find((one) => one?.build === build)?.material;
    if (wanted === undefined) return;
    if (wanted.fingerprintSha256 !== fingerprintSha256) {
      const detail = `the handshake showed ${fingerprintSha256}, not ${wanted.fingerprintSha256}`;
      this.#takeBuildFailed(build, 'self-handshake-failed', detail);
      return;
    }
    if (prepared?.build === build) {
      if (prepared.state === 'building') prepared.state = 'built';
      this.#sayReady();
    } else if (catchUp !== undefined) {
      this.#schedule(catchUp);
    }
  }

  #takeBuildFailed(build: BuildId, code: string, detail: string): void {
    const prepared = this.#prepared;
    const catchUp = this.#catchUp;
    if (prepared?.build === build) {
      this.#reject(prepared, code, detail);
    } else if (catchUp?.build === build) {
      catchUp.retryAt = this.#now + this.#rebuildDelay;
      const { generation } = catchUp.material;
      this.#send({ $case: 'rejected', value: { generation, nonce: '', code, detail } });
    }
  }

  #reject(prepared: Prepared, code: string, detail: string): void {
    this.#discardPrepared();
    const { generation } = prepared.material;
    this.#send({ $case: 'rejected', value: { generation, nonce: prepared.nonce, code, detail } });
  }

  /**
   * Says ready once built. Whoever fences says it only under a lease that the short one does not cut off
   * at once: with an old answer it waits for the one that is on its way.
   */
  #sayReady(): void {
    const prepared = this.#prepared;
    if (prepared?.state !== 'built' || this.#stream?.welcomed !== true) return;
    const fresh =
      this.#leaseFrom !== undefined && this.#now < this.#leaseFrom + this.#preparedLease / 2n;
    if (this.#fences && !fresh && this.#heldUntil === undefined) return;
    prepared.state = 'ready';
    const { generation } = prepared.material;
    this.#send({ $case: 'ready', value: { generation, nonce: prepared.nonce } });
  }

  #build(material: Material): BuildId {
    this.#builds += 1;
    this.#act({ kind: 'build', build: this.#builds, material });
    return this.#builds;
  }

  #rebuild(catchUp: CatchUp): void {
    this.#act({ kind: 'discard', build: catchUp.build });
    catchUp.build = this.#build(catchUp.material);
    catchUp.retryAt = undefined;
  }

  #discardPrepared(): void {
    if (this.#prepared === undefined) return;
    this.#act({ kind: 'discard', build: this.#prepared.build });
    this.#prepared = undefined;
  }

  #discardCatchUp(): void {
    if (this.#catchUp === undefined) return;
    this.#act({ kind: 'discard', build: this.#catchUp.build });
    this.#catchUp = undefined;
  }

  get #newestCommitted() {
    return this.#catchUp?.material ?? this.#scheduled.at(-1) ?? this.#current;
  }

  /** The newest generation known to be committed. */
  get #committedGeneration(): bigint {
    return this.#newestCommitted?.generation ?? 0n;
  }

  #contradicts(material: Material): boolean {
    const known = this.#newestCommitted;
    if (known === undefined || material.generation > known.generation) return false;
    return (
      material.generation < known.generation ||
      material.fingerprintSha256 !== known.fingerprintSha256
    );
  }

  // ---- reports ----------------------------------------------------------------------------------

  #report(): void {
    if (this.#stream?.welcomed !== true || this.#clock === undefined || this.#contradicted) return;
    const current = this.#current;
    const swap = this.#unreportedSwap;
    if (swap !== undefined && current !== undefined) {
      this.#unreportedSwap = undefined;
      const atNs = this.#clock.toRegistry(swap.at);
      this.#send({ $case: 'activated', value: { ...current, atNs } });
    }
    const probe = this.#unreportedProbe;
    if (probe !== undefined) {
      this.#unreportedProbe = undefined;
      if (probe.generation !== current?.generation) return;
      const { generation, ports } = probe;
      this.#send({ $case: 'verified', value: { generation, ports: [...ports] } });
    }
  }

  /** A port that could not be looked at is no proof against it: it is looked at again until it is one. */
  #takeProbed(generation: bigint, ports: readonly PortObservation[]): void {
    this.#unreportedProbe = { generation, ports };
    this.#report();
    const current = this.#current;
    if (generation !== current?.generation) return;
    const proved = ports.every((port) => port.fingerprintSha256 === current.fingerprintSha256);
    this.#reprobeAt = proved ? undefined : this.#now + this.#reprobeDelay;
  }

  #drainIfSwapped(): void {
    const drain = this.#drainWaiting;
    if (drain === undefined || drain.belowGeneration > (this.#current?.generation ?? 0n)) return;
    this.#drainWaiting = undefined;
    const { belowGeneration, graceMs } = drain;
    this.#act({ kind: 'drain', belowGeneration, graceMs });
  }

  // ---- time -------------------------------------------------------------------------------------

  #beat(stream: Stream): void {
    stream.heartbeatAt = this.#now;
    stream.unansweredSince ??= this.#now;
    if (stream.burstLeft > 0) stream.burstLeft -= 1;
    const roundTripNs = this.#clock?.roundTripNs ?? 0n;
    this.#send({ $case: 'heartbeat', value: { sentAtNs: this.#now, roundTripNs } });
  }

  #extendLease(from: bigint): void {
    this.#answeredFrom = from;
    if (this.#heldUntil !== undefined) return;
    this.#leaseFrom = from;
    this.#leaseClockId = this.#clock?.clockId;
  }

  /** A Ready whose outcome is open, under FENCE: the lead of the switch counts on the short lease. */
  get #undecided(): boolean {
    return this.#fences && this.#prepared?.state === 'ready';
  }

  /** Local instant up to which what is served now may be taken for the one in force. */
  get #validUntil(): bigint {
    let until = this.#heldUntil ?? this.#leaseUntil;
    // The holder swaps by itself to what is scheduled in time; what else is committed ends the rest.
    for (const { at, retireAt } of this.#scheduled) {
      if (retireAt < at) until = min(until, retireAt);
    }
    return this.#catchUp === undefined ? until : min(until, this.#catchUp.retireAt);
  }

  get #leaseUntil(): bigint {
    if (this.#leaseFrom === undefined) return this.#startedAt ?? this.#now;
    return this.#leaseFrom + (this.#undecided ? this.#preparedLease : this.#lease);
  }

  /** When the next heartbeat is due. */
  #nextBeat(stream: Stream): bigint {
    const preparing = this.#fences && this.#prepared !== undefined;
    let interval = this.#heartbeatInterval;
    if (preparing) {
      interval = min(interval, this.#preparedLease / BigInt(BEATS_PER_PREPARED_LEASE));
    }
    if (stream.coarse) interval = min(interval, msToNs(REFINE_INTERVAL_MS));
    return stream.heartbeatAt + (interval > 0n ? interval : 1n);
  }

  /** When the stream counts as dead. */
  #silentAt(stream: Stream): bigint | undefined {
    if (!stream.welcomed) return stream.helloAt + this.#welcomeTimeout;
    if (stream.unansweredSince === undefined) return undefined;
    return stream.unansweredSince + (this.#undecided ? this.#preparedLease : this.#lease / 2n);
  }

  #actOnTime(): void {
    const prepared = this.#prepared;
    if (prepared !== undefined && prepared.state !== 'ready' && prepared.deadline <= this.#now) {
      this.#reject(prepared, 'too-late', 'not ready before the deadline');
    }
    const retryAt = this.#catchUp?.retryAt;
    if (this.#catchUp !== undefined && retryAt !== undefined && retryAt <= this.#now) {
      this.#rebuild(this.#catchUp);
    }
    if (this.#reprobeAt !== undefined && this.#reprobeAt <= this.#now && this.#current) {
      this.#reprobeAt = undefined;
      this.#act({ kind: 'probe', generation: this.#current.generation });
    }
    const stream = this.#stream;
    if (stream === undefined) return;
    const silentAt = this.#silentAt(stream);
    if (silentAt !== undefined && silentAt <= this.#now) {
      this.#giveUpStream(
        'silent',
        stream.welcomed ? 'heartbeats go unanswered' : 'no welcome came',
      );
    } else if (stream.welcomed && this.#nextBeat(stream) <= this.#now) {
      this.#beat(stream);
    }
  }

  /** Says what changed in how far the served material can be trusted. */
  #judge(): void {
    if (this.#startedAt === undefined) this.#startedAt = this.#now;
    const serves = this.#current !== undefined;
    const validUntil = this.#validUntil;
    const out = serves && validUntil <= this.#now;
    // What is scheduled will be served without a word from here: it is fenced along.
    const willServe = serves || this.#scheduled.length > 0;
    const fenceFrom = this.#fences && willServe ? validUntil : undefined;
    if (fenceFrom !== this.#fenceFrom) {
      this.#fenceFrom = fenceFrom;
      this.#act({ kind: 'fenceFrom', at: fenceFrom });
    }
    const stale = out || this.#contradicted;
    if (stale !== this.#stale) {
      this.#stale = stale;
      this.#act({ kind: 'setStale', stale });
    }
    const fenced = out && this.#fences;
    if (fenced !== this.#fenced) {
      this.#fenced = fenced;
      this.#act({ kind: 'setFenced', fenced });
    }
  }

  #askForTimer(): void {
    let next: bigint | undefined;
    const consider = (at: bigint | undefined) => {
      if (at !== undefined && at > this.#now && (next === undefined || at < next)) next = at;
    };
    consider(this.#scheduled[0]?.at);
    consider(this.#catchUp?.retryAt);
    consider(this.#reprobeAt);
    consider(this.#prepared?.state === 'ready' ? undefined : this.#prepared?.deadline);
    if (this.#current !== undefined) consider(this.#validUntil);
    if (this.#stream !== undefined) {
      consider(this.#silentAt(this.#stream));
      if (this.#stream.welcomed) consider(this.#nextBeat(this.#stream));
    }
    if (next === undefined || next === this.#wakeAt) return;
    this.#wakeAt = next;
    this.#act({ kind: 'wakeAt', at: next });
  }

  // ---- actions ----------------------------------------------------------------------------------

  #act(action: SubscriberAction): void {
    this.#actions.push(action);
  }

  /** Before Welcome only Hello may be said; what is dropped here, Welcome asks for anew. */
  #send(message: ToRegistry): void {
    if (this.#stream === undefined) return;
    if (this.#stream.welcomed || message.$case === 'hello') this.#act({ kind: 'send', message });
  }

  #giveUpStream(reason: ReconnectReason, detail: string): void {
    this.#stream = undefined;
    this.#act({ kind: 'reconnect', reason, detail });
  }
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

/** As exact as what is known of that clock by now. */
function localInstantOf({ clock, activateAt }: CatchUp): bigint {
  return clock.toLocal(activateAt);
}

/** The same in every part that a handshake depends on, the ticket seed included. */
function isSameMaterial(a: Material, b: Material): boolean {
  return (
    a === b ||
    (a.generation === b.generation &&
      a.fingerprintSha256 === b.fingerprintSha256 &&
      a.chainPem === b.chainPem &&
      a.ticketSeed.equals(b.ticketSeed))
  );
}

function msToNs(ms: number): bigint {
  return BigInt(Math.round(ms * 1_000_000));
}
