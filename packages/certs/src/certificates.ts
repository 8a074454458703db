/**
 * What a service uses: one call opens everything that taking part needs, and the rest of the service
 * sees an acceptor for its listeners and a few events.
 */
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import {
  type Material as MaterialMessage,
  PartitionPolicy,
  type PortObservation,
} from '@mail/proto';
import {
  folderSecret,
  Health,
  type Identity,
  identityUri,
  type Logger,
  Metrics,
  parseSettings,
  type ServiceContext,
  ServiceError,
  silentLogger,
  VERSION,
} from '@mail/service';
import { z } from 'zod';
import { CurrentMaterial, monotonicClock } from './current-material.ts';
import { CertsError } from './errors.ts';
import { IdentityKeeper } from './identity-keeper.ts';
import { buildMaterial, warnIfExpired } from './material.ts';
import { MaterialCache, removeCachesByInstance } from './material-cache.ts';
import { openSubscription } from './registry-client.ts';
import { type DrainRequest, RegistryStream } from './registry-stream.ts';
import { type ProbeTarget, probeListeners } from './self-probe.ts';
import type { SubscriberStatus } from './subscriber.ts';
import { SubscriberFigures } from './subscriber-figures.ts';
import { createTlsAcceptor, type TlsAcceptor } from './tls-listener.ts';

export interface CertificatesOptions {
  /** As in the identity: "imap". */
  readonly service: string;
  /** Unique among the processes of the service, stable over restarts. */
  readonly instance: string;
  /** host:port of the registry's gRPC. */
  readonly registry: string;
  /** Folder with cert.pem, key.pem and ca.pem. */
  readonly identityDir: string;
  /**
   * Folder in which the last-known-good material is kept, encrypted; without one nothing is. One for all
   * processes of the service that share the disk, and for no other service.
   */
  readonly cacheDir?: string;
  /** How long a start waits for the registry before it goes on with the cache. Default 2 s. */
  readonly cacheGraceMs?: number;
  /**
   * Once cut off for longer than the lease: go on with what there is, or refuse new handshakes. Default
   * serve.
   */
  readonly partitionPolicy?: 'serve' | 'fence';
  /** Of the software, for people. */
  readonly version?: string;
  /** Default says nothing. */
  readonly logger?: Logger;
  readonly metrics?: Metrics;
  /** Gets the condition "certificate". */
  readonly health?: Health;
}

type Filled = CertificatesOptions &
  Required<
    Pick<CertificatesOptions, 'partitionPolicy' | 'version' | 'logger' | 'metrics' | 'health'>
  >;

/** How this process stands. */
export interface CertificatesState {
  /** In force here; 0 for none. */
  readonly generation: number;
  readonly fingerprintSha256: string;
  /** Whether a stream to the registry is up. */
  readonly connected: boolean;
  /** The registry has not vouched for what is in force for longer than the lease. */
  readonly stale: boolean;
  /** New handshakes are refused. */
  readonly fenced: boolean;
}

const CACHE_GRACE_MS = 2_000;
/** From ready() to setProbeTargets; ports open at once. */
const TARGETS_GRACE_MS = 10_000;

const CONDITION = 'certificate';
const NO_CERTIFICATE_YET = 'no certificate yet from the registry';

/** Settings of every service that takes part, besides the common ones. */
export const certificatesSettings = z.object({
  /** What to do with new handshakes once the lease is out: `serve` goes on, `fence` refuses them. */
  CONCERT_PARTITION_POLICY: z.enum(['serve', 'fence']).default('serve'),
});

/** A process's part in the fleet. Made by openCertificates. */
export class Certificates {
  readonly current: CurrentMaterial;
  readonly #options: Filled;
  readonly #keeper: IdentityKeeper;
  readonly #stream: RegistryStream;
  readonly #figures: SubscriberFigures;
  readonly #observers = new Set<(state: CertificatesState) => void>();
  readonly #drainObservers = new Set<(drain: DrainRequest) => void>();
  readonly #graceTimer: NodeJS.Timeout;
  readonly #stopObserving: (() => void)[];
  #state: CertificatesState = {
    generation: 0,
    fingerprintSha256: '',
    connected: false,
    stale: false,
    fenced: false,
  };
  /** Undefined until they have been named. */
  #targets: readonly ProbeTarget[] | undefined;
  #targetsTimer: NodeJS.Timeout | undefined;
  #graceOver = false;
  #persisted: Promise<void> = Promise.resolve();
  #closed = false;

  /** Use openCertificates. */
  constructor(
    options: Filled,
    keeper: IdentityKeeper,
    current: CurrentMaterial,
    cached: MaterialMessage | undefined,
    cache: MaterialCache | undefined,
  ) {
    this.#options = options;
    this.#keeper = keeper;
    this.current = current;
    this.#figures = new SubscriberFigures(options.metrics);
    this.#figures.showIdentity(keeper.identity);
    const persist = (message: MaterialMessage | undefined) => {
      if (message === undefined || cache === undefined) return;
      this.#persisted = cache.write(message);
    };
    this.#stream = new RegistryStream({
      service: options.service,
      instance: options.instance,
      version: options.version,
      partitionPolicy:
        options.partitionPolicy === 'fence'
          ? PartitionPolicy.PARTITION_POLICY_FENCE
          : PartitionPolicy.PARTITION_POLICY_SERVE,
      cached,
      current,
      now: monotonicClock,
      random: Math.random,
      open: () => openSubscription(options.registry, keeper.identity),
      probe: () => this.#probe(),
      persist,
      onDrain: (drain) => {
        this.#notify(this.#drainObservers, drain);
      },
      onStatus: (status) => this.#update(status),
      logger: options.logger,
    });
    this.#stopObserving = [
      current.observe(() => this.#update(this.#stream.status)),
      keeper.observe((identity) => {
        this.#figures.showIdentity(identity);
        // where the folder has no secret of its own, the cache's key comes from the identity's
        persist(this.#stream.messageOf(this.#stream.status.generation));
        this.#stream.reconnect();
      }),
    ];
    this.#graceTimer = setTimeout(() => {
      this.#graceOver = true;
      this.#tell();
    }, options.cacheGraceMs ?? CACHE_GRACE_MS);
    this.#stream.start();
  }

  /** How this process stands now. */
  get state(): CertificatesState {
    return this.#state;
  }

  /**
   * The TLS of one protocol's listeners, implicit and STARTTLS alike. `alpn`: our protocols by their
   * ALPN names, for example ["imap"].
   */
  acceptor(
    alpn: readonly string[],
    options: { readonly handshakeTimeoutMs?: number } = {},
  ): TlsAcceptor {
    const { metrics, logger } = this.#options;
    return createTlsAcceptor({ current: this.current, alpn, metrics, logger, ...options });
  }

  /**
   * Resolves once there is something to present: from the registry, or from the cache when the registry
   * does not answer soon. Keep the ports closed until then.
   * @throws the signal's reason, or CertsError closed
   */
  async ready(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    await this.#untilUsable(signal);
    this.#targetsTimer ??= setTimeout(() => this.#missTargets(), TARGETS_GRACE_MS);
    this.#targetsTimer.unref();
  }

  async #untilUsable(signal: AbortSignal | undefined): Promise<void> {
    if (this.#closed) throw closedTooEarly();
    if (this.#usable) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const abort = () => reject(signal?.reason);
    signal?.addEventListener('abort', abort, { once: true });
    const stop = this.observe(() => {
      if (this.#closed) reject(closedTooEarly());
      else if (this.#usable) resolve();
    });
    try {
      await promise;
    } finally {
      stop();
      signal?.removeEventListener('abort', abort);
    }
  }

  /**
   * Names the process's own ports, once they are open; they are probed now and after each switch. A
   * process that has none says so with an empty list.
   */
  setProbeTargets(targets: readonly ProbeTarget[]): void {
    this.#targets = [...targets];
    clearTimeout(this.#targetsTimer);
    void this.#stream.probeAgain();
  }

  /** Calls `observer` when connections under older generations are to end; returns how to stop it. */
  onDrain(observer: (drain: DrainRequest) => void): () => void {
    this.#drainObservers.add(observer);
    return () => this.#drainObservers.delete(observer);
  }

  /** Calls `observer` with each change of state; returns how to stop it. */
  observe(observer: (state: CertificatesState) => void): () => void {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  /** Looks at the identity folder now; otherwise that happens once a minute. */
  checkIdentity(): Promise<void> {
    return this.#keeper.check();
  }

  /**
   * Leaves the fleet: a switch waits for this process no longer. Close the listeners first. The acceptors
   * go on with what is in force. Idempotent.
   */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#graceTimer);
    clearTimeout(this.#targetsTimer);
    for (const stop of this.#stopObserving) stop();
    const left = this.#stream.close();
    this.current.close();
    this.#tell();
    await Promise.all([left, this.#keeper.close(), this.#persisted]);
  }

  get #usable(): boolean {
    if (this.current.peek() === undefined || this.current.fenced) return false;
    return (this.#state.connected && !this.#state.stale) || this.#graceOver;
  }

  #update(status: SubscriberStatus): void {
    const material = this.current.peek();
    const before = this.#state;
    this.#state = {
      generation: material?.generation ?? 0,
      fingerprintSha256: material?.fingerprintSha256 ?? '',
      connected: status.connected,
      stale: status.stale,
      fenced: status.fenced,
    };
    this.#figures.update(status, material);
    this.#options.health.set(CONDITION, this.#whyUnready);
    if (!isDeepStrictEqual(this.#state, before)) this.#tell();
  }

  get #whyUnready(): string | undefined {
    const { generation, fenced } = this.#state;
    if (generation === 0) {
      // which identity of which folder is for the log: probes tell strangers
      const expired = this.#keeper.identity.certificate.validToDate <= new Date();
      return expired ? 'the identity has expired' : NO_CERTIFICATE_YET;
    }
    if (fenced) return 'cut off from the registry: new handshakes are refused';
    // the policy is to go on serving, so whoever spreads clients over replicas is to go on sending them:
    // the metric, the log and the fleet tell of a stale one
    return undefined;
  }

  #tell(): void {
    this.#notify(this.#observers, this.#state);
  }

  /** What an observer throws is no business of the handshake or the switch that it was told of. */
  #notify<T>(observers: ReadonlySet<(value: T) => void>, value: T): void {
    for (const observer of observers) {
      try {
        observer(value);
      } catch (error) {
        this.#options.logger.error({ error }, 'an observer of the certificates failed');
      }
    }
  }

  async #probe(): Promise<PortObservation[]> {
    const ports = await probeListeners(this.#targets ?? []);
    this.#figures.probed(ports, this.current.peek()?.fingerprintSha256 ?? '');
    return ports;
  }

  #missTargets(): void {
    if (this.#targets !== undefined) return;
    this.#options.logger.warn(
      'no ports to probe: name them with setProbeTargets, or no switch proves what they present',
    );
  }
}

function closedTooEarly(): CertsError {
  return new CertsError('closed', 'closed before a certificate was there');
}

function checkName(identity: Identity, options: CertificatesOptions): void {
  const expected = identityUri(`service/${options.service}`);
  if (identity.uri === expected) return;
  const detail = `the identity in ${options.identityDir} is ${identity.uri}, not ${expected}`;
  throw new CertsError('bad-identity', detail);
}

/** The cache is to stay readable when a sibling renews the identity; the key is for folders that are only read. */
async function cacheSecrets(
  folder: string,
  { privateKey }: Identity,
): Promise<[Uint8Array, ...Uint8Array[]]> {
  const key = privateKey.export({ type: 'pkcs8', format: 'der' });
  const secret = await folderSecret(folder);
  return secret === undefined ? [key] : [secret, key];
}

/**
 * Joins the fleet: reads the identity and the cache, and subscribes. Returns before the registry has
 * answered; see `ready`.
 * @throws CertsError bad-identity
 */
export async function openCertificates(given: CertificatesOptions): Promise<Certificates> {
  const options: Filled = {
    partitionPolicy: 'serve',
    version: '',
    logger: silentLogger(),
    metrics: new Metrics(),
    health: new Health(),
    ...given,
  };
  const { service, logger, registry, identityDir, cacheDir } = options;
  options.health.set(CONDITION, NO_CERTIFICATE_YET);
  const keeper = await IdentityKeeper.open({ folder: identityDir, registry, logger });
  try {
    checkName(keeper.identity, options);
  } catch (error) {
    await keeper.close();
    throw error;
  }
  const current = new CurrentMaterial(monotonicClock);
  const secrets = () => cacheSecrets(identityDir, keeper.identity);
  const cache = cacheDir
    ? new MaterialCache({ folder: cacheDir, service, secrets, logger })
    : undefined;
  let cached = await cache?.read();
  if (cached !== undefined) {
    try {
      const material = await buildMaterial(cached, service);
      warnIfExpired(material, logger);
      current.schedule(material, 0n);
    } catch (error) {
      logger.warn({ error }, 'the cached certificate is of no use any more');
      cached = undefined;
    }
  }
  return new Certificates(options, keeper, current, cached, cache);
}

/**
 * As openCertificates, from the settings of a process of Concert.
 * @throws ServiceError bad-setting
 */
export async function openCertificatesFor(context: ServiceContext): Promise<Certificates> {
  const { service, instance, common, logger, metrics, health } = context;
  const { CONCERT_PARTITION_POLICY } = parseSettings(certificatesSettings, context.settings);
  const caches = join(common.CONCERT_DATA, 'cache');
  await removeCachesByInstance(caches, service).catch((error) => {
    logger.warn({ error, folder: caches }, 'old cached certificates could not be removed');
  });
  try {
    return await openCertificates({
      service,
      instance,
      registry: common.CONCERT_REGISTRY,
      identityDir:
        common.CONCERT_IDENTITY ?? join(common.CONCERT_DATA, 'identities', 'service', service),
      cacheDir: join(caches, service),
      partitionPolicy: CONCERT_PARTITION_POLICY,
      version: VERSION,
      logger,
      metrics,
      health,
    });
  } catch (error) {
    if (!(error instanceof CertsError)) throw error;
    throw new ServiceError('bad-setting', error.message, { cause: error });
  }
}
