/**
 * The gRPC server: mutual TLS from the internal CA, the role check in front of every call, limits, and
 * orderly ending. Health and reflection are added here; our own services are handed in.
 */
import { constants } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type Server as NetServer, type Socket } from 'node:net';
import {
  Server,
  ServerCredentials,
  ServerInterceptingCall,
  type ServerInterceptor,
  type ServiceDefinition,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { loadFileDescriptorSetFromBuffer, loadSync } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { DESCRIPTOR_SET } from '@mail/proto';
import { type Logger, listenError, METRICS, type Metrics } from '@mail/service';
import { HealthImplementation, protoPath as healthProto } from 'grpc-health-check';
import { observeCalls } from './call-observer.ts';
import { LIMITS } from './config.ts';
import { toGrpcError } from './errors.ts';
import type { IdentityFiles } from './identities.ts';
import type { ListenAddress } from './listen-address.ts';
import { authorise, type Identity, identityOf } from './roles.ts';

/** Mutual TLS 1.3; the registry's own certificate can be replaced while connections stay. */
class MutualTls extends ServerCredentials {
  constructor(files: IdentityFiles) {
    super(
      {
        requestCert: true,
        rejectUnauthorized: true,
        handshakeTimeout: LIMITS.tlsHandshakeMs,
        minVersion: 'TLSv1.3',
        // a connection has one long call, so a table of its headers would be memory for nothing
        maxDeflateDynamicTableSize: 0,
        settings: { headerTableSize: 0, maxConcurrentStreams: LIMITS.callsPerConnection },
      },
      contextOf(files),
    );
  }

  replace(files: IdentityFiles): void {
    this.updateSecureContextOptions(contextOf(files));
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

/**
 * Whole each time: Node drops what is left out. A connection keeps what its handshake has made for as long
 * as it lasts, so the handshakes are small: no tickets, since nobody resumes, and no post-quantum groups,
 * which would cost 10 KB each. Those guard against whoever records today and breaks keys in many years;
 * what is sent here is worth nothing once its certificate, whose own key is no better, has expired.
 */
function contextOf({ cert, key, ca }: IdentityFiles) {
  return {
    cert,
    key,
    ca,
    minVersion: 'TLSv1.3',
    ecdhCurve: 'X25519:P-256',
    secureOptions: constants.SSL_OP_NO_TICKET,
  } as const;
}

interface RoleCheckOptions {
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Told of each refusal before it is sent. */
  readonly onDenied: (path: string, identity: Identity | undefined, error: unknown) => void;
  /** Wall clock in milliseconds. */
  readonly now: () => number;
}

/**
 * The one role check: no handler runs, and nothing of the request is read, before it. A call that passes
 * goes on as it is, so that its messages cost nothing here.
 */
function roleCheck({ logger, metrics, onDenied, now }: RoleCheckOptions): ServerInterceptor {
  const denials = metrics.counter(METRICS.denials);
  return ({ path }, call) => {
    const identity = identityOf(call.getAuthContext());
    try {
      authorise(path, identity, now());
      // the declared type is narrower than what grpc-js asks for, which is the interface
      return call as ServerInterceptingCall;
    } catch (error) {
      return new ServerInterceptingCall(call, {
        start: (next) =>
          next({
            onReceiveMetadata: () => {
              onDenied(path, identity, error);
              const { code, details, metadata } = toGrpcError(error, path, logger);
              denials.inc({ code: status[code] });
              call.sendStatus({ code, details, metadata });
            },
          }),
      });
    }
  };
}

export interface GrpcServerOptions extends RoleCheckOptions {
  readonly identity: IdentityFiles;
  readonly services: readonly {
    definition: ServiceDefinition;
    implementation: UntypedServiceImplementation;
  }[];
}

export class GrpcServer {
  readonly #server: Server;
  readonly #credentials: MutualTls;
  readonly #health = new HealthImplementation();
  readonly #serviceNames: string[];
  /** By "address:port" of the peer, as grpc-js names it. */
  readonly #sockets = new Map<string, Socket>();
  #listener: NetServer | undefined;

  constructor({ identity, services, ...check }: GrpcServerOptions) {
    this.#credentials = new MutualTls(identity);
    this.#server = new Server({
      // the first stands nearest to the wire: it sees what the second refuses
      interceptors: [observeCalls(check.metrics, check.logger), roleCheck(check)],
      'grpc.max_receive_message_length': LIMITS.receiveBytes,
      'grpc.max_send_message_length': LIMITS.sendBytes,
      'grpc.keepalive_time_ms': LIMITS.keepaliveMs,
      'grpc.keepalive_timeout_ms': LIMITS.keepaliveTimeoutMs,
      // it keeps a record of each connection and call, and nobody asks for it
      'grpc.enable_channelz': 0,
    });
    for (const { definition, implementation } of services) {
      this.#server.addService(definition, implementation);
    }
    this.#health.addToServer(this.#server);
    const ours = loadFileDescriptorSetFromBuffer(readFileSync(DESCRIPTOR_SET));
    new ReflectionService({ ...ours, ...loadSync(healthProto) }).addToServer(this.#server);
    const paths = services.flatMap(({ definition }) =>
      Object.values(definition).map(({ path }) => path),
    );
    this.#serviceNames = ['', ...new Set(paths.map((path) => path.split('/')[1] ?? ''))];
    this.setServing(false);
  }

  /** What grpc.health.v1 answers, for the server and each service of ours. */
  setServing(serving: boolean): void {
    for (const name of this.#serviceNames) {
      this.#health.setStatus(name, serving ? 'SERVING' : 'NOT_SERVING');
    }
  }

  /** Resolves with the port, which the system chooses for 0. Throws ServiceError. */
  async listen({ host, port }: ListenAddress): Promise<number> {
    const injector = this.#server.createConnectionInjector(this.#credentials);
    const listener = createServer({ noDelay: true }, (socket) => {
      const peer = peerOf(socket);
      this.#sockets.set(peer, socket);
      socket.once('close', () => this.#sockets.delete(peer));
      socket.on('error', () => socket.destroy());
      socket.setTimeout(LIMITS.tlsHandshakeMs, () => socket.destroy());
      // Node gives TLS 64 KB to read into for good, unless the first bytes are there already
      socket.once('readable', () => {
        socket.setTimeout(0);
        injector.injectConnection(socket);
      });
    });
    listener.maxConnections = LIMITS.connections;
    await new Promise<void>((resolve, reject) => {
      listener.once('error', (error) => reject(listenError(error, host, port)));
      listener.listen(port, host, resolve);
    });
    this.#listener = listener;
    const bound = listener.address();
    return typeof bound === 'object' && bound !== null ? bound.port : port;
  }

  /** New connections are answered with this certificate. */
  replaceIdentity(identity: IdentityFiles): void {
    this.#credentials.replace(identity);
  }

  cutConnection(peer: string): void {
    this.#sockets.get(peer)?.destroy();
  }

  /** Takes no more connections, lets calls end for `graceMs`, then cuts what is left. */
  async close(graceMs: number): Promise<void> {
    this.setServing(false);
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, graceMs);
    // the listener ends when its connections have; the shutdown's own callback comes before that
    if (this.#listener === undefined) resolve();
    else this.#listener.close(() => resolve());
    this.#server.tryShutdown(() => {});
    await promise;
    clearTimeout(timer);
    this.#server.forceShutdown();
    for (const socket of this.#sockets.values()) socket.destroy();
  }
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return remoteAddress === undefined ? 'unknown' : `${remoteAddress}:${remotePort}`;
}
