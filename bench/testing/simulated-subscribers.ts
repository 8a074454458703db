/**
 * Many subscribers in one process, for the fleet benchmark: the real state machine over the real stream
 * with mutual TLS, a connection each; only the TLS context is not built. Tells its parent when each
 * swapped, on CLOCK_MONOTONIC, which all processes of a host share.
 */
import { type FromRegistry, Subscriber, type SubscriberEvent } from '@mail/certs';
import { CertSubscriptionServiceClient, PartitionPolicy } from '@mail/proto';
import { identityCredentials } from '../../tests/testing/operator.ts';

export interface FleetOrder {
  readonly data: string;
  readonly registryPort: number;
  readonly first: number;
  readonly count: number;
}

/** What goes to the parent. `swappedAt` in nanoseconds as text. */
export type FleetMessage =
  | { readonly type: 'connected' }
  | { readonly type: 'swapped'; readonly generation: string; readonly swappedAt: string[] };

const now = (): bigint => process.hrtime.bigint();

class SimulatedSubscriber {
  readonly #machine: Subscriber;
  readonly #client: CertSubscriptionServiceClient;
  readonly #swapped: (generation: bigint, at: bigint) => void;
  #stream: ReturnType<CertSubscriptionServiceClient['subscribe']>;
  #timer: NodeJS.Timeout | undefined;
  #due: { generation: bigint; at: bigint } | undefined;

  constructor(order: FleetOrder, index: number, swapped: (generation: bigint, at: bigint) => void) {
    this.#machine = new Subscriber({
      service: 'imap',
      instance: `simulated-${index}`,
      version: 'bench',
      partitionPolicy: PartitionPolicy.PARTITION_POLICY_SERVE,
    });
    this.#swapped = swapped;
    this.#client = new CertSubscriptionServiceClient(
      `localhost:${order.registryPort}`,
      identityCredentials(order.data, 'service/imap'),
      { 'grpc.use_local_subchannel_pool': 1 },
    );
    this.#feed({ kind: 'started', now: now() });
    this.#stream = this.#client.subscribe();
    this.#stream.on('data', ({ message }: { message?: FromRegistry }) => {
      if (message !== undefined) this.#feed({ kind: 'message', now: now(), message });
    });
    this.#stream.on('error', (error) => {
      console.error(`subscriber ${index}: ${error.message}`);
      process.exit(1);
    });
    this.#feed({ kind: 'streamOpened', now: now() });
  }

  #feed(event: SubscriberEvent): void {
    for (const action of this.#machine.handle(event)) {
      switch (action.kind) {
        case 'send':
          this.#stream.write({ message: action.message });
          break;
        case 'build': {
          const { build, material } = action;
          const { fingerprintSha256 } = material;
          setImmediate(() => this.#feed({ kind: 'built', now: now(), build, fingerprintSha256 }));
          break;
        }
        case 'schedule': {
          // an instant that was past when it became known is a late swap
          const at = action.at > now() ? action.at : now();
          this.#due = { generation: action.generation, at };
          break;
        }
        case 'promoted':
          if (this.#due !== undefined) this.#swapped(this.#due.generation, this.#due.at);
          break;
        case 'probe': {
          const { generation } = action;
          setImmediate(() => this.#feed({ kind: 'probed', now: now(), generation, ports: [] }));
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
        default:
          break;
      }
    }
  }
}

process.once('message', (order: FleetOrder) => {
  const instants = new Map<bigint, bigint[]>();
  const tell = (message: FleetMessage): void => {
    process.send?.(message);
  };
  const swapped = (generation: bigint, at: bigint): void => {
    const all = instants.get(generation) ?? [];
    instants.set(generation, all);
    all.push(at);
    if (all.length < order.count) return;
    instants.delete(generation);
    tell({ type: 'swapped', generation: String(generation), swappedAt: all.map(String) });
  };
  let started = 0;
  // a few at a time: a thousand TLS handshakes at once would only queue
  const timer = setInterval(() => {
    for (let batch = 0; batch < 10 && started < order.count; batch += 1, started += 1) {
      new SimulatedSubscriber(order, order.first + started, swapped);
    }
    if (started === order.count) clearInterval(timer);
  }, 20);
});
process.once('disconnect', () => process.exit());
