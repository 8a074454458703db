/**
 * A subscriber that a test plays by hand over the real stream: it can say ready, reject, dawdle, vanish or
 * lie, which the product's own never do on demand.
 */
import {
  CertSubscriptionServiceClient,
  type Hello,
  type Material,
  PartitionPolicy,
  type SubscribeRequest,
  type SubscribeResponse,
} from '@mail/proto';
import { identityCredentials } from './operator.ts';
import type { System } from './system.ts';

type FromRegistry = NonNullable<SubscribeResponse['message']>;
type ToRegistry = NonNullable<SubscribeRequest['message']>;
type Received<C extends FromRegistry['$case']> = Extract<FromRegistry, { $case: C }>['value'];

export class RawSubscriber {
  readonly hello: Hello;
  readonly received: FromRegistry[] = [];
  /** gRPC status that the stream ended with. */
  readonly ended: Promise<{ code: number; details: string }>;
  readonly #client: CertSubscriptionServiceClient;
  readonly #stream: ReturnType<CertSubscriptionServiceClient['subscribe']>;
  readonly #wakers = new Set<() => void>();
  readonly #heartbeat: NodeJS.Timeout;

  constructor(
    system: Pick<System, 'data' | 'registryPort'>,
    hello: Partial<Hello> & { service: string; instance: string },
    identity = `service/${hello.service}`,
  ) {
    this.hello = {
      generation: 0n,
      fingerprintSha256: '',
      partitionPolicy: PartitionPolicy.PARTITION_POLICY_SERVE,
      version: 'test',
      ...hello,
    };
    this.#client = new CertSubscriptionServiceClient(
      `localhost:${system.registryPort}`,
      identityCredentials(system.data, identity),
      { 'grpc.use_local_subchannel_pool': 1 },
    );
    this.#stream = this.#client.subscribe();
    this.ended = new Promise((resolve) => {
      this.#stream.on('status', ({ code, details }) => resolve({ code, details }));
    });
    this.#stream.on('error', () => {});
    this.#stream.on('data', ({ message }: SubscribeResponse) => {
      if (message === undefined) return;
      this.received.push(message);
      for (const wake of this.#wakers) wake();
    });
    this.say({ $case: 'hello', value: this.hello });
    this.#heartbeat = setInterval(() => {
      this.say({
        $case: 'heartbeat',
        value: { sentAtNs: process.hrtime.bigint(), roundTripNs: 100_000n },
      });
    }, 1_000);
  }

  say(message: ToRegistry): void {
    if (this.#stream.writable) this.#stream.write({ message });
  }

  /** The next message of that kind at or after position `from` in `received`. */
  async next<C extends FromRegistry['$case']>($case: C, from = 0): Promise<Received<C>> {
    const signal = AbortSignal.timeout(20_000);
    for (;;) {
      const found = this.received.slice(from).find((message) => message.$case === $case);
      if (found !== undefined) return found.value as Received<C>;
      if (signal.aborted)
        throw new Error(`no ${$case} in 20 s; got ${this.received.map((m) => m.$case)}`);
      await new Promise<void>((wake) => {
        this.#wakers.add(wake);
        signal.addEventListener('abort', () => wake(), { once: true });
      });
    }
  }

  /** Welcome's material, taken as served from now on. */
  async join(): Promise<Material> {
    const { material } = await this.next('welcome');
    if (material === undefined) throw new Error('a welcome without material');
    this.say({
      $case: 'activated',
      value: {
        generation: material.generation,
        fingerprintSha256: material.fingerprintSha256,
        atNs: 0n,
      },
    });
    return material;
  }

  /** Answers a prepare with ready. */
  ready(prepare: Received<'prepare'>): void {
    this.say({
      $case: 'ready',
      value: { generation: prepare.material?.generation ?? 0n, nonce: prepare.nonce },
    });
  }

  reject(prepare: Received<'prepare'>, code: string, detail: string): void {
    this.say({
      $case: 'rejected',
      value: { generation: prepare.material?.generation ?? 0n, nonce: prepare.nonce, code, detail },
    });
  }

  /** Reports the swap to what `prepare` brought, and that its one port serves it. */
  swapped(prepare: Received<'prepare'>, { generation, atNs }: Received<'activate'>): void {
    const fingerprintSha256 = prepare.material?.fingerprintSha256 ?? '';
    const ports = [{ listener: 'test 127.0.0.1:1', fingerprintSha256, error: '' }];
    this.say({ $case: 'activated', value: { generation, fingerprintSha256, atNs } });
    this.say({ $case: 'verified', value: { generation, ports } });
  }

  /** Ends the stream as a process that stops does. */
  async leave(): Promise<void> {
    clearInterval(this.#heartbeat);
    this.#stream.end();
    await this.ended;
    this.#client.close();
  }

  /** Breaks the stream as a process that is killed does. */
  vanish(): void {
    clearInterval(this.#heartbeat);
    this.#stream.cancel();
    this.#client.close();
  }
}
