/**
 * A real registry in a temporary folder on a free port, clients with its identities, and a subscriber
 * written by hand against the contract, which does only what a test tells it.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type CallOptions,
  type ChannelCredentials,
  type Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  credentials,
  type ServiceError as GrpcError,
  Metadata,
} from '@grpc/grpc-js';
import {
  CertRegistryServiceClient,
  CertSubscriptionServiceClient,
  CheckFailure,
  IdentityServiceClient,
  type Material,
  PartitionPolicy,
  RotationFailure,
  Status as RpcStatus,
  type SubscribeRequest,
  type SubscribeResponse,
} from '@mail/proto';
import { commonSettings, Health, Metrics, parseSettings, silentLogger } from '@mail/service';
import { buildApp, type RegistryApp, type RegistryHooks } from '../app.ts';

const CLOSE_GRACE_MS = 2_000;

/** Names are settings without their "CONCERT_". */
export type TestSettings = Readonly<Record<string, string>>;

export class TestRegistry {
  readonly folder: string;
  readonly settings: TestSettings;
  readonly metrics = new Metrics();
  readonly health = new Health();
  #app: RegistryApp | undefined;
  #adopted: number | undefined;
  readonly #clients = new Set<Client>();

  constructor(settings: TestSettings = {}, folder = mkdtempSync(join(tmpdir(), 'registry-'))) {
    this.folder = folder;
    this.settings = settings;
  }

  static async start(settings?: TestSettings, hooks?: RegistryHooks): Promise<TestRegistry> {
    const registry = new TestRegistry(settings);
    await registry.start(hooks);
    return registry;
  }

  get address(): string {
    return `127.0.0.1:${this.#app?.port ?? this.#adopted}`;
  }

  /** Talks to a registry that runs on this folder in another process. */
  adopt(port: number): void {
    this.#adopted = port;
  }

  get failed(): Promise<never> | undefined {
    return this.#app?.failed;
  }

  async start(hooks?: RegistryHooks): Promise<void> {
    const settings: Record<string, string> = {
      CONCERT_DATA: this.folder,
      CONCERT_REGISTRY_LISTEN: '127.0.0.1:0',
    };
    for (const [name, value] of Object.entries(this.settings)) settings[`CONCERT_${name}`] = value;
    const app = await buildApp(
      {
        service: 'cert-registry',
        instance: 'test',
        settings,
        common: parseSettings(commonSettings, settings),
        logger: silentLogger(),
        metrics: this.metrics,
        health: this.health,
        clustered: false,
      },
      hooks,
    );
    this.#app = app;
    try {
      await app.run();
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Keeps the folder, for another start. */
  async stop(): Promise<void> {
    await this.#app?.close(CLOSE_GRACE_MS);
    this.#app = undefined;
    for (const client of this.#clients) client.close();
    this.#clients.clear();
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  get caPem(): Buffer {
    return this.identityFile('operator/admin', 'ca');
  }

  identityFile(identity: string, part: 'ca' | 'cert' | 'key'): Buffer {
    return readFileSync(join(this.folder, 'identities', identity, `${part}.pem`));
  }

  /** `ca` is what the server is judged by: this registry's own unless told otherwise. */
  credentials(identity: string, ca = this.caPem): ChannelCredentials {
    const read = (part: 'cert' | 'key') => this.identityFile(identity, part);
    return credentials.createSsl(ca, read('key'), read('cert'));
  }

  /** `make` takes an address, credentials and options, as the generated clients do. */
  client<T extends Client>(
    make: new (address: string, creds: ChannelCredentials, options: object) => T,
    creds: ChannelCredentials | string = 'operator/admin',
  ): T {
    const client = new make(
      this.address,
      typeof creds === 'string' ? this.credentials(creds) : creds,
      // each test has its own connection, and the certificate names the host
      { 'grpc.ssl_target_name_override': 'localhost', 'grpc.use_local_subchannel_pool': 1 },
    );
    this.#clients.add(client);
    return client;
  }

  operator(): CertRegistryServiceClient {
    return this.client(CertRegistryServiceClient);
  }

  identities(identity?: string): IdentityServiceClient {
    return this.client(IdentityServiceClient, identity);
  }

  subscriber(service: string, instance: string, options?: TestSubscriberOptions): TestSubscriber {
    const client = this.client(CertSubscriptionServiceClient, `service/${service}`);
    return new TestSubscriber(client, service, instance, options);
  }
}

/** The generated method's last overload, which is the one that types are inferred from. */
type UnaryMethod<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: Partial<CallOptions>,
  callback: (error: GrpcError | null, response: Response) => void,
) => unknown;

/** A unary call as a promise. */
export function call<Request, Response>(
  client: Client,
  method: UnaryMethod<Request, Response>,
  request: NoInfer<Request>,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    method.call(client, request, new Metadata(), {}, (error, response) => {
      if (error === null) resolve(response);
      else reject(error);
    });
  });
}

/** All messages of a server stream; rejects with its error. */
export function collect<T>(stream: ClientReadableStream<T>, into: T[] = []): Promise<T[]> {
  return new Promise((resolve, reject) => {
    stream.on('data', (message: T) => into.push(message));
    stream.once('error', reject);
    stream.once('end', () => resolve(into));
  });
}

/** What a call was refused with. Fails when it was not. */
export async function refusal(outcome: Promise<unknown>): Promise<GrpcError> {
  try {
    await outcome;
  } catch (error) {
    return error as GrpcError;
  }
  throw new Error('the call was not refused');
}

function detailsOf(error: GrpcError): RpcStatus['details'] {
  const [packed] = error.metadata.get('grpc-status-details-bin');
  if (packed === undefined) return [];
  return RpcStatus.decode(packed as Buffer).details;
}

/** The codes of the checks in a refusal's details. */
export function checksIn(error: GrpcError): string[] {
  return detailsOf(error)
    .filter(({ typeUrl }) => typeUrl.endsWith('/mail.certs.v1.CheckFailure'))
    .flatMap(({ value }) => CheckFailure.decode(value).checks)
    .map(({ code }) => code);
}

/** The rotation in a refusal's details. */
export function rotationIn(error: GrpcError): RotationFailure['rotation'] {
  const detail = detailsOf(error).find(({ typeUrl }) =>
    typeUrl.endsWith('/mail.certs.v1.RotationFailure'),
  );
  return detail && RotationFailure.decode(detail.value).rotation;
}

type Said = NonNullable<SubscribeResponse['message']>;
type Heard<C> = Extract<Said, { $case: C }>['value'];
type Saying = NonNullable<SubscribeRequest['message']>;

export interface TestSubscriberOptions {
  /** Answers Prepare with Ready, Activate with Activated and Verified. True by default. */
  readonly obedient?: boolean;
  readonly generation?: bigint;
  /** The name to subscribe under, where it is not the identity's. */
  readonly claim?: string;
}

/** One Subscribe stream. */
export class TestSubscriber {
  readonly stream: ClientDuplexStream<SubscribeRequest, SubscribeResponse>;
  readonly client: Client;
  /** All that has been said so far, oldest first. */
  readonly heard: Said[] = [];
  /** Resolves with the error, or undefined, when the stream is over. */
  readonly over: Promise<GrpcError | undefined>;
  readonly #waiting = new Set<() => void>();
  #prepared: Material | undefined;

  constructor(
    client: CertSubscriptionServiceClient,
    service: string,
    instance: string,
    { obedient = true, generation = 0n, claim = service }: TestSubscriberOptions = {},
  ) {
    this.client = client;
    this.stream = client.subscribe();
    this.stream.on('data', ({ message }: SubscribeResponse) => {
      if (message === undefined) return;
      this.heard.push(message);
      if (obedient) this.#obey(message);
      for (const look of this.#waiting) look();
    });
    this.over = new Promise((resolve) => {
      this.stream.once('error', (error: GrpcError) => resolve(error));
      this.stream.once('end', () => setImmediate(resolve, undefined));
    });
    this.say('hello', {
      service: claim,
      instance,
      generation,
      fingerprintSha256: '',
      partitionPolicy: PartitionPolicy.PARTITION_POLICY_SERVE,
      version: 'test',
    });
  }

  say<C extends Saying['$case']>($case: C, value: Extract<Saying, { $case: C }>['value']): void {
    this.stream.write({ message: { $case, value } as Saying });
  }

  /** The first such message, heard already or to come. */
  async hear<C extends Said['$case']>(
    $case: C,
    fits: (value: Heard<C>) => boolean = () => true,
  ): Promise<Heard<C>> {
    const { promise, resolve } = Promise.withResolvers<Said>();
    const look = () => {
      const found = this.heard.find((said) => said.$case === $case && fits(said.value as Heard<C>));
      if (found !== undefined) resolve(found);
    };
    this.#waiting.add(look);
    look();
    const said = await promise;
    this.#waiting.delete(look);
    return said.value as Heard<C>;
  }

  #obey(message: Said): void {
    if (message.$case === 'prepare') {
      const { material, nonce } = message.value;
      this.#prepared = material;
      this.say('ready', { generation: material?.generation ?? 0n, nonce });
    }
    if (message.$case === 'activate') {
      const { generation, atNs } = message.value;
      const fingerprintSha256 = this.#prepared?.fingerprintSha256 ?? '';
      this.say('activated', { generation, fingerprintSha256, atNs });
      const ports = [{ listener: 'test 127.0.0.1:1', fingerprintSha256, error: '' }];
      this.say('verified', { generation, ports });
    }
  }
}
