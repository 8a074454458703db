/**
 * From an accepted TCP connection to a TLS session under the material in force. Nothing here keeps a
 * context: each connection asks when its ClientHello has arrived whole. A client that dribbles its
 * ClientHello across a switch is answered with the new certificate, and a handshake that has begun
 * goes on under the material that it began with.
 */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Logger, Metrics } from '@mail/service';
import { examineClientHello } from './client-hello.ts';
import type { CurrentMaterial } from './current-material.ts';
import { TlsError } from './errors.ts';
import { classifyFailure, HandshakeFigures } from './handshake-figures.ts';
import { refuseCleartext } from './start-tls.ts';

/** A TLS session and the generation that it was made under. */
export interface SecuredSocket {
  readonly socket: TLSSocket;
  readonly generation: number;
}

/** How listeners get their TLS; a structural match of the seam that line-server declares. */
export interface TlsAcceptor {
  /**
   * Implicit TLS: waits for a whole ClientHello, then handshakes under the material in force at that
   * moment. The socket must not have been read from.
   * @throws TlsError any code but cleartext-behind-starttls; the socket is destroyed
   */
  accept(socket: Socket): Promise<SecuredSocket>;
  /**
   * STARTTLS: as accept, on a socket that has spoken in the clear. The caller has stopped reading, has
   * seen that nothing was left in its own buffers behind the command, and has written its go-ahead.
   * Whatever comes next and is no TLS handshake ends the connection: it reaches neither the TLS
   * session nor the command stream, whether it came in the same segment as the command or later
   * (RFC 3207 §4.2, CVE-2011-0411).
   * @throws TlsError any code; the socket is destroyed
   */
  upgrade(socket: Socket): Promise<SecuredSocket>;
}

export interface TlsAcceptorOptions {
  readonly current: CurrentMaterial;
  /**
   * Our protocols by their ALPN names ("imap"). A client that offers protocols and none of these is
   * refused with no_application_protocol (RFC 7301 §3.2); one that offers none is taken.
   */
  readonly alpn: readonly string[];
  /** From accept or upgrade to the end of the handshake. Default 30 s. */
  readonly handshakeTimeoutMs?: number;
  readonly metrics?: Metrics | undefined;
  readonly logger?: Logger | undefined;
}

const HANDSHAKE_TIMEOUT_MS = 30_000;

/** Far above any real ClientHello, post-quantum key shares included; more is OpenSSL's to refuse. */
const MAX_CLIENT_HELLO_BYTES = 16 * 1024;

/** Ends of a connection that are the peer's or the network's doing, not a failed negotiation. */
const GONE = new Set(['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENETUNREACH', 'EHOSTUNREACH']);

function asTlsError(error: unknown): TlsError {
  if (error instanceof TlsError) return error;
  if (!(error instanceof Error)) return clientGone();
  const code = 'code' in error ? String(error.code) : '';
  if (GONE.has(code)) return clientGone(error);
  // OpenSSL's own words without its addresses and file names
  const why = 'reason' in error ? String(error.reason) : error.message;
  return new TlsError('handshake-failed', why, { cause: error });
}

function clientGone(cause?: unknown): TlsError {
  return new TlsError('client-gone', 'the client left before the handshake was done', { cause });
}

/** The wire form, so that Node need not convert it anew for each connection. */
function encodeProtocols(names: readonly string[]): Uint8Array {
  return Buffer.concat(names.map((name) => Buffer.from([name.length, ...Buffer.from(name)])));
}

/** The acceptor of one protocol. Any number of listeners may share it. */
export function createTlsAcceptor(options: TlsAcceptorOptions): TlsAcceptor {
  const { current, logger } = options;
  const timeoutMs = options.handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS;
  const ALPNProtocols = encodeProtocols(options.alpn);
  const figures = options.metrics && new HandshakeFigures(options.metrics);

  /**
   * One connection, in two phases: until a whole ClientHello is there, then the handshake. One set of
   * listeners serves both and stays: later, an error that nobody else takes must not end the process.
   */
  function secure(socket: Socket, inspect: (firstOctets: Buffer) => void): Promise<SecuredSocket> {
    return new Promise((resolve, reject) => {
      /** The socket to destroy: one below a TLS socket in mid-handshake must not be. */
      let top = socket;
      let settled = false;
      let received: Buffer | undefined;
      let spokeTls = true;
      /** When the first octets came. */
      let begunAt = 0;

      const fail = (error: unknown) => {
        if (settled) return;
        settled = true;
        clearTimeout(timer);
        const failure = asTlsError(error);
        top.destroy();
        const reason = classifyFailure(failure, spokeTls);
        figures?.failed(reason);
        logger?.debug({ error: failure, reason, peer: socket.remoteAddress }, 'no TLS session');
        reject(failure);
      };
      const timer = setTimeout(() => {
        fail(new TlsError('handshake-timeout', `no TLS session within ${timeoutMs} ms`));
      }, timeoutMs);

      const handshake = (): void => {
        const { secureContext, generation } = current.get();
        const tlsSocket = new TLSSocket(socket, { isServer: true, secureContext, ALPNProtocols });
        top = tlsSocket;
        tlsSocket.on('error', fail);
        tlsSocket.on('close', fail);
        // where sockets may be half open a client that left is an end and no close
        tlsSocket.on('end', fail);
        // without a tls.Server nobody acts on a record that cannot be decrypted later
        tlsSocket.on('_tlsError', (error: Error) => {
          if (settled) tlsSocket.destroy(error);
        });
        tlsSocket.once('secure', () => {
          if (settled) return;
          settled = true;
          clearTimeout(timer);
          figures?.completed(
            tlsSocket.getProtocol() ?? '',
            tlsSocket.isSessionReused(),
            (performance.now() - begunAt) / 1000,
          );
          resolve({ socket: tlsSocket, generation });
        });
      };

      const onReadable = () => {
        const chunk: Buffer | null = socket.read();
        if (chunk === null || settled) return;
        if (received === undefined) begunAt = performance.now();
        const octets = received === undefined ? chunk : Buffer.concat([received, chunk]);
        const hello = examineClientHello(octets);
        if (octets.length <= MAX_CLIENT_HELLO_BYTES && hello === 'partial') {
          received = octets;
          return;
        }
        spokeTls = hello !== 'not-tls';
        received = undefined;
        socket.off('readable', onReadable);
        try {
          inspect(octets);
          // put back for the TLS layer to take
          socket.unshift(octets);
          handshake();
        } catch (error) {
          fail(error);
        }
      };
      // in the second phase the TLS socket says why
      const onGone = () => {
        if (top === socket) fail(undefined);
      };
      socket.on('error', (error) => {
        if (top === socket) fail(error);
      });
      socket.on('readable', onReadable).on('end', onGone).on('close', onGone);
      // a socket that ended before it got here tells nobody again
      if (socket.destroyed || socket.readableEnded) onGone();
    });
  }

  return {
    accept: (socket) => secure(socket, () => {}),
    upgrade: (socket) => secure(socket, refuseCleartext),
  };
}
