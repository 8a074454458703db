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
import type {
  Material,
  PartitionPolicy,
  PortObservation,
  SubscribeRequest,
  SubscribeResponse,
} from '@mail/proto';

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
  /** Heartbeats sent one after the other after Welcome, for a good first clock sample. Default 5. */
  readonly burst?: number;
}

/** What happens to a subscriber. `now` is local and never goes back. */
export type SubscriberEvent =
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
   * timer stands between the instant and the swap. Replaces any schedule that is not yet due.
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
  readonly clock: { readonly offsetNs: bigint; readonly errorNs: bigint } | undefined;
  /** Smallest round trip on this stream; 0 before the first. */
  readonly roundTripNs: bigint;
}

export declare class Subscriber {
  constructor(options: SubscriberOptions);
  /**
   * Takes one event and says what to do about it. `now` of an event must not be before the last one's.
   * @throws nothing: what the registry does wrong becomes `violation` and `reconnect`.
   */
  handle(event: SubscriberEvent): SubscriberAction[];
  /** How it stands at the last event. */
  get status(): SubscriberStatus;
}
