/**
 * A registry in the test's own process: real gRPC and mutual TLS, self-signed material, and a switch
 * that needs everybody. It keeps no books, checks nothing and is no model of the real one.
 */
import { createPublicKey, randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import {
  CertSubscriptionServiceService,
  type Hello,
  type IdentityServiceServer,
  IdentityServiceService,
  type Material as MaterialMessage,
  type PortObservation,
  type SubscribeRequest,
  type SubscribeResponse,
} from '@mail/proto';
import { writeIdentity } from '@mail/service';
import {
  type CertificateAuthority,
  createCa,
  generateKey,
  issueIdentity,
  readSigningRequest,
} from '@mail/x509';
import { monotonicClock } from '../current-material.ts';
import { makeTestMaterial, type TestMaterialOptions } from './self-signed.ts';

export interface FakeRegistryOptions {
  /** Default 30 s. */
  readonly leaseMs?: number;
  /** Default 10 s. */
  readonly heartbeatIntervalMs?: number;
  /** Between activate and its instant. Default 20 ms. */
  readonly leadMs?: number;
  /** What it proves to be. Default the registry. */
  readonly uri?: string;
  /** What is in force at first. Default generation 1 of a fresh certificate. */
  readonly material?: MaterialMessage;
}

/** What subscribers have said about one generation. */
export interface SwitchReport {
  readonly material: MaterialMessage;
  /** By instance, what its ports showed. */
  readonly ports: ReadonlyMap<string, readonly PortObservation[]>;
}

interface Subscription {
  readonly hello: Hello;
  readonly stream: ServerDuplexStream<SubscribeRequest, SubscribeResponse>;
}

type Said = NonNullable<SubscribeRequest['message']>;

const IDENTITY_DAYS = 30;

export class FakeRegistry {
  readonly #options: Required<Omit<FakeRegistryOptions, 'material'>>;
  readonly #folder: string;
  readonly #ca: CertificateAuthority;
  readonly #subscriptions = new Set<Subscription>();
  readonly #leaving: (() => void)[] = [];
  readonly #listeners = new Set<(from: Subscription, message: Said) => void>();
  #material: MaterialMessage;
  #clockId = randomUUID();
  #server: Server | undefined;
  #port = 0;

  private constructor(
    options: FakeRegistryOptions,
    folder: string,
    ca: CertificateAuthority,
    material: MaterialMessage,
  ) {
    this.#options = {
      leaseMs: 30_000,
      heartbeatIntervalMs: 10_000,
      leadMs: 20,
      uri: 'spiffe://concert/registry',
      ...options,
    };
    this.#folder = folder;
    this.#ca = ca;
    this.#material = material;
  }

  /** Starts on a free port. */
  static async start(options: FakeRegistryOptions = {}): Promise<FakeRegistry> {
    const folder = await mkdtemp(join(tmpdir(), 'concert-registry-'));
    const ca = await createCa({ commonName: 'Concert test', days: 30, now: new Date() });
    const registry = new FakeRegistry(
      options,
      folder,
      ca,
      options.material ?? (await makeTestMaterial()),
    );
    await registry.resume();
    return registry;
  }

  /** host:port for subscribers; the same after `pause` and `resume`. */
  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** What is in force. */
  get material(): MaterialMessage {
    return this.#material;
  }

  /** Hello of everybody who is connected. */
  get subscribers(): readonly Hello[] {
    return [...this.#subscriptions].map(({ hello }) => hello);
  }

  /** A folder with the identity of a service, for openCertificates; it lasts 30 days from `madeAt`. */
  async identityFor(service: string, madeAt: Date = new Date()): Promise<string> {
    const folder = join(this.#folder, service);
    await writeIdentity(folder, await this.#issue(`spiffe://concert/service/${service}`, madeAt));
    return folder;
  }

  /** Replaces a service's identity in its folder, as a renewal by somebody else would. */
  async replaceIdentity(service: string): Promise<void> {
    const parts = await this.#issue(`spiffe://concert/service/${service}`);
    await writeIdentity(join(this.#folder, service), parts);
  }

  /** Resolves when `count` subscribers are connected. */
  async connected(count: number): Promise<void> {
    if (this.#subscriptions.size >= count) return;
    await this.#heard(
      (_, message) => message.$case === 'heartbeat' && this.#subscriptions.size >= count,
    );
  }

  /** Resolves when nobody is connected any more. */
  async deserted(): Promise<void> {
    while (this.#subscriptions.size > 0) {
      await new Promise<void>((resolve) => this.#leaving.push(resolve));
    }
  }

  /**
   * Moves all who are connected to the next generation; resolves when each has reported what its ports
   * show. Rejects when one rejects, and then nothing is switched.
   */
  async rotate(options: Omit<TestMaterialOptions, 'generation'> = {}): Promise<SwitchReport> {
    const generation = Number(this.#material.generation) + 1;
    return this.rotateTo(await makeTestMaterial({ ...options, generation }));
  }

  /** As rotate, to material that the test has made, whether or not it is any good. */
  async rotateTo(material: MaterialMessage): Promise<SwitchReport> {
    const { generation } = material;
    const nonce = randomUUID();
    const everybody = [...this.#subscriptions];
    const ready = this.#collect(everybody, (message) => {
      if (message.$case === 'rejected' && message.value.nonce === nonce) {
        throw new Error(`${message.value.code}: ${message.value.detail}`);
      }
      return message.$case === 'ready' && message.value.nonce === nonce;
    });
    this.#tell(everybody, {
      $case: 'prepare',
      value: { material, nonce, timeoutMs: 5_000 },
    });
    try {
      await ready;
    } catch (error) {
      this.#tell(everybody, { $case: 'abort', value: { generation, nonce } });
      throw error;
    }
    this.#material = material;
    const ports = new Map<string, readonly PortObservation[]>();
    const byStream = new Map(everybody.map((one) => [one, one.hello.instance]));
    const verified = this.#collect(everybody, (message, from) => {
      if (message.$case !== 'verified' || message.value.generation !== generation) return false;
      ports.set(byStream.get(from) ?? '', message.value.ports);
      return true;
    });
    const atNs = monotonicClock() + BigInt(this.#options.leadMs) * 1_000_000n;
    this.#tell(everybody, { $case: 'activate', value: { generation, nonce, atNs } });
    await verified;
    return { material, ports };
  }

  /** Asks everybody to end connections made under older generations. */
  drain(graceMs: number): void {
    const belowGeneration = this.#material.generation;
    this.#tell([...this.#subscriptions], { $case: 'drain', value: { belowGeneration, graceMs } });
  }

  /** Goes away as by a crash: streams break, the port is closed. */
  pause(): void {
    this.#server?.forceShutdown();
    this.#server = undefined;
    this.#subscriptions.clear();
  }

  /** Comes back on the same port, as another process with another clock. */
  async resume(): Promise<void> {
    this.#clockId = randomUUID();
    const parts = await this.#issue(this.#options.uri);
    const pair = {
      private_key: Buffer.from(parts.keyPem),
      cert_chain: Buffer.from(parts.chainPem),
    };
    const server = new Server();
    server.addService(CertSubscriptionServiceService, {
      subscribe: (stream: Subscription['stream']) => this.#serve(stream),
    });
    const identities: IdentityServiceServer = {
      renewIdentity: (call, callback) => {
        const { publicKey } = readSigningRequest(call.request.signingRequestPem);
        const { subjectaltname = '' } = call.getAuthContext().sslPeerCertificate ?? {};
        const leaf = issueIdentity({
          ca: this.#ca,
          publicKey,
          uri: subjectaltname.replace(/^URI:/, ''),
          days: IDENTITY_DAYS,
          now: new Date(),
        });
        callback(null, { chainPem: leaf.toString(), caPem: this.#ca.certificate.toString() });
      },
      issueIdentity: (_, callback) => callback(new Error('not here')),
    };
    server.addService(IdentityServiceService, identities);
    const ca = Buffer.from(this.#ca.certificate.toString());
    this.#port = await new Promise<number>((resolve, reject) => {
      const credentials = ServerCredentials.createSsl(ca, [pair], true);
      server.bindAsync(`127.0.0.1:${this.#port}`, credentials, (error, port) => {
        if (error) reject(error);
        else resolve(port);
      });
    });
    this.#server = server;
  }

  async close(): Promise<void> {
    this.pause();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #issue(uri: string, now: Date = new Date()) {
    const privateKey = await generateKey('ecdsa-p256');
    const publicKey = createPublicKey(privateKey);
    const leaf = issueIdentity({ ca: this.#ca, publicKey, uri, days: IDENTITY_DAYS, now });
    return {
      keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      chainPem: leaf.toString(),
      caPem: this.#ca.certificate.toString(),
    };
  }

  #serve(stream: Subscription['stream']): void {
    let subscription: Subscription | undefined;
    stream.on('data', ({ message }) => {
      if (message === undefined) return;
      if (message.$case === 'hello') {
        subscription = { hello: message.value, stream };
        this.#subscriptions.add(subscription);
        stream.write({ message: this.#welcome() });
      } else if (message.$case === 'heartbeat') {
        const { sentAtNs } = message.value;
        const { leaseMs } = this.#options;
        const value = { sentAtNs, registryTimeNs: monotonicClock(), leaseMs };
        stream.write({ message: { $case: 'heartbeatAck', value } });
      }
      if (subscription === undefined) return;
      for (const listener of this.#listeners) listener(subscription, message);
    });
    const end = () => {
      if (subscription !== undefined) this.#subscriptions.delete(subscription);
      for (const told of this.#leaving.splice(0)) told();
    };
    stream.on('error', end);
    stream.on('end', () => {
      end();
      stream.end();
    });
  }

  #welcome(): NonNullable<SubscribeResponse['message']> {
    const now = monotonicClock();
    return {
      $case: 'welcome',
      value: {
        clockId: this.#clockId,
        registryTimeNs: now,
        leaseMs: this.#options.leaseMs,
        heartbeatIntervalMs: this.#options.heartbeatIntervalMs,
        material: this.#material,
        activateAtNs: now,
        preparedLeaseMs: 1_000,
      },
    };
  }

  #tell(whom: readonly Subscription[], message: NonNullable<SubscribeResponse['message']>): void {
    for (const { stream } of whom) stream.write({ message });
  }

  /** Resolves when `wanted` was true of something that somebody said; rejects with what it throws. */
  #heard(wanted: (from: Subscription, message: Said) => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const listener = (from: Subscription, message: Said) => {
        try {
          if (!wanted(from, message)) return;
          resolve();
        } catch (error) {
          reject(error);
        }
        this.#listeners.delete(listener);
      };
      this.#listeners.add(listener);
    });
  }

  async #collect(
    everybody: readonly Subscription[],
    wanted: (message: Said, from: Subscription) => boolean,
  ): Promise<void> {
    await Promise.all(
      everybody.map((one) => this.#heard((from, message) => from === one && wanted(message, from))),
    );
  }
}
