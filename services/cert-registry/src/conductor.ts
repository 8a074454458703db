/**
 * The shell around the coordinator: gives it events with the time, carries out its actions in order, and
 * keeps its timer. It knows streams only as links that take bytes; gRPC is the subscription service's,
 * certificates and history are rotations.ts's.
 */
import { type Hello, type Material, SubscribeResponse, type SubscriberOutcome } from '@mail/proto';
import type { Logger } from '@mail/service';
import {
  type CloseReason,
  Coordinator,
  type CoordinatorAction,
  type CoordinatorEvent,
  type CoordinatorOptions,
  type FromSubscriber,
  type GoneSubscriber,
  type KnownSubscriber,
  type RefuseCode,
  type RequiredSubscribers,
  type RestoredState,
  type RotateRequest,
  type RotationView,
  type StreamId,
  type SubscriberName,
  type SubscriberView,
  type ToSubscriber,
} from './coordinator.ts';
import { DISK_FULL } from './errors.ts';
import { CommitUncertainError, isDiskFull } from './sqlite.ts';

/** A subscriber's stream as the conductor sees it. */
export interface SubscriberLink {
  /** Takes an encoded SubscribeResponse; never throws, never waits. */
  send(message: Buffer): void;
  /** Ends the stream. */
  close(reason: CloseReason): void;
}

/** Who asked for a rotation; one of `refused` and `finished` is called, once. */
export interface RotationOwner {
  /** Makes the material the committed generation, durably. What it throws means that nothing happened. */
  commit(material: Material): void;
  refused(code: RefuseCode, detail: string): void;
  /** `conductor.rotation` has come to another state, or the outcome of one subscriber is another. */
  changed(what: 'state' | 'outcome'): void;
  finished(view: RotationView): void;
}

/** Where remembered subscribers lie. */
export interface Roster {
  remember(subscriber: KnownSubscriber): void;
  forget(subscriber: SubscriberName): void;
}

/**
 * The moments of a switch at which a crash makes a difference, each told right before the next thing is
 * done: "committing" before the write, "committed" after it and before anybody hears of it, "activating"
 * before activate is sent and "activate-sent" after, "finishing" before the outcome is written.
 */
export const SWITCH_STEPS = [
  'preparing',
  'prepare-sent',
  'committing',
  'committed',
  'activating',
  'activate-sent',
  'aborting',
  'finishing',
  'finished',
] as const;
export type SwitchStep = (typeof SWITCH_STEPS)[number];

export interface ConductorOptions extends CoordinatorOptions {
  readonly roster: Roster;
  readonly logger: Logger;
  /** Nanoseconds on a monotonic clock. */
  readonly now: () => bigint;
  /** Told synchronously. */
  readonly onStep?: ((step: SwitchStep) => void) | undefined;
  readonly onFleetChange: () => void;
  /** The registry can't go on: the process has to end. */
  readonly onFatal: (error: unknown) => void;
}

const MAX_TIMEOUT_MS = 2 ** 31 - 1;

export class Conductor {
  readonly #options: ConductorOptions;
  readonly #coordinator: Coordinator;
  readonly #links = new Map<StreamId, SubscriberLink>();
  readonly #owners = new Map<bigint, RotationOwner>();
  readonly #events: CoordinatorEvent[] = [];
  #handling = false;
  #stopped = false;
  #nextStream = 1;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ConductorOptions, restored: RestoredState) {
    this.#options = options;
    this.#coordinator = new Coordinator(options, restored, options.now());
    this.#feed({ kind: 'timer', now: options.now() });
  }

  get active(): Material {
    return this.#coordinator.active;
  }

  get rotation(): RotationView | undefined {
    return this.#coordinator.rotation;
  }

  get fleet(): SubscriberView[] {
    return this.#coordinator.fleet;
  }

  get gone(): GoneSubscriber[] {
    return this.#coordinator.gone;
  }

  /** Streams that are up. */
  get connected(): number {
    return this.#links.size;
  }

  preview(require: RequiredSubscribers): SubscriberOutcome[] {
    return this.#coordinator.preview(require);
  }

  /** `hello.service` has been checked against the caller's identity. */
  connect(hello: Hello, link: SubscriberLink): StreamId {
    const stream = this.#nextStream++;
    this.#links.set(stream, link);
    this.#feed({ kind: 'connected', now: this.#options.now(), stream, hello });
    return stream;
  }

  receive(stream: StreamId, message: FromSubscriber): void {
    this.#feed({ kind: 'message', now: this.#options.now(), stream, message });
  }

  /** `goodbye` when the subscriber ended the stream itself. */
  lose(stream: StreamId, goodbye: boolean): void {
    if (!this.#links.delete(stream)) return;
    this.#feed({ kind: 'lost', now: this.#options.now(), stream, goodbye });
  }

  /** `request.id` is new. The owner may be called before this returns. */
  rotate(request: RotateRequest, owner: RotationOwner): void {
    this.#owners.set(request.id, owner);
    this.#feed({ kind: 'rotate', now: this.#options.now(), request });
  }

  /** Nothing happens any more; streams are the caller's to end. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  /** Actions may lead to events: these wait until the actions before them are done. */
  #feed(event: CoordinatorEvent): void {
    if (this.#stopped) return;
    this.#events.push(event);
    if (this.#handling) return;
    this.#handling = true;
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
        for (const action of this.#coordinator.handle(next)) this.#perform(action);
      }
    } catch (error) {
      // half of the actions done is a state that nobody has thought of: start again from the disk
      this.stop();
      this.#options.onFatal(error);
    } finally {
      this.#handling = false;
    }
  }

  #perform(action: CoordinatorAction): void {
    switch (action.kind) {
      case 'send':
        this.#send(action.to, action.message);
        break;
      case 'close':
        this.#close(action.stream, action.reason);
        break;
      case 'commit':
        this.#commit(action.rotationId, action.material);
        break;
      case 'remember':
        this.#options.roster.remember(action.subscriber);
        break;
      case 'forget':
        this.#options.roster.forget(action.subscriber);
        break;
      case 'refuse':
        this.#takeOwner(action.rotationId)?.refused(action.code, action.detail);
        break;
      case 'changed':
        if (action.what !== 'fleet') this.#ownerOfCurrent()?.changed(action.what);
        this.#options.onFleetChange();
        break;
      case 'finish':
        this.#step('finishing');
        this.#takeOwner(action.rotation.id)?.finished(action.rotation);
        this.#step('finished');
        break;
      case 'wakeAt':
        this.#wakeAt(action.at);
        break;
      case 'stalled':
        this.#options.logger.warn(
          { seconds: Number(action.forNs / 1_000_000n) / 1_000 },
          'the registry stood still and heard nobody: every lease begins anew',
        );
        break;
      case 'violation':
        this.#options.logger.warn(
          { subscriber: action.subscriber, detail: action.detail },
          'a subscriber did what none should',
        );
        break;
    }
  }

  #close(stream: StreamId, reason: CloseReason): void {
    const link = this.#links.get(stream);
    this.#links.delete(stream);
    link?.close(reason);
  }

  /** Who is to hear the end; it hears no more. */
  #takeOwner(rotationId: bigint): RotationOwner | undefined {
    const owner = this.#owners.get(rotationId);
    this.#owners.delete(rotationId);
    return owner;
  }

  #send(to: readonly StreamId[], message: ToSubscriber): void {
    const { $case } = message;
    if ($case === 'prepare') this.#step('preparing');
    if ($case === 'activate') this.#step('activating');
    if ($case === 'abort') this.#step('aborting');
    const encoded = Buffer.from(SubscribeResponse.encode({ message }).finish());
    for (const stream of to) this.#links.get(stream)?.send(encoded);
    if ($case === 'prepare') this.#step('prepare-sent');
    if ($case === 'activate') this.#step('activate-sent');
  }

  #commit(rotationId: bigint, material: Material): void {
    const { generation } = material;
    this.#step('committing');
    try {
      const owner = this.#owners.get(rotationId);
      if (owner === undefined) throw new Error(`rotation ${rotationId} has no owner`);
      owner.commit(material);
    } catch (error) {
      if (error instanceof CommitUncertainError) throw error;
      this.#options.logger.error({ error, generation }, 'a switch could not be written down');
      const detail = isDiskFull(error) ? DISK_FULL : 'the database refused the write';
      this.#events.push({ kind: 'commitFailed', now: this.#options.now(), generation, detail });
      return;
    }
    this.#step('committed');
    this.#events.push({ kind: 'committed', now: this.#options.now(), generation });
  }

  #ownerOfCurrent(): RotationOwner | undefined {
    // one at a time: whoever else is in the map is about to be refused
    const [owner] = this.#owners.values();
    return owner;
  }

  #wakeAt(at: bigint): void {
    clearTimeout(this.#timer);
    const ms = Math.ceil(Number(at - this.#options.now()) / 1_000_000);
    const wake = () => {
      const now = this.#options.now();
      // timers of Node come up to a millisecond early, and far ones are cut: the coordinator asks once
      if (now < at) this.#wakeAt(at);
      else this.#feed({ kind: 'timer', now });
    };
    this.#timer = setTimeout(wake, Math.min(Math.max(ms, 0), MAX_TIMEOUT_MS));
  }

  #step(step: SwitchStep): void {
    this.#options.logger.debug({ step }, 'switch');
    this.#options.onStep?.(step);
  }
}
