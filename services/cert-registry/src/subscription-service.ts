/**
 * CertSubscriptionService: each Subscribe stream from Hello to its end. Checks who speaks, hands what is
 * said to the conductor, and drops whoever does not read. The switch itself is the coordinator's.
 */
import { type ServerDuplexStream, status } from '@grpc/grpc-js';
import {
  CertSubscriptionServiceService,
  type Hello,
  PartitionPolicy,
  type SubscribeRequest,
} from '@mail/proto';
import type { Logger } from '@mail/service';
import { bounded } from './bounded-message.ts';
import type { Conductor, SubscriberLink } from './conductor.ts';
import { GOODBYE_SETTLE_MS, LIMITS, MAX_TIMER_MS } from './config.ts';
import type { CloseReason, StreamId } from './coordinator.ts';
import { RegistryError, toGrpcError } from './errors.ts';
import { authorise, type Caller, expired, type Identity, identityOf } from './roles.ts';

const METHOD = CertSubscriptionServiceService.subscribe.path;

/** The contract's service, its responses encoded already: one encoding serves a thousand streams. */
export const subscriptionDefinition = {
  subscribe: {
    ...CertSubscriptionServiceService.subscribe,
    responseSerialize: (encoded: Buffer): Buffer => encoded,
    responseDeserialize: (encoded: Buffer): Buffer => encoded,
  },
} as const;

export type SubscribeCall = ServerDuplexStream<SubscribeRequest, Buffer>;

const CLOSE_STATUS: Record<CloseReason, { code: status; details: string }> = {
  replaced: { code: status.ABORTED, details: 'a newer stream of this instance took its place' },
  'lease-expired': {
    code: status.DEADLINE_EXCEEDED,
    details: 'no heartbeat came for a whole lease',
  },
  'protocol-violation': {
    code: status.INVALID_ARGUMENT,
    details: 'the message breaks the protocol',
  },
};

export interface SubscriptionOptions {
  readonly conductor: Conductor;
  readonly logger: Logger;
  /** Cuts the TCP connection of a call; `peer` as grpc-js names it. */
  readonly cutConnection: (peer: string) => void;
  /** Wall clock in milliseconds. */
  readonly now: () => number;
}

export class SubscriptionService {
  readonly #options: SubscriptionOptions;
  readonly #open = new Set<Subscription>();

  constructor(options: SubscriptionOptions) {
    this.#options = options;
  }

  /** What grpc-js is given. */
  get implementation(): { subscribe: (call: SubscribeCall) => void } {
    return {
      subscribe: (call) => {
        const subscription = new Subscription(call, this.#options, () =>
          this.#open.delete(subscription),
        );
        this.#open.add(subscription);
        subscription.begin();
      },
    };
  }

  /** Ends all streams; the conductor has been stopped before, so that nobody counts as gone. */
  stop(): void {
    for (const subscription of this.#open) subscription.stop();
  }
}

/** One stream. */
class Subscription implements SubscriberLink {
  readonly #call: SubscribeCall;
  readonly #options: SubscriptionOptions;
  #stream: StreamId | undefined;
  #ended = false;
  #unread = { bytes: 0, messages: 0 };
  #helloTimer: NodeJS.Timeout | undefined;
  #expiryTimer: NodeJS.Timeout | undefined;

  readonly #onEnd: () => void;

  constructor(call: SubscribeCall, options: SubscriptionOptions, onEnd: () => void) {
    this.#call = call;
    this.#options = options;
    this.#onEnd = onEnd;
  }

  begin(): void {
    const call = this.#call;
    this.#helloTimer = setTimeout(() => {
      const seconds = LIMITS.helloMs / 1000;
      this.#end({ code: status.DEADLINE_EXCEEDED, details: `no Hello within ${seconds} s` });
    }, LIMITS.helloMs);
    call.on('data', (request: SubscribeRequest) => this.#receive(request));
    // Node ends the reading side of a stream that broke as well, and says so a moment later. A stream
    // whose subscriber has only ended its own half stays open until we end ours.
    call.on('end', () => {
      setTimeout(() => setImmediate(() => this.#leave(!call.cancelled)), GOODBYE_SETTLE_MS);
    });
    call.on('cancelled', () => this.#leave(false));
    call.on('error', () => this.#leave(false));
  }

  send(message: Buffer): void {
    if (this.#ended) return;
    const unread = this.#unread;
    unread.bytes += message.length;
    unread.messages += 1;
    if (unread.bytes > LIMITS.unreadBytes || unread.messages > LIMITS.unreadMessages) {
      const peer = this.#call.getPeer();
      this.#options.logger.warn({ peer, ...unread }, 'a subscriber does not read');
      // a status would wait behind all that is unread
      this.#options.cutConnection(peer);
      return;
    }
    this.#call.write(message, () => {
      unread.bytes -= message.length;
      unread.messages -= 1;
    });
  }

  close(reason: CloseReason): void {
    this.#stream = undefined;
    this.#end(CLOSE_STATUS[reason]);
  }

  stop(): void {
    this.#stream = undefined;
    this.#end({ code: status.UNAVAILABLE, details: 'the registry is stopping' });
  }

  #receive({ message }: SubscribeRequest): void {
    if (this.#ended) return;
    if (message === undefined) this.#refuse('a message says nothing');
    else if (this.#stream !== undefined)
      this.#options.conductor.receive(this.#stream, bounded(message));
    else if (message.$case === 'hello') this.#begin(message.value);
    else this.#refuse('the first message must be Hello');
  }

  #begin(hello: Hello): void {
    try {
      const caller = identityOf(this.#call.getAuthContext());
      const identity = authorise(METHOD, caller, this.#options.now());
      checkHello(hello, identity);
      if (this.#options.conductor.connected >= LIMITS.subscribers) {
        throw new RegistryError('exhausted', `${LIMITS.subscribers} subscribe already`);
      }
      clearTimeout(this.#helloTimer);
      this.#stream = this.#options.conductor.connect(hello, this);
      this.#endWhenExpired(identity);
    } catch (error) {
      this.#end(toGrpcError(error, METHOD, this.#options.logger));
    }
  }

  /** A stream lasts no longer than the identity that opened it; whoever has renewed it comes back. */
  #endWhenExpired(caller: Caller): void {
    if (this.#ended) return;
    const leftMs = caller.expiresAt - this.#options.now();
    if (leftMs > 0) {
      // far timers are cut short, and look again then
      const waitMs = Math.min(leftMs, MAX_TIMER_MS);
      this.#expiryTimer = setTimeout(() => this.#endWhenExpired(caller), waitMs);
    } else this.#fail(expired(caller));
  }

  #refuse(details: string): void {
    this.#fail(new RegistryError('invalid-argument', details));
  }

  #fail(error: RegistryError): void {
    this.#end(toGrpcError(error, METHOD, this.#options.logger));
    this.#tellConductor(false);
  }

  /** The peer is gone, or has said that it goes. */
  #leave(goodbye: boolean): void {
    this.#clearTimers();
    this.#tellConductor(goodbye);
    if (this.#ended) return;
    this.#ended = true;
    this.#onEnd();
    this.#call.end();
  }

  #tellConductor(goodbye: boolean): void {
    const stream = this.#stream;
    this.#stream = undefined;
    if (stream !== undefined) this.#options.conductor.lose(stream, goodbye);
  }

  #clearTimers(): void {
    clearTimeout(this.#helloTimer);
    clearTimeout(this.#expiryTimer);
  }

  #end(why: { code: status; details: string }): void {
    this.#clearTimers();
    if (this.#ended) return;
    this.#ended = true;
    this.#onEnd();
    this.#call.emit('error', Object.assign(new Error(why.details), why));
  }
}

const INSTANCE = /^[\w.:@-]+$/;

/** Throws RegistryError (forbidden, invalid-argument). */
function checkHello(hello: Hello, identity: Identity): void {
  if (hello.service !== identity.name) {
    throw new RegistryError(
      'forbidden',
      `${identity.uri} may subscribe as ${identity.name}, not as "${hello.service.slice(0, 64)}"`,
    );
  }
  if (hello.instance.length > LIMITS.instanceLength || !INSTANCE.test(hello.instance)) {
    throw new RegistryError(
      'invalid-argument',
      `an instance is named by 1 to ${LIMITS.instanceLength} letters, digits and . : @ _ -`,
    );
  }
  if (hello.version.length > LIMITS.versionLength || hello.fingerprintSha256.length > 64) {
    throw new RegistryError('invalid-argument', 'a field of Hello is too long');
  }
  if (hello.partitionPolicy === PartitionPolicy.UNRECOGNIZED) {
    throw new RegistryError('invalid-argument', 'a field of Hello is out of its range');
  }
}
