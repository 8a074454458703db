/**
 * The registry's half of the switch, as a pure state machine: who is in the fleet, whose lease runs, and
 * how a rotation goes from prepare over commit to activate, or ends unswitched. It does no I/O, reads
 * no clock and draws no randomness: events go in, actions come out, and the shell carries these out
 * **in order**. gRPC streams, the database, keys and the operator's calls are the shell's.
 *
 * Instants are nanoseconds on this process's monotonic clock. Material passes through by reference and
 * is never looked into beyond its generation and fingerprint; no view of a rotation contains it.
 */
import {
  type Activated,
  type Hello,
  type Material,
  PartitionPolicy,
  type PortObservation,
  type Ready,
  type Rejected,
  type RotationKind,
  RotationState,
  type SubscribeRequest,
  type SubscribeResponse,
  type SubscriberOutcome,
  SubscriberPhase,
  type Verified,
} from '@mail/proto';
import {
  describe,
  isSettled,
  isSwapped,
  outcomeOf,
  type Participant,
  Participants,
  participantFor,
  type RequiredSubscribers,
  type SubscriberName,
} from './participants.ts';

export type { RequiredSubscribers, SubscriberName } from './participants.ts';

const LEASE_MS = 30_000;
const HEARTBEATS_PER_LEASE = 4;
/** The timer comes at least so often in a lease while somebody is in the fleet; */
const WAKES_PER_LEASE = 8n;
/** and where two wakes were missed, the process stood still. A beat may wait that long and be in time. */
const WAKES_MISSED_PER_STALL = 2n;
/** How long somebody whose lease ran out is still spoken of, and how many are at most. */
const GONE_MS = 600_000;
const MAX_GONE = 1_000;
const PREPARED_LEASE_MS = 1_000;
const PREPARE_TIMEOUT_MS = 10_000;
const MIN_LEAD_MS = 10;
const MAX_LEAD_MS = 2_000;
const LEAD_ROUND_TRIPS = 3;
/** Of the answers to prepare: the time over which this part came in is what the lead goes by. */
const SPREAD_PERCENT = 90;
const REPORT_TIMEOUT_MS = 10_000;
/** A lease ends on the subscriber's clock first: this slack covers the drift of two clocks many times. */
const DRIFT_SLACK_PER_MILLE = 2n;
/** A reported round trip is a stranger's word; a longer one does not delay the fleet any further. */
const MAX_ROUND_TRIP_NS = 1_000_000_000n;
/** How far above its own a generation heard from a subscriber is believed, after a restored backup. */
const MAX_GENERATION_GAP = 1_000_000n;
const MAX_INSTANCE_LENGTH = 128;

/** One Subscribe stream; the shell numbers them and never uses a number twice. */
export type StreamId = number;

/** What a subscriber says, as ts-proto makes it. */
export type FromSubscriber = NonNullable<SubscribeRequest['message']>;

/** What the registry says, as ts-proto makes it. */
export type ToSubscriber = NonNullable<SubscribeResponse['message']>;

/** A subscriber that an earlier registry process has welcomed and not yet forgotten. */
export interface KnownSubscriber extends SubscriberName {
  readonly partitionPolicy: PartitionPolicy;
}

export interface CoordinatorOptions {
  /** Tells this registry process from any other; goes into Welcome. */
  readonly clockId: string;
  /** Default 30,000. */
  readonly leaseMs?: number;
  /** Default a quarter of the lease. */
  readonly heartbeatIntervalMs?: number;
  /** The lease of a fencing subscriber that waits for the outcome; the lead is at least this. Default 1,000. */
  readonly preparedLeaseMs?: number;
  /** For rotations that name none. Default 10,000. */
  readonly prepareTimeoutMs?: number;
  /** The least time between activate and the instant. Default 10. */
  readonly minLeadMs?: number;
  /** The lead is at least this many times the worst round trip. Default 3. */
  readonly leadRoundTrips?: number;
  /** The lead is never longer, unless preparedLeaseMs asks for it. Default 2,000. */
  readonly maxLeadMs?: number;
  /** How long after the instant reports are awaited. Default 10,000. */
  readonly reportTimeoutMs?: number;
}

/** What the disk says when the registry starts. */
export interface RestoredState {
  /** The committed material; generation 1 is made before the coordinator starts. */
  readonly active: Material;
  /** Everybody remembered: each counts as lost, with a whole lease from now. */
  readonly known: readonly KnownSubscriber[];
  /** The newest drain that was asked for, so that those who missed it hear of it. */
  readonly drain?: { readonly belowGeneration: bigint; readonly graceMs: number } | undefined;
}

export interface RotateRequest {
  /** Of the rotation, chosen by the shell; every request gets exactly one refuse or finish under it. */
  readonly id: bigint;
  readonly rotationKind: RotationKind;
  /** Random, by the shell; tells this try from any other. */
  readonly nonce: string;
  /** With a fresh ticket seed; the coordinator gives it its generation. */
  readonly material: Omit<Material, 'generation'>;
  readonly require: RequiredSubscribers;
  readonly prepareTimeoutMs?: number | undefined;
  /** Set to drain connections of older generations once the switch is done. */
  readonly drainGraceMs?: number | undefined;
}

/** What happens to the registry. `now` never goes back. */
export type CoordinatorEvent =
  /** A stream's Hello; its service has been checked against the caller's identity. */
  | {
      readonly kind: 'connected';
      readonly now: bigint;
      readonly stream: StreamId;
      readonly hello: Hello;
    }
  /** Any later message of a stream. Those of a stream that is no longer known are ignored. */
  | {
      readonly kind: 'message';
      readonly now: bigint;
      readonly stream: StreamId;
      readonly message: FromSubscriber;
    }
  /**
   * A stream has ended. `goodbye` only when the subscriber half-closed it itself, which says that it has
   * stopped serving; anything else may be a partition, and its lease runs on.
   */
  | {
      readonly kind: 'lost';
      readonly now: bigint;
      readonly stream: StreamId;
      readonly goodbye: boolean;
    }
  | { readonly kind: 'rotate'; readonly now: bigint; readonly request: RotateRequest }
  /** The write of `commit` is durable. */
  | { readonly kind: 'committed'; readonly now: bigint; readonly generation: bigint }
  /**
   * The write of `commit` has certainly not happened. Where that is not certain the process must end
   * instead and read the disk at its next start: no third answer exists.
   */
  | {
      readonly kind: 'commitFailed';
      readonly now: bigint;
      readonly generation: bigint;
      readonly detail: string;
    }
  /** The instant of the last `wakeAt` has come (early and needless ones do no harm). */
  | { readonly kind: 'timer'; readonly now: bigint };

/** Why the registry ends a stream. */
export type CloseReason =
  /** A newer stream of the same subscriber took its place. */
  | 'replaced'
  /** Nothing was heard from it for a whole lease. */
  | 'lease-expired'
  /** It broke the protocol. */
  | 'protocol-violation';

/** Why a rotation did not begin. Nothing has been sent to anybody. */
export type RefuseCode = 'rotation-in-progress' | 'unknown-service';

/** What the shell does, in the order given. */
export type CoordinatorAction =
  /** One message to many streams: encode once. Streams that are gone are skipped. */
  | { readonly kind: 'send'; readonly to: readonly StreamId[]; readonly message: ToSubscriber }
  /** Ends a stream. The coordinator has forgotten it; a `lost` that follows is ignored. */
  | { readonly kind: 'close'; readonly stream: StreamId; readonly reason: CloseReason }
  /** Makes this the committed generation, durably; then feed `committed` or `commitFailed`. */
  | { readonly kind: 'commit'; readonly rotationId: bigint; readonly material: Material }
  /**
   * Writes down that this subscriber exists, before any action that follows. It has to outlive the
   * process, and the power where the subscriber fences: a host may reboot within a lease.
   */
  | { readonly kind: 'remember'; readonly subscriber: KnownSubscriber }
  /** Deletes what `remember` wrote. */
  | { readonly kind: 'forget'; readonly subscriber: SubscriberName }
  | {
      readonly kind: 'refuse';
      readonly rotationId: bigint;
      readonly code: RefuseCode;
      readonly detail: string;
    }
  /**
   * The rotation's state, the outcome of one subscriber in it, or the fleet has changed: read what is
   * wanted of them when convenient, once for many.
   */
  | { readonly kind: 'changed'; readonly what: 'state' | 'outcome' | 'fleet' }
  /** The rotation's end: VERIFIED, INCOMPLETE or ABORTED. */
  | { readonly kind: 'finish'; readonly rotation: RotationView }
  /** Feed `timer` at this instant; replaces the one before. */
  | { readonly kind: 'wakeAt'; readonly at: bigint }
  /** Log: this process stood still for so many nanoseconds, and every lease begins anew. */
  | { readonly kind: 'stalled'; readonly forNs: bigint }
  /** Log loudly: somebody did what nobody should. */
  | { readonly kind: 'violation'; readonly subscriber: SubscriberName; readonly detail: string };

/** A rotation as it stands. Certificates, actor and wall-clock times are the shell's to add. */
export interface RotationView {
  readonly id: bigint;
  readonly kind: RotationKind;
  readonly state: RotationState;
  readonly fromGeneration: bigint;
  /** 0 while nothing is committed. */
  readonly toGeneration: bigint;
  readonly startedAt: bigint;
  readonly committedAt: bigint | undefined;
  /** The agreed instant. */
  readonly activateAt: bigint | undefined;
  /** When the last report of the kind came in, all being there. */
  readonly activatedAt: bigint | undefined;
  readonly verifiedAt: bigint | undefined;
  readonly finishedAt: bigint | undefined;
  /** In the order in which they were first seen. */
  readonly outcomes: readonly SubscriberOutcome[];
  /** Latest minus earliest swap reported; 0 with fewer than two. */
  readonly skewNs: bigint;
  /** Why nothing was switched, for people; empty otherwise. */
  readonly failure: string;
  readonly drainPrevious: boolean;
}

/** A subscriber as the registry sees it. */
export interface SubscriberView extends SubscriberName {
  readonly connected: boolean;
  /** What it said it serves; 0 for none or not yet known. */
  readonly generation: bigint;
  readonly fingerprintSha256: string;
  readonly version: string;
  readonly partitionPolicy: PartitionPolicy;
  /** Of its newest stream; undefined when it has not been seen by this process. */
  readonly connectedAt: bigint | undefined;
  /** Since when it serves that generation, as reported or, lacking that, first heard of. */
  readonly activeSince: bigint | undefined;
  readonly leaseUntil: bigint;
  readonly roundTripNs: bigint;
  /** Of its last Verified for that generation. */
  readonly ports: readonly PortObservation[];
}

/** A subscriber whose lease ran out not long ago, and which has not been heard of since. */
export interface GoneSubscriber extends SubscriberName {
  /** When its lease ran out. */
  readonly goneAt: bigint;
}

/** A subscriber whose stream is up or whose lease runs. */
interface Member {
  readonly key: string;
  readonly name: SubscriberName;
  partitionPolicy: PartitionPolicy;
  stream: StreamId | undefined;
  /** Welcome has gone out on the stream; it waits while a commit is being written. */
  welcomed: boolean;
  generation: bigint;
  fingerprintSha256: string;
  version: string;
  connectedAt: bigint | undefined;
  activeSince: bigint | undefined;
  leaseUntil: bigint;
  roundTripNs: bigint;
  ports: readonly PortObservation[];
}

interface Rotation {
  readonly request: RotateRequest;
  readonly material: Material;
  readonly fromGeneration: bigint;
  readonly startedAt: bigint;
  readonly prepareDeadline: bigint;
  readonly participants: Participants;
  /** When each Ready came, one after the other. */
  readonly readyAt: bigint[];
  stage: 'preparing' | 'committing' | 'activating';
  state: RotationState;
  committedAt: bigint | undefined;
  activateAt: bigint | undefined;
  /** Set with `activateAt`: up to when the others' reports are awaited. */
  reportsUntil: bigint | undefined;
  activatedAt: bigint | undefined;
  verifiedAt: bigint | undefined;
  finishedAt: bigint | undefined;
  failure: string;
}

/**
 * The machine. What its rules come down to:
 *
 * - **Nobody is welcomed while a commit is being written.** Who is welcomed gets a lease on what is
 *   active then; under FENCE that would outlive the instant. Their Welcome waits for the outcome.
 * - **Who was not ready is welcomed again** after the commit, on the stream it has: that tells it what
 *   is committed and from when, and it may still build it in time. Closing the stream would cost it
 *   a back-off first.
 * - **Verified means proved.** Whoever took part and is still there has to have shown the new certificate
 *   on its own ports, whether it was required, ready in time, or left behind. Who has left proves nothing
 *   and need not; where nobody is left there is nothing to prove. The end waits only for those who were ready.
 * - **A rotation does not end before its instant**, so that instants come in the order of generations.
 * - **After a restart** the instant that the former process told is not known. Where nobody fences, the
 *   committed generation is due at once. Where somebody does, nobody may swap before the last moment at
 *   which another may still hold the former generation for good reason: that is the longest lead from
 *   now, since the former process told its instant before it ended.
 * - **A registry that stood still has heard nobody.** Its timer comes several times in a lease, so a gap
 *   between two events shows it. Whoever was in the fleet before has a whole lease from then, as after a
 *   restart: silence counts against a subscriber only while somebody listens.
 */
export class Coordinator {
  readonly #clockId: string;
  readonly #lease: bigint;
  readonly #leaseMs: number;
  readonly #heartbeatIntervalMs: number;
  readonly #preparedLeaseMs: number;
  readonly #prepareTimeout: bigint;
  readonly #minLead: bigint;
  readonly #maxLead: bigint;
  readonly #leadRoundTrips: bigint;
  readonly #reportTimeout: bigint;
  readonly #wakeInterval: bigint;
  readonly #stall: bigint;

  readonly #members = new Map<string, Member>();
  readonly #streams = new Map<StreamId, Member>();
  /** Earliest first. */
  readonly #gone = new Map<string, GoneSubscriber>();
  #active: Material;
  /** When the active material is, or was, to be swapped to. */
  #activeAt: bigint;
  /** No generation up to this one is given out again. */
  #highestGeneration: bigint;
  #rotation: Rotation | undefined;
  #drain: { readonly belowGeneration: bigint; readonly graceMs: number } | undefined;

  /** Not later than the first lease that ends: leases only grow, so it is looked up when it comes. */
  #leaseCheckAt: bigint | undefined;
  /** A wake by which a stall would show: at most one interval ahead. */
  #nextWakeAt: bigint;
  #wakeAt: bigint | undefined;
  #now: bigint;
  #actions: CoordinatorAction[] = [];

  constructor(options: CoordinatorOptions, restored: RestoredState, now: bigint) {
    this.#clockId = options.clockId;
    this.#leaseMs = options.leaseMs ?? LEASE_MS;
    this.#lease = withDriftSlack(msToNs(this.#leaseMs));
    this.#heartbeatIntervalMs = options.heartbeatIntervalMs ?? this.#leaseMs / HEARTBEATS_PER_LEASE;
    this.#preparedLeaseMs = options.preparedLeaseMs ?? PREPARED_LEASE_MS;
    this.#prepareTimeout = msToNs(options.prepareTimeoutMs ?? PREPARE_TIMEOUT_MS);
    this.#minLead = msToNs(options.minLeadMs ?? MIN_LEAD_MS);
    this.#maxLead = msToNs(options.maxLeadMs ?? MAX_LEAD_MS);
    this.#leadRoundTrips = BigInt(options.leadRoundTrips ?? LEAD_ROUND_TRIPS);
    this.#reportTimeout = msToNs(options.reportTimeoutMs ?? REPORT_TIMEOUT_MS);
    this.#wakeInterval = this.#lease / WAKES_PER_LEASE;
    this.#stall = this.#wakeInterval * WAKES_MISSED_PER_STALL;
    this.#now = now;
    this.#nextWakeAt = now;
    this.#active = restored.active;
    this.#highestGeneration = restored.active.generation;
    this.#drain = restored.drain;
    for (const { service, instance, partitionPolicy } of restored.known) {
      const key = keyOf({ service, instance });
      this.#members.set(key, {
        key,
        name: { service, instance },
        partitionPolicy,
        stream: undefined,
        welcomed: false,
        generation: 0n,
        fingerprintSha256: '',
        version: '',
        connectedAt: undefined,
        activeSince: undefined,
        leaseUntil: now + this.#lease,
        roundTripNs: 0n,
        ports: [],
      });
      this.#leaseCheckAt = now + this.#lease;
    }
    const fenceLead = this.#fenceLead;
    this.#activeAt = fenceLead > 0n ? now + max(fenceLead, this.#maxLead) : now;
  }

  /** Takes one event and says what to do about it. @throws nothing. */
  handle(event: CoordinatorEvent): CoordinatorAction[] {
    this.#actions = [];
    const unheard = event.now - this.#now;
    this.#now = event.now;
    // with nobody in the fleet no timer comes, and a gap is none
    if (unheard > this.#stall && this.#members.size > 0) this.#takeStall(unheard);
    switch (event.kind) {
      case 'connected':
        this.#connect(event.stream, event.hello);
        break;
      case 'message': {
        const member = this.#streams.get(event.stream);
        if (member !== undefined) this.#receive(member, event.stream, event.message);
        break;
      }
      case 'lost':
        this.#lose(event.stream, event.goodbye);
        break;
      case 'rotate':
        this.#rotate(event.request);
        break;
      case 'committed':
        this.#takeCommitted(event.generation);
        break;
      case 'commitFailed':
        this.#takeCommitFailed(event.generation, event.detail);
        break;
      case 'timer':
        // The shell's timer is used up; one that came too early has to be set again.
        this.#wakeAt = undefined;
        break;
    }
    this.#expireLeases();
    this.#forgetTheGone();
    this.#advance();
    this.#askForTimer();
    return this.#actions;
  }

  /** The committed material. */
  get active(): Material {
    return this.#active;
  }

  /** The rotation under way, or undefined. */
  get rotation(): RotationView | undefined {
    return this.#rotation && viewOf(this.#rotation);
  }

  /** Everybody whose stream is up or whose lease runs. */
  get fleet(): SubscriberView[] {
    return [...this.#members.values()].map(
      ({ key: _, name, stream, welcomed: __, ...rest }): SubscriberView => ({
        ...name,
        ...rest,
        connected: stream !== undefined,
      }),
    );
  }

  /** Whose lease ran out not long ago: presumed gone, and nobody has shown that it is. */
  get gone(): GoneSubscriber[] {
    return [...this.#gone.values()];
  }

  /** Who would take part in a rotation under this policy now, and who of them is required. */
  preview(require: RequiredSubscribers): SubscriberOutcome[] {
    return [...this.#members.values()].map((member) =>
      outcomeOf(asParticipant(member, require), undefined),
    );
  }

  // ---- streams ----------------------------------------------------------------------------------

  #connect(stream: StreamId, hello: Hello): void {
    const { service, instance } = hello;
    const name = { service, instance };
    if (service === '' || instance === '' || instance.length > MAX_INSTANCE_LENGTH) {
      this.#act({ kind: 'close', stream, reason: 'protocol-violation' });
      return;
    }
    const key = keyOf(name);
    const before = this.#members.get(key);
    if (before?.stream !== undefined) this.#close(before, before.stream, 'replaced');

    const member: Member = {
      key,
      name,
      partitionPolicy: hello.partitionPolicy,
      stream,
      welcomed: false,
      generation: hello.generation,
      fingerprintSha256: hello.fingerprintSha256,
      version: hello.version,
      connectedAt: this.#now,
      activeSince: before?.generation === hello.generation ? before.activeSince : this.#now,
      leaseUntil: this.#now + this.#lease,
      roundTripNs: before?.roundTripNs ?? 0n,
      ports: before?.generation === hello.generation ? before.ports : [],
    };
    this.#gone.delete(key);
    this.#members.set(key, member);
    this.#streams.set(stream, member);
    this.#leaseCheckAt ??= member.leaseUntil;
    if (before?.partitionPolicy !== hello.partitionPolicy) {
      const { partitionPolicy } = hello;
      this.#act({ kind: 'remember', subscriber: { ...name, partitionPolicy } });
    }
    this.#believeGeneration(member);
    this.#act({ kind: 'changed', what: 'fleet' });

    const rotation = this.#rotation;
    if (rotation?.stage === 'committing') return;
    this.#welcome(member, stream);
    if (rotation?.stage === 'preparing') {
      rotation.participants.set(key, asParticipant(member, rotation.request.require));
      this.#sendPrepare(rotation, [stream]);
    } else if (rotation?.stage === 'activating' && hello.generation === this.#active.generation) {
      // Its report was lost with the stream; that it serves the new generation says enough.
      this.#markActive(rotation, key, undefined);
    }
  }

  /**
   * A subscriber that serves a newer generation than is committed here has seen what this disk has
   * forgotten: a backup was restored. Its number is skipped, so that the next switch moves everybody.
   */
  #believeGeneration(member: Member): void {
    const { generation, name } = member;
    if (generation <= this.#active.generation) return;
    const detail = `serves generation ${generation}, ${this.#active.generation} is committed here`;
    this.#act({ kind: 'violation', subscriber: name, detail });
    if (generation > this.#active.generation + MAX_GENERATION_GAP) return;
    if (generation > this.#highestGeneration) this.#highestGeneration = generation;
  }

  #welcome(member: Member, stream: StreamId): void {
    member.welcomed = true;
    member.leaseUntil = this.#now + this.#lease;
    this.#send([stream], {
      $case: 'welcome',
      value: {
        clockId: this.#clockId,
        registryTimeNs: this.#now,
        leaseMs: this.#leaseMs,
        heartbeatIntervalMs: this.#heartbeatIntervalMs,
        preparedLeaseMs: this.#preparedLeaseMs,
        material: this.#active,
        activateAtNs: this.#activeAt,
      },
    });
    this.#sendDrain(member);
  }

  #lose(stream: StreamId, goodbye: boolean): void {
    const member = this.#streams.get(stream);
    if (member === undefined) return;
    this.#streams.delete(stream);
    member.stream = undefined;
    member.welcomed = false;
    if (goodbye) this.#forget(member, 'goodbye', 'stopped');
    else this.#markLost(member, 'stream-lost', 'its stream broke');
    this.#act({ kind: 'changed', what: 'fleet' });
  }

  #close(member: Member, stream: StreamId, reason: CloseReason): void {
    this.#act({ kind: 'close', stream, reason });
    this.#streams.delete(stream);
    member.stream = undefined;
    member.welcomed = false;
    this.#markLost(member, 'stream-lost', `its stream was closed: ${reason}`);
  }

  /** Nothing is served under its name any more, as far as this clock can tell: it holds nobody back. */
  #forget(member: Member, code: string, detail: string): void {
    this.#members.delete(member.key);
    this.#act({ kind: 'forget', subscriber: member.name });
    this.#markLost(member, code, detail);
    const { participants } = this.#rotation ?? {};
    const participant = participants?.get(member.key);
    if (participants === undefined || participant === undefined) return;
    participant.required = false;
    participants.leave(participant);
  }

  #markLost(member: Member, code: string, detail: string): void {
    const rotation = this.#rotation;
    const participant = rotation?.participants.get(member.key);
    if (rotation === undefined || participant === undefined) return;
    if (isSettled(participant.phase)) return;
    // Why it was not ready stays known.
    if (participant.phase === SubscriberPhase.SUBSCRIBER_PHASE_REJECTED) return;
    rotation.participants.move(participant, SubscriberPhase.SUBSCRIBER_PHASE_LOST, code, detail);
    this.#act({ kind: 'changed', what: 'outcome' });
  }

  #expireLeases(): void {
    if (this.#leaseCheckAt === undefined || this.#leaseCheckAt > this.#now) return;
    this.#leaseCheckAt = undefined;
    for (const member of this.#members.values()) {
      if (member.leaseUntil <= this.#now) {
        if (member.stream !== undefined) this.#close(member, member.stream, 'lease-expired');
        this.#gone.set(member.key, { ...member.name, goneAt: this.#now });
        this.#forget(member, 'lease-expired', 'was lost, and its lease has run out');
        this.#act({ kind: 'changed', what: 'fleet' });
      } else if (this.#leaseCheckAt === undefined || member.leaseUntil < this.#leaseCheckAt) {
        this.#leaseCheckAt = member.leaseUntil;
      }
    }
  }

  /**
   * Nobody could be heard: heartbeats wait unread, and streams that broke have yet to say so. What the
   * leases were is no longer known, so each is whole from now; so is the time for reports. The deadline of a
   * prepare stands: nothing is switched, and whoever asked may ask again.
   */
  #takeStall(forNs: bigint): void {
    for (const member of this.#members.values()) member.leaseUntil = this.#now + this.#lease;
    const rotation = this.#rotation;
    if (rotation?.reportsUntil !== undefined) {
      rotation.reportsUntil = this.#now + this.#reportTimeout;
    }
    this.#act({ kind: 'stalled', forNs });
    this.#act({ kind: 'changed', what: 'fleet' });
  }

  #forgetTheGone(): void {
    for (const [key, { goneAt }] of this.#gone) {
      if (this.#gone.size <= MAX_GONE && this.#now < goneAt + msToNs(GONE_MS)) return;
      this.#gone.delete(key);
      this.#act({ kind: 'changed', what: 'fleet' });
    }
  }

  // ---- messages ---------------------------------------------------------------------------------

  #receive(member: Member, stream: StreamId, message: FromSubscriber): void {
    if (message.$case === 'hello') {
      this.#act({ kind: 'violation', subscriber: member.name, detail: 'second hello on a stream' });
      this.#close(member, stream, 'protocol-violation');
      return;
    }
    if (!member.welcomed) return;
    switch (message.$case) {
      case 'heartbeat':
        this.#takeHeartbeat(member, stream, message.value.sentAtNs, message.value.roundTripNs);
        break;
      case 'ready':
        this.#takeReady(member, message.value);
        break;
      case 'rejected':
        this.#takeRejected(member, message.value);
        break;
      case 'activated':
        this.#takeActivated(member, message.value);
        break;
      case 'verified':
        this.#takeVerified(member, message.value);
        break;
    }
  }

  #takeHeartbeat(member: Member, stream: StreamId, sentAtNs: bigint, roundTripNs: bigint): void {
    member.roundTripNs = clamp(roundTripNs, 0n, MAX_ROUND_TRIP_NS);
    member.leaseUntil = this.#now + this.#lease;
    this.#send([stream], {
      $case: 'heartbeatAck',
      value: { sentAtNs, registryTimeNs: this.#now, leaseMs: this.#leaseMs },
    });
  }

  /** The participant that this answer to the prepare under way is from. */
  #answering(member: Member, nonce: string): Participant | undefined {
    const rotation = this.#rotation;
    if (rotation?.stage !== 'preparing' || rotation.request.nonce !== nonce) return undefined;
    const participant = rotation.participants.get(member.key);
    const open = participant?.phase === SubscriberPhase.SUBSCRIBER_PHASE_PREPARING;
    return open ? participant : undefined;
  }

  #takeReady(member: Member, ready: Ready): void {
    const participant = this.#answering(member, ready.nonce);
    const rotation = this.#rotation;
    if (rotation === undefined || participant === undefined) return;
    rotation.participants.move(participant, SubscriberPhase.SUBSCRIBER_PHASE_READY);
    rotation.readyAt.push(this.#now);
    this.#act({ kind: 'changed', what: 'outcome' });
  }

  #takeRejected(member: Member, rejected: Rejected): void {
    const participant =
      this.#answering(member, rejected.nonce) ?? this.#catchingUp(member, rejected.generation);
    if (participant === undefined) return;
    this.#rotation?.participants.move(
      participant,
      SubscriberPhase.SUBSCRIBER_PHASE_REJECTED,
      rejected.code,
      rejected.detail,
    );
    this.#act({ kind: 'changed', what: 'outcome' });
  }

  /** A participant that was left behind by the commit and can't use what Welcome brought either. */
  #catchingUp(member: Member, generation: bigint): Participant | undefined {
    const rotation = this.#rotation;
    if (rotation?.stage !== 'activating' || generation !== this.#active.generation)
      return undefined;
    const participant = rotation.participants.get(member.key);
    return participant === undefined || isSwapped(participant.phase) ? undefined : participant;
  }

  #takeActivated(member: Member, activated: Activated): void {
    if (activated.generation > this.#active.generation) {
      const detail = `swapped to generation ${activated.generation}, which is not committed`;
      this.#act({ kind: 'violation', subscriber: member.name, detail });
      return;
    }
    if (activated.generation < member.generation) return;
    member.generation = activated.generation;
    member.fingerprintSha256 = activated.fingerprintSha256;
    member.activeSince = min(activated.atNs, this.#now);
    member.ports = [];
    this.#act({ kind: 'changed', what: 'fleet' });
    const rotation = this.#rotation;
    if (rotation?.stage === 'activating' && activated.generation === this.#active.generation) {
      this.#markActive(rotation, member.key, activated.atNs);
    }
    this.#sendDrain(member);
  }

  #markActive(rotation: Rotation, key: string, swappedAt: bigint | undefined): void {
    const participant = rotation.participants.get(key);
    if (participant === undefined || isSettled(participant.phase)) return;
    rotation.participants.move(participant, SubscriberPhase.SUBSCRIBER_PHASE_ACTIVE);
    participant.swappedAt ??= swappedAt;
    this.#act({ kind: 'changed', what: 'outcome' });
  }

  #takeVerified(member: Member, verified: Verified): void {
    if (verified.generation !== member.generation) return;
    member.ports = verified.ports;
    this.#act({ kind: 'changed', what: 'fleet' });
    const rotation = this.#rotation;
    const participant = rotation?.participants.get(member.key);
    if (rotation?.stage !== 'activating' || participant === undefined) return;
    if (verified.generation !== this.#active.generation) return;
    participant.ports = member.ports;
    const doubt = doubtOf(member.ports, this.#active.fingerprintSha256);
    if (doubt === undefined) {
      rotation.participants.move(participant, SubscriberPhase.SUBSCRIBER_PHASE_VERIFIED);
    } else {
      const { code, detail } = doubt;
      const phase = SubscriberPhase.SUBSCRIBER_PHASE_UNVERIFIED;
      rotation.participants.move(participant, phase, code, detail);
    }
    this.#act({ kind: 'changed', what: 'outcome' });
  }

  // ---- the rotation -----------------------------------------------------------------------------

  #rotate(request: RotateRequest): void {
    const refuse = (code: RefuseCode, detail: string) =>
      this.#act({ kind: 'refuse', rotationId: request.id, code, detail });
    if (this.#rotation !== undefined) {
      refuse('rotation-in-progress', `rotation ${this.#rotation.request.id} is under way`);
      return;
    }
    const { require } = request;
    if (require.kind === 'services') {
      const live = new Set([...this.#members.values()].map((member) => member.name.service));
      const unknown = require.services.find((service) => !live.has(service));
      if (unknown !== undefined) {
        refuse('unknown-service', `no subscriber of service ${unknown} is alive`);
        return;
      }
    }
    const timeout =
      request.prepareTimeoutMs === undefined
        ? this.#prepareTimeout
        : msToNs(request.prepareTimeoutMs);
    const rotation: Rotation = {
      request,
      material: { ...request.material, generation: this.#highestGeneration + 1n },
      fromGeneration: this.#active.generation,
      startedAt: this.#now,
      prepareDeadline: this.#now + timeout,
      participants: new Participants(),
      readyAt: [],
      stage: 'preparing',
      state: RotationState.ROTATION_STATE_PREPARING,
      committedAt: undefined,
      activateAt: undefined,
      reportsUntil: undefined,
      activatedAt: undefined,
      verifiedAt: undefined,
      finishedAt: undefined,
      failure: '',
    };
    for (const [key, member] of this.#members) {
      rotation.participants.set(key, asParticipant(member, require));
    }
    for (const [key, gone] of this.#gone) rotation.participants.set(key, asGone(gone));
    this.#rotation = rotation;
    this.#act({ kind: 'changed', what: 'state' });
    this.#sendPrepare(rotation, [...this.#streams.keys()]);
  }

  #sendPrepare(rotation: Rotation, to: readonly StreamId[]): void {
    const { material, request, prepareDeadline } = rotation;
    const timeoutMs = Math.max(1, Number((prepareDeadline - this.#now) / 1_000_000n));
    this.#send(to, { $case: 'prepare', value: { material, nonce: request.nonce, timeoutMs } });
  }

  /** Moves the rotation on if what it waits for has come. */
  #advance(): void {
    const rotation = this.#rotation;
    if (rotation?.stage === 'preparing') this.#advancePrepare(rotation);
    else if (rotation?.stage === 'activating') this.#advanceReports(rotation);
  }

  #advancePrepare(rotation: Rotation): void {
    const { participants } = rotation;
    const late = rotation.prepareDeadline <= this.#now;
    if (late) markLate(participants);
    const rejected = participants.inPhase(SubscriberPhase.SUBSCRIBER_PHASE_REJECTED);
    let waits = participants.inPhase(SubscriberPhase.SUBSCRIBER_PHASE_PREPARING) > 0;
    if (waits && rejected === 0) return;
    for (const participant of participants) {
      const { phase, required } = participant;
      if (!required || phase === SubscriberPhase.SUBSCRIBER_PHASE_READY) continue;
      if (late || phase === SubscriberPhase.SUBSCRIBER_PHASE_REJECTED) {
        this.#abort(rotation, `${describe(participant)}; nothing was switched`);
        return;
      }
      waits = true;
    }
    if (waits) return;
    participants.countTheReady();
    rotation.stage = 'committing';
    this.#highestGeneration = max(this.#highestGeneration, rotation.material.generation);
    const { material, request } = rotation;
    this.#act({ kind: 'commit', rotationId: request.id, material });
  }

  #takeCommitted(generation: bigint): void {
    const rotation = this.#rotation;
    if (rotation?.stage !== 'committing' || rotation.material.generation !== generation) return;
    const activateAt = this.#instantFor(rotation);
    rotation.stage = 'activating';
    rotation.state = RotationState.ROTATION_STATE_COMMITTED;
    rotation.committedAt = this.#now;
    rotation.activateAt = activateAt;
    rotation.reportsUntil = activateAt + this.#reportTimeout;
    this.#active = rotation.material;
    this.#activeAt = activateAt;

    const prepared: StreamId[] = [];
    const behind: Member[] = [];
    for (const [stream, member] of this.#streams) {
      // Only who was ready on this very stream holds what Activate speaks of.
      const counted = rotation.participants.get(member.key)?.counted === true;
      if (counted && member.welcomed) prepared.push(stream);
      else behind.push(member);
    }
    const { nonce } = rotation.request;
    this.#send(prepared, { $case: 'activate', value: { generation, nonce, atNs: activateAt } });
    for (const member of behind) {
      if (member.stream !== undefined) this.#welcome(member, member.stream);
    }
    // a view of a large rotation takes its time: everybody has heard of the instant before
    this.#act({ kind: 'changed', what: 'state' });
  }

  /**
   * Late enough that every activate has arrived by then and every undecided lease has run out. How long
   * it takes to reach everybody shows in how far apart the answers to prepare came: they went the same
   * way to as many, and what is as busy as it was then may become busier by half. The last few are left
   * out, so that one slow builder does not delay the fleet.
   */
  #instantFor(rotation: Rotation): bigint {
    let worstTrip = 0n;
    for (const member of this.#streams.values()) {
      if (member.roundTripNs > worstTrip) worstTrip = member.roundTripNs;
    }
    const lead = max(worstTrip * this.#leadRoundTrips, (spreadOf(rotation.readyAt) * 3n) / 2n);
    const bounded = max(min(max(lead, this.#minLead), this.#maxLead), this.#fenceLead);
    return max(this.#now + bounded, this.#activeAt);
  }

  /** How long somebody who waits for an outcome may go on serving; 0 when nobody fences. */
  get #fenceLead(): bigint {
    for (const { partitionPolicy } of this.#members.values()) {
      if (partitionPolicy === PartitionPolicy.PARTITION_POLICY_FENCE) {
        return withDriftSlack(msToNs(this.#preparedLeaseMs));
      }
    }
    return 0n;
  }

  #takeCommitFailed(generation: bigint, detail: string): void {
    const rotation = this.#rotation;
    if (rotation?.stage !== 'committing' || rotation.material.generation !== generation) return;
    this.#abort(rotation, `the switch could not be written down: ${detail}`);
  }

  #abort(rotation: Rotation, failure: string): void {
    const { nonce } = rotation.request;
    const { generation } = rotation.material;
    rotation.state = RotationState.ROTATION_STATE_ABORTED;
    rotation.failure = failure;
    const to: StreamId[] = [];
    for (const [stream, member] of this.#streams) {
      if (member.welcomed) to.push(stream);
      else this.#welcome(member, stream);
    }
    this.#send(to, { $case: 'abort', value: { generation, nonce } });
    this.#finish(rotation);
  }

  #advanceReports(rotation: Rotation): void {
    const { activateAt, reportsUntil } = rotation;
    if (activateAt === undefined || activateAt > this.#now) return;
    const late = reportsUntil !== undefined && reportsUntil <= this.#now;
    const counted = rotation.participants;
    const unswapped = counted.inPhase(SubscriberPhase.SUBSCRIBER_PHASE_READY);
    if (unswapped > 0 && !late) return;
    const unreported = unswapped + counted.inPhase(SubscriberPhase.SUBSCRIBER_PHASE_ACTIVE);
    const lost = counted.inPhase(SubscriberPhase.SUBSCRIBER_PHASE_LOST);
    // Whoever is lost or was left behind holds nobody back: the drain and the end wait for the others alone.
    if (rotation.activatedAt === undefined) {
      if (unswapped + lost === 0) {
        rotation.activatedAt = this.#now;
        rotation.state = RotationState.ROTATION_STATE_ACTIVATED;
        this.#act({ kind: 'changed', what: 'state' });
      }
      this.#startDrain(rotation);
    }
    if (unreported > 0 && !late) return;
    const proved = this.#isProved(rotation);
    if (proved) rotation.verifiedAt = this.#now;
    rotation.state = proved
      ? RotationState.ROTATION_STATE_VERIFIED
      : RotationState.ROTATION_STATE_INCOMPLETE;
    this.#finish(rotation);
  }

  /** Everybody who took part and is still there has shown the new certificate, ready in time or not. */
  #isProved({ participants }: Rotation): boolean {
    for (const { name, phase } of participants) {
      const verified = phase === SubscriberPhase.SUBSCRIBER_PHASE_VERIFIED;
      if (!verified && this.#members.has(keyOf(name))) return false;
    }
    return true;
  }

  #finish(rotation: Rotation): void {
    rotation.finishedAt = this.#now;
    this.#rotation = undefined;
    this.#act({ kind: 'finish', rotation: viewOf(rotation) });
    this.#act({ kind: 'changed', what: 'state' });
  }

  // ---- draining ---------------------------------------------------------------------------------

  /** Begins once those who are there have swapped; others are told when they report the swap. */
  #startDrain(rotation: Rotation): void {
    const { drainGraceMs } = rotation.request;
    const belowGeneration = rotation.material.generation;
    if (drainGraceMs === undefined || this.#drain?.belowGeneration === belowGeneration) return;
    this.#drain = { belowGeneration, graceMs: drainGraceMs };
    const to: StreamId[] = [];
    for (const [stream, member] of this.#streams) {
      if (member.welcomed && member.generation >= belowGeneration) to.push(stream);
    }
    this.#send(to, { $case: 'drain', value: this.#drain });
  }

  #sendDrain(member: Member): void {
    if (this.#drain === undefined || member.stream === undefined) return;
    if (member.generation < this.#drain.belowGeneration) return;
    this.#send([member.stream], { $case: 'drain', value: this.#drain });
  }

  // ---- actions ----------------------------------------------------------------------------------

  #act(action: CoordinatorAction): void {
    this.#actions.push(action);
  }

  #send(to: readonly StreamId[], message: ToSubscriber): void {
    if (to.length > 0) this.#act({ kind: 'send', to, message });
  }

  #askForTimer(): void {
    let next = this.#leaseCheckAt;
    const consider = (at: bigint) => {
      if (at > this.#now && (next === undefined || at < next)) next = at;
    };
    const rotation = this.#rotation;
    if (rotation?.stage === 'preparing') consider(rotation.prepareDeadline);
    if (rotation?.activateAt !== undefined) consider(rotation.activateAt);
    if (rotation?.reportsUntil !== undefined) consider(rotation.reportsUntil);
    if (this.#members.size + this.#gone.size > 0) {
      // moved on only once it has passed: else every event would set the shell's timer anew
      if (this.#nextWakeAt <= this.#now) this.#nextWakeAt = this.#now + this.#wakeInterval;
      consider(this.#nextWakeAt);
    }
    if (next === undefined || next === this.#wakeAt) return;
    this.#wakeAt = next;
    this.#act({ kind: 'wakeAt', at: next });
  }
}

/** What its own ports leave unproved; undefined when each served the wanted certificate. */
function doubtOf(
  ports: readonly PortObservation[],
  wanted: string,
): { readonly code: string; readonly detail: string } | undefined {
  if (ports.length === 0) return { code: 'no-ports', detail: 'no port of its own was looked at' };
  const odd = ports.find((port) => port.fingerprintSha256 !== wanted);
  if (odd === undefined) return undefined;
  const why = odd.error === '' ? 'served another certificate' : odd.error;
  return { code: 'unverified', detail: `${odd.listener}: ${why}` };
}

function markLate(participants: Participants): void {
  for (const participant of participants) {
    if (participant.phase !== SubscriberPhase.SUBSCRIBER_PHASE_PREPARING) continue;
    const detail = 'did not answer before the deadline';
    participants.move(participant, SubscriberPhase.SUBSCRIBER_PHASE_LATE, 'too-late', detail);
  }
}

function asParticipant(member: Member, require: RequiredSubscribers): Participant {
  const { name, stream } = member;
  return participantFor({ name, connected: stream !== undefined }, require);
}

/** Named in the result, so that nobody takes those who are there for the whole fleet; awaited by nobody. */
function asGone({ service, instance }: GoneSubscriber): Participant {
  const participant = participantFor(
    { name: { service, instance }, connected: false },
    { kind: 'none' },
  );
  return { ...participant, code: 'lease-expired', detail: 'was lost, and its lease has run out' };
}

function viewOf(rotation: Rotation): RotationView {
  const { request, material, committedAt, activateAt } = rotation;
  const participants = [...rotation.participants];
  let [earliest, latest]: [bigint | undefined, bigint | undefined] = [undefined, undefined];
  for (const { swappedAt } of participants) {
    if (swappedAt === undefined) continue;
    if (earliest === undefined || swappedAt < earliest) earliest = swappedAt;
    if (latest === undefined || swappedAt > latest) latest = swappedAt;
  }
  return {
    id: request.id,
    kind: request.rotationKind,
    state: rotation.state,
    fromGeneration: rotation.fromGeneration,
    toGeneration: committedAt === undefined ? 0n : material.generation,
    startedAt: rotation.startedAt,
    committedAt,
    activateAt,
    activatedAt: rotation.activatedAt,
    verifiedAt: rotation.verifiedAt,
    finishedAt: rotation.finishedAt,
    outcomes: participants.map((participant) => outcomeOf(participant, activateAt)),
    skewNs: earliest === undefined || latest === undefined ? 0n : latest - earliest,
    failure: rotation.failure,
    drainPrevious: request.drainGraceMs !== undefined,
  };
}

/** From the first of ascending instants to the one by which most of them had come. */
function spreadOf(instants: readonly bigint[]): bigint {
  const most = Math.floor(((instants.length - 1) * SPREAD_PERCENT) / 100);
  const [first, last] = [instants[0], instants[most]];
  return first === undefined || last === undefined ? 0n : last - first;
}

/** Service names come from identities and contain no line break. */
function keyOf({ service, instance }: SubscriberName): string {
  return `${service}\n${instance}`;
}

function withDriftSlack(duration: bigint): bigint {
  return duration + (duration * DRIFT_SLACK_PER_MILLE) / 1_000n;
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

function clamp(value: bigint, least: bigint, most: bigint): bigint {
  if (value < least) return least;
  return value > most ? most : value;
}

function msToNs(ms: number): bigint {
  return BigInt(Math.round(ms * 1_000_000));
}
