/**
 * One listener: accept, PROXY header, implicit TLS, hand over. Owns nothing of the protocol behind it and
 * no TLS context: each handshake asks the acceptor. POP3 and IMAP come here by `serveSessions`; SMTP
 * takes the sockets themselves.
 */
import { once } from 'node:events';
import { createServer, isIPv4, type Server, type Socket } from 'node:net';
import {
  describeListener,
  type ListenerConfig,
  type Logger,
  listenError,
  METRICS,
  type Metrics,
} from '@mail/service';
import ipaddr from 'ipaddr.js';
import { LineServerError } from './errors.ts';
import type { ConnectionLimits } from './limits.ts';
import { type ProxyHeader, parseProxyHeader } from './proxy-protocol.ts';
import { SessionLog } from './session-log.ts';
import type { ProbeTarget, TlsAcceptor } from './tls-acceptor.ts';

export type MailProtocol = 'imap' | 'pop3' | 'smtp';

export interface AcceptedSocket {
  /** Ready to be read; a TLSSocket where the listener is implicit TLS. */
  readonly socket: Socket;
  /** The client's, from the PROXY header where there is one; IPv4 in its own form. */
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly listener: ListenerConfig;
  /** "imaps 127.0.0.1:2993". */
  readonly listenerName: string;
  readonly secure: boolean;
  /** Generation of the material of the handshake; undefined without TLS. */
  readonly generation: number | undefined;
  /** Its last line is written when the connection is gone. */
  readonly log: SessionLog;
}

export interface ListenerOptions {
  readonly protocol: MailProtocol;
  readonly tls: TlsAcceptor;
  /** Whether sibling workers share the port (node:cluster). */
  readonly clustered: boolean;
  readonly limits: ConnectionLimits;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /**
   * Whether the peer's end leaves our direction open, so that answers to what it sent before still go
   * out. Then the receiver must end each socket itself.
   */
  readonly allowHalfOpen: boolean;
  /** Takes the socket over, errors and end included. Must not throw. */
  readonly onConnection: (accepted: AcceptedSocket) => void;
}

export interface OpenListener {
  readonly config: ListenerConfig;
  /** "imaps 127.0.0.1:2993", with the real port. */
  readonly name: string;
  /** The real port, where the configuration said 0. */
  readonly port: number;
  /** Doors for a self-probe that reach this very process; none for a listener without TLS. */
  probeTargets(): ProbeTarget[];
  /**
   * Stops accepting, and cuts off who has yet to send a PROXY header. A handshake under way goes on, and
   * its connection is still handed over. Idempotent.
   */
  close(): void;
}

type ProxiedClient = Extract<ProxyHeader, { kind: 'proxied' }>;

/** A balancer sends its header at once (PROXY protocol §2: "the receiver may apply a short timeout"). */
const PROXY_HEADER_TIMEOUT_MS = 5_000;
const BACKLOG = 1_024;

/** Refusals in this time share one line of the log, which a stranger could fill otherwise. */
const REFUSALS_TOLD_MS = 10_000;

/** What one connection too many hears where it can hear anything (RFC 9051 §7.1.5, 3206, 5321 §3.8). */
const FULL: Record<MailProtocol, string> = {
  imap: '* BYE [UNAVAILABLE] Too many connections, try again later\r\n',
  pop3: '-ERR [SYS/TEMP] Too many connections, try again later\r\n',
  smtp: '421 4.3.2 Too many connections, try again later\r\n',
};

/** Opens a listener. Throws ServiceError that names the address and what to do. */
export async function openListener(
  config: ListenerConfig,
  options: ListenerOptions,
): Promise<OpenListener> {
  const { protocol } = options;
  const open = options.metrics.gauge(METRICS.connectionsOpen);
  const acceptedCount = options.metrics.counter(METRICS.connectionsAccepted);
  const refusedCount = options.metrics.counter(METRICS.connectionsRefused);
  const fromProxy = networkTest(config.proxyFrom);
  /** Ends of this process's own probes, for which the limits are not: no stranger shares one. */
  const announced = new Set<string>();
  /** Yet to send their PROXY header. */
  const arriving = new Set<Socket>();
  let name = '';
  let refused = 0;
  let refusalsToldAt = Number.NEGATIVE_INFINITY;

  const tellRefusal = (remoteAddress: string): void => {
    refusedCount.inc({ listener: name, reason: 'limit' });
    refused += 1;
    const now = performance.now();
    if (now - refusalsToldAt < REFUSALS_TOLD_MS) return;
    options.logger.warn(
      { listener: name, remoteAddress, refused },
      'refused: too many connections',
    );
    refused = 0;
    refusalsToldAt = now;
  };

  /** Whose connection a balancer forwards; undefined for its own. */
  const forwarded = async (socket: Socket): Promise<ProxiedClient | undefined> => {
    arriving.add(socket);
    try {
      const header = await readProxyHeader(socket);
      return header.kind === 'proxied' ? header : undefined;
    } catch (error) {
      refusedCount.inc({ listener: name, reason: 'bad_proxy_header' });
      throw error;
    } finally {
      arriving.delete(socket);
    }
  };

  const arrive = async (socket: Socket): Promise<void> => {
    const peer = plainAddress(socket.remoteAddress ?? '');
    const client = fromProxy(peer) ? await forwarded(socket) : undefined;
    const remoteAddress = client ? plainAddress(client.address) : peer;
    const isProbe = client === undefined && announced.delete(endOf(peer, socket.remotePort));
    const leave = isProbe ? () => {} : options.limits.enter(remoteAddress);
    if (!leave) {
      tellRefusal(remoteAddress);
      if (config.tls === 'implicit') socket.destroy();
      else socket.end(FULL[protocol], () => socket.destroy());
      return;
    }
    open.inc({ listener: name });
    acceptedCount.inc({ listener: name });
    const { logger } = options;
    const log = new SessionLog({ logger, listener: name, remoteAddress, quiet: isProbe });
    let begun = false;
    socket.on('close', () => {
      leave();
      open.dec({ listener: name });
      if (begun) log.end(socket.bytesRead, socket.bytesWritten);
    });
    // from here on the socket is not ours to cut off: the acceptor has its own deadline
    const secured = config.tls === 'implicit' ? await options.tls.accept(socket) : undefined;
    if (secured !== undefined) log.noteTls(secured.socket, secured.generation);
    log.begin();
    begun = true;
    options.onConnection({
      socket: secured?.socket ?? socket,
      remoteAddress,
      remotePort: client?.port ?? socket.remotePort ?? 0,
      listener: config,
      listenerName: name,
      secure: secured !== undefined,
      generation: secured?.generation,
      log,
    });
  };

  const onSocket = (socket: Socket): void => {
    // a reset by a stranger, at whatever moment, is no event of ours: 'close' follows
    socket.on('error', () => {});
    arrive(socket).catch((error) => {
      socket.destroy();
      // port scans and cut handshakes are daily weather
      options.logger.debug({ error, listener: name }, 'a connection came to nothing');
    });
  };

  const serverOptions = { noDelay: true, keepAlive: true, allowHalfOpen: options.allowHalfOpen };
  const server = createServer(serverOptions, onSocket);
  const port = await listen(server, config.host, config.port, false);
  name = describeListener(protocol, config.host, port, config.tls);
  open.set({ listener: name }, 0);
  acceptedCount.inc({ listener: name }, 0);

  // the kernel gives a shared port's connections to any worker: a probe needs a door of its own
  const ownDoor = options.clustered ? createServer(serverOptions, onSocket) : undefined;
  const ownPort = ownDoor && (await listen(ownDoor, LOOPBACK, 0, true));

  return {
    config,
    name,
    port,
    probeTargets: () => {
      if (config.tls === 'none') return [];
      const host = ownPort === undefined ? reachable(config.host) : LOOPBACK;
      return [
        {
          listener: name,
          host,
          port: ownPort ?? port,
          preamble: fromProxy(host) ? 'PROXY UNKNOWN\r\n' : '',
          startTls: config.tls === 'starttls' ? protocol : undefined,
          announce: (address, from) => {
            const end = endOf(plainAddress(address), from);
            announced.add(end);
            return () => void announced.delete(end);
          },
        },
      ];
    },
    close: () => {
      for (const socket of arriving) socket.destroy();
      // what was handed over lives on, and is not waited for
      server.close();
      ownDoor?.close();
    },
  };
}

const LOOPBACK = '127.0.0.1';

async function listen(
  server: Server,
  host: string,
  port: number,
  exclusive: boolean,
): Promise<number> {
  server.listen({ host, port, exclusive, backlog: BACKLOG });
  try {
    await once(server, 'listening');
  } catch (error) {
    throw listenError(error, host, port);
  }
  server.on('error', () => {});
  const address = server.address();
  return typeof address === 'object' && address ? address.port : port;
}

function endOf(address: string, port: number | undefined): string {
  return `${address} ${port}`;
}

/** Where to connect to reach a listener bound to `host` from this machine. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return LOOPBACK;
  return host === '::' ? '::1' : host;
}

/** IPv4 that came over an IPv6 socket in its own form. */
function plainAddress(address: string): string {
  if (isIPv4(address)) return address;
  return ipaddr.isValid(address) ? ipaddr.process(address).toString() : address;
}

/** Whether an address lies in one of `networks` (CIDR). */
function networkTest(networks: readonly string[]): (address: string) => boolean {
  const ranges = networks.map((network) => ipaddr.parseCIDR(network));
  return (text) => {
    if (ranges.length === 0 || !ipaddr.isValid(text)) return false;
    const address = ipaddr.process(text);
    return ranges.some(
      ([network, bits]) => network.kind() === address.kind() && address.match(network, bits),
    );
  };
}

/** Reads the header and leaves what follows it in the socket. Rejects with bad-proxy-header. */
async function readProxyHeader(socket: Socket): Promise<ProxyHeader> {
  const signal = AbortSignal.timeout(PROXY_HEADER_TIMEOUT_MS);
  let octets = Buffer.alloc(0);
  try {
    for (;;) {
      const chunk: Buffer | null = socket.read();
      if (chunk === null) {
        if (socket.readableEnded || socket.destroyed) throw new Error('it ended');
        await once(socket, 'readable', { signal });
        continue;
      }
      octets = Buffer.concat([octets, chunk]);
      const found = parseProxyHeader(octets);
      if (!found) continue;
      const rest = octets.subarray(found.length);
      if (rest.length > 0) socket.unshift(rest);
      return found.header;
    }
  } catch (cause) {
    if (cause instanceof LineServerError) throw cause;
    throw new LineServerError('bad-proxy-header', 'no PROXY header came', { cause });
  }
}
