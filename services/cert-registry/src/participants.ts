/**
 * The fleet's part in one rotation, as the coordinator's pure machine keeps it: what each subscriber has
 * said so far, and how many stand where, so that the answer of one in a thousand needs no look at the
 * others. What the phases lead to is the coordinator's.
 */
import { type PortObservation, type SubscriberOutcome, SubscriberPhase } from '@mail/proto';

/** A subscriber by name: an authenticated service and an instance of it. */
export interface SubscriberName {
  readonly service: string;
  readonly instance: string;
}

/** Who must be ready before anything is switched. */
export type RequiredSubscribers =
  | { readonly kind: 'all' }
  | { readonly kind: 'services'; readonly services: readonly string[] }
  | { readonly kind: 'none' };

/** One subscriber's part. It outlives the subscriber. */
export interface Participant {
  readonly name: SubscriberName;
  required: boolean;
  /** Changes by `Participants.move` alone, with its code and detail. */
  readonly phase: SubscriberPhase;
  readonly code: string;
  readonly detail: string;
  /** It was ready when the commit was decided, and has not left: Activate is for it, its reports are awaited. */
  readonly counted: boolean;
  swappedAt: bigint | undefined;
  ports: readonly PortObservation[];
}

type Phase = { -readonly [Key in 'phase' | 'code' | 'detail' | 'counted']: Participant[Key] };

export class Participants {
  readonly #all = new Map<string, Participant>();
  /** Of everybody, and once the commit is decided of those who are counted. */
  #tally = new Map<SubscriberPhase, number>();
  #decided = false;

  get(key: string): Participant | undefined {
    return this.#all.get(key);
  }

  /** Before the commit is decided; takes the place of who was there under that key. */
  set(key: string, participant: Participant): void {
    const before = this.#all.get(key);
    if (before !== undefined) this.#count(before.phase, -1);
    this.#all.set(key, participant);
    this.#count(participant.phase, 1);
  }

  move(participant: Participant, phase: SubscriberPhase, code = '', detail = ''): void {
    if (!this.#decided || participant.counted) {
      this.#count(participant.phase, -1);
      this.#count(phase, 1);
    }
    Object.assign<Participant, Partial<Phase>>(participant, { phase, code, detail });
  }

  /** The commit is decided: who is ready is counted from now on, and nobody else. */
  countTheReady(): void {
    this.#decided = true;
    const ready = this.inPhase(SubscriberPhase.SUBSCRIBER_PHASE_READY);
    this.#tally = new Map([[SubscriberPhase.SUBSCRIBER_PHASE_READY, ready]]);
    for (const participant of this.#all.values()) {
      const counted = participant.phase === SubscriberPhase.SUBSCRIBER_PHASE_READY;
      Object.assign<Participant, Partial<Phase>>(participant, { counted });
    }
  }

  /** It has left for good: after the commit nothing of it is awaited any more. */
  leave(participant: Participant): void {
    if (!participant.counted) return;
    this.#count(participant.phase, -1);
    Object.assign<Participant, Partial<Phase>>(participant, { counted: false });
  }

  /** How many; of everybody before the commit is decided, then of those who are counted. */
  inPhase(phase: SubscriberPhase): number {
    return this.#tally.get(phase) ?? 0;
  }

  /** In the order in which they were first seen. */
  [Symbol.iterator](): MapIterator<Participant> {
    return this.#all.values();
  }

  #count(phase: SubscriberPhase, by: 1 | -1): void {
    this.#tally.set(phase, (this.#tally.get(phase) ?? 0) + by);
  }
}

/** As a rotation finds it at its beginning. */
export function participantFor(
  { name, connected }: { readonly name: SubscriberName; readonly connected: boolean },
  require: RequiredSubscribers,
): Participant {
  return {
    name,
    required:
      require.kind === 'all' ||
      (require.kind === 'services' && require.services.includes(name.service)),
    phase: connected
      ? SubscriberPhase.SUBSCRIBER_PHASE_PREPARING
      : SubscriberPhase.SUBSCRIBER_PHASE_LOST,
    code: connected ? '' : 'stream-lost',
    detail: connected ? '' : 'it was lost before, and its lease still runs',
    counted: false,
    swappedAt: undefined,
    ports: [],
  };
}

/** Its part in the rotation is over. */
export function isSettled(phase: SubscriberPhase): boolean {
  return (
    phase === SubscriberPhase.SUBSCRIBER_PHASE_VERIFIED ||
    phase === SubscriberPhase.SUBSCRIBER_PHASE_UNVERIFIED
  );
}

export function isSwapped(phase: SubscriberPhase): boolean {
  return phase === SubscriberPhase.SUBSCRIBER_PHASE_ACTIVE || isSettled(phase);
}

/** Why it stood in the way, for people. */
export function describe({ name, phase, code, detail }: Participant): string {
  const what =
    phase === SubscriberPhase.SUBSCRIBER_PHASE_REJECTED
      ? 'rejected it'
      : phase === SubscriberPhase.SUBSCRIBER_PHASE_LOST
        ? 'is lost'
        : 'was too late';
  return `${name.service} ${name.instance} ${what} (${code}: ${detail})`;
}

export function outcomeOf(
  { name, phase, code, detail, required, swappedAt, ports }: Participant,
  activateAt: bigint | undefined,
): SubscriberOutcome {
  return {
    ...name,
    phase,
    code,
    detail,
    required,
    swapOffsetMs:
      swappedAt === undefined || activateAt === undefined
        ? 0
        : Number(swappedAt - activateAt) / 1_000_000,
    ports: [...ports],
  };
}
