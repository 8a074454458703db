/**
 * The registry's half of the switch, as a pure state machine: who is in the fleet, whose lease runs, and
 * how a rotation goes from prepare over commit to activate, or ends unswitched. It does no I/O, reads
 * no clock and draws no randomness: events go in, actions come out, and the shell carries these out
 * **in order**. gRPC streams, the database, keys and the operator's calls are the shell's.
 *
 * Instants are nanoseconds on this process's monotonic clock. Material passes through by reference and
 * is never looked into beyond its generation and fingerprint; no view of a rotation contains it.
 */
import type {
  Hello,
  Material,
  PartitionPolicy,
  PortObservation,
  RotationKind,
  RotationState,
  SubscribeRequest,
  SubscribeResponse,
  SubscriberOutcome,
} from '@mail/proto';

/** One Subscribe stream; the shell numbers them and never uses a number twice. */
export type StreamId = number;

/** What a subscriber says, as ts-proto makes it. */
export type FromSubscriber = NonNullable<SubscribeRequest['message']>;

/** What the registry says, as ts-proto makes it. */
export type ToSubscriber = NonNullable<SubscribeResponse['message']>;

/** A subscriber by name: an authenticated service and an instance of it. */
export interface SubscriberName {
  readonly service: string;
  readonly instance: string;
}

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
  /** And on top, per subscriber, for the fan-out of activate. Default 0.05. */
  readonly leadPerSubscriberMs?: number;
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

/** Who must be ready before anything is switched. */
export type RequiredSubscribers =
  | { readonly kind: 'all' }
  | { readonly kind: 'services'; readonly services: readonly string[] }
  | { readonly kind: 'none' };

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
   * process, not the power: a host that reboots is away for longer than a lease.
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
  /** `rotation` or `fleet` changed: read what is wanted of them when convenient, once for many. */
  | { readonly kind: 'changed'; readonly what: 'rotation' | 'fleet' }
  /** The rotation's end: VERIFIED, INCOMPLETE or ABORTED. */
  | { readonly kind: 'finish'; readonly rotation: RotationView }
  /** Feed `timer` at this instant; replaces the one before. */
  | { readonly kind: 'wakeAt'; readonly at: bigint }
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

export declare class Coordinator {
  constructor(options: CoordinatorOptions, restored: RestoredState, now: bigint);
  /** Takes one event and says what to do about it. @throws nothing. */
  handle(event: CoordinatorEvent): CoordinatorAction[];
  /** The committed material. */
  get active(): Material;
  /** The rotation under way, or undefined. */
  get rotation(): RotationView | undefined;
  /** Everybody whose stream is up or whose lease runs. */
  get fleet(): SubscriberView[];
  /** Who would take part in a rotation under this policy now, and who of them is required. */
  preview(require: RequiredSubscribers): SubscriberOutcome[];
}
