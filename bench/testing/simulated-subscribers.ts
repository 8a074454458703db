/**
 * Many subscribers in one process, for the fleet benchmark: the real state machine, a connection with
 * mutual TLS each. Two things are left out, so that a machine of two cores measures the registry and not
 * its peers: the TLS context is not built, and gRPC is spoken over node:http2 without a client library.
 * Tells its parent when each swapped, on CLOCK_MONOTONIC, which all processes of a host share.
 */
import { readFileSync } from 'node:fs';
import { type ClientHttp2Stream, connect } from 'node:http2';
import { join } from 'node:path';
import { createSecureContext, type SecureContext } from 'node:tls';
import {
  type FromRegistry,
  Subscriber,
  type SubscriberEvent,
  type ToRegistry,
} from '@mail/certs/subscriber';
import {
  CertSubscriptionServiceService,
  PartitionPolicy,
  SubscribeRequest,
  SubscribeResponse,
} from '@mail/proto';

export interface FleetOrder {
  readonly data: string;
  readonly registryPort: number;
  readonly first: number;
  readonly count: number;
}

/** What goes to the parent. Instants in nanoseconds as text. */
export interface FleetMessage {
  readonly type: 'swapped';
  readonly generation: string;
  /** The agreed instant as each knows it, or when it heard of it if that was later. */
  readonly swappedAt: readonly string[];
  /** How many heard of it too late. */
  readonly late: number;
}

interface Swap {
  readonly generation: bigint;
  readonly at: bigint;
  readonly late: boolean;
}

const CONNECTING_AT_ONCE = 10;
const FRAME_HEAD = 5;
const { path } = CertSubscriptionServiceService.subscribe;
const now = (): bigint => process.hrtime.bigint();

/** A fleet that loses somebody is not the one to measure. */
function fail(reason: unknown): never {
  console.error('a simulated subscriber lost its stream:', reason);
  process.exit(1);
}

/** The Subscribe stream: length-prefixed messages, never compressed. */
class Stream {
  readonly #stream: ClientHttp2Stream;
  #unread: Buffer = Buffer.alloc(0);

  constructor(port: number, secureContext: SecureContext, onMessage: (m: FromRegistry) => void) {
    const session = connect(`https://localhost:${port}`, {
      secureContext,
      checkServerIdentity: () => undefined,
    });
    this.#stream = session.request({
      ':method': 'POST',
      ':path': path,
      te: 'trailers',
      'content-type': 'application/grpc+proto',
    });
    this.#stream.on('data', (chunk: Buffer) => {
      this.#unread = this.#unread.length === 0 ? chunk : Buffer.concat([this.#unread, chunk]);
      for (let next = this.#next(); next !== undefined; next = this.#next()) onMessage(next);
    });
    session.on('error', fail);
    this.#stream.on('error', fail);
    this.#stream.on('trailers', (trailers) => fail(trailers['grpc-message']));
    this.#stream.on('end', () => fail('it ended'));
  }

  #next(): FromRegistry | undefined {
    if (this.#unread.length < FRAME_HEAD) return undefined;
    const end = FRAME_HEAD + this.#unread.readUInt32BE(1);
    if (this.#unread.length < end) return undefined;
    const { message } = SubscribeResponse.decode(this.#unread.subarray(FRAME_HEAD, end));
    this.#unread = this.#unread.subarray(end);
    return message;
  }

  send(message: ToRegistry): void {
    const encoded = SubscribeRequest.encode({ message }).finish();
    const frame = Buffer.allocUnsafe(FRAME_HEAD + encoded.length);
    frame.writeUInt8(0, 0);
    frame.writeUInt32BE(encoded.length, 1);
    frame.set(encoded, FRAME_HEAD);
    this.#stream.write(frame);
  }
}

class SimulatedSubscriber {
  readonly #machine: Subscriber;
  readonly #stream: Stream;
  readonly #swapped: (swap: Swap) => void;
  #timer: NodeJS.Timeout | undefined;
  #due: Swap | undefined;
  #serves = '';

  constructor(
    port: number,
    tls: SecureContext,
    index: number,
    welcomed: () => void,
    swapped: (swap: Swap) => void,
  ) {
    this.#machine = new Subscriber({
      service: 'imap',
      instance: `simulated-${index}`,
      version: 'bench',
      partitionPolicy: PartitionPolicy.PARTITION_POLICY_SERVE,
    });
    this.#swapped = swapped;
    this.#feed({ kind: 'started', now: now() });
    this.#stream = new Stream(port, tls, (message) => {
      if (message.$case === 'welcome') welcomed();
      this.#feed({ kind: 'message', now: now(), message });
    });
    this.#feed({ kind: 'streamOpened', now: now() });
  }

  #feed(event: SubscriberEvent): void {
    for (const action of this.#machine.handle(event)) {
      switch (action.kind) {
        case 'send':
          this.#stream.send(action.message);
          break;
        case 'build': {
          const { build, material } = action;
          const { fingerprintSha256 } = material;
          setImmediate(() => this.#feed({ kind: 'built', now: now(), build, fingerprintSha256 }));
          break;
        }
        case 'schedule': {
          // an instant that was past when it became known is a late swap
          const heardAt = now();
          const late = action.at <= heardAt;
          this.#due = { generation: action.generation, at: late ? heardAt : action.at, late };
          break;
        }
        case 'promoted':
          this.#serves = action.fingerprintSha256;
          if (this.#due !== undefined) this.#swapped(this.#due);
          break;
        case 'probe': {
          const { generation } = action;
          const fingerprintSha256 = this.#serves;
          const ports = [{ listener: 'simulated 127.0.0.1:993', fingerprintSha256, error: '' }];
          setImmediate(() => this.#feed({ kind: 'probed', now: now(), generation, ports }));
          break;
        }
        case 'wakeAt': {
          clearTimeout(this.#timer);
          const wait = Math.max(0, Number(action.at - now()) / 1e6);
          this.#timer = setTimeout(
            () => this.#feed({ kind: 'timer', now: now() }),
            Math.ceil(wait),
          );
          break;
        }
        case 'reconnect':
        case 'violation':
          fail(action.detail);
          break;
        default:
          break;
      }
    }
  }
}

process.once('message', ({ data, registryPort, first, count }: FleetOrder) => {
  const file = (name: string) => readFileSync(join(data, 'identities/service/imap', name));
  const tls = createSecureContext({
    ca: file('ca.pem'),
    cert: file('cert.pem'),
    key: file('key.pem'),
    minVersion: 'TLSv1.3',
    ecdhCurve: 'X25519',
  });
  const swaps = new Map<bigint, Swap[]>();
  const swapped = (swap: Swap): void => {
    const { generation } = swap;
    const all = swaps.get(generation) ?? [];
    swaps.set(generation, all);
    all.push(swap);
    if (all.length < count) return;
    swaps.delete(generation);
    const message: FleetMessage = {
      type: 'swapped',
      generation: String(generation),
      swappedAt: all.map(({ at }) => String(at)),
      late: all.filter(({ late }) => late).length,
    };
    process.send?.(message);
  };
  let started = 0;
  const start = (): void => {
    if (started === count) return;
    new SimulatedSubscriber(registryPort, tls, first + started++, start, swapped);
  };
  // each that is welcomed brings the next: a thousand TLS handshakes at once would only queue
  for (let each = 0; each < CONNECTING_AT_ONCE; each += 1) start();
});
process.once('disconnect', () => process.exit());
