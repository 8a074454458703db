/**
 * From an accepted TCP connection to a TLS session under the material in force. Nothing here keeps a
 * context: each connection asks when its ClientHello has arrived whole. A client that dribbles its
 * ClientHello across a switch is answered with the new certificate, and a handshake that has begun
 * goes on under the material that it began with.
 */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { type Logger, METRICS, type Metrics } from '@mail/service';
import { examineClientHello } from './client-hello.ts';
import type { CurrentMaterial } from './current-material.ts';
import { TlsError } from './errors.ts';
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

/**
 * Resolves when a whole ClientHello lies in the socket's buffer, with its first octets; what has been
 * read is put back for the TLS layer to take.
 */
function receiveClientHello(socket: Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let bytes: Buffer = Buffer.alloc(0);
    const onReadable = () => {
      const chunk: Buffer | null = socket.read();
      if (chunk === null) return;
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
      if (bytes.length <= MAX_CLIENT_HELLO_BYTES && examineClientHello(bytes) === 'partial') {
        return;
      }
      stop();
      socket.unshift(bytes);
      resolve(bytes);
    };
    const onEnd = () => {
      stop();
      reject(clientGone());
    };
    const onError = (error: Error) => {
      stop();
      reject(asTlsError(error));
    };
    const stop = () => {
      socket.off('readable', onReadable).off('end', onEnd).off('close', onEnd);
      socket.off('error', onError);
    };
    socket.on('readable', onReadable).on('end', onEnd).on('close', onEnd).on('error', onError);
    // a socket that ended before it got here tells nobody again
    if (socket.destroyed || socket.readableEnded) onEnd();
  });
}

/** Resolves when both sides have finished. */
function completeHandshake(tlsSocket: TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    const onSecure = () => {
      stop();
      resolve();
    };
    const onError = (error: Error) => {
      stop();
      reject(asTlsError(error));
    };
    const onClose = () => {
      stop();
      reject(clientGone());
    };
    const stop = () => {
      tlsSocket.off('secure', onSecure).off('error', onError).off('close', onClose);
    };
    tlsSocket.on('secure', onSecure).on('error', onError).on('close', onClose);
  });
}

/** The wire form, so that Node need not convert it anew for each connection. */
function encodeProtocols(names: readonly string[]): Uint8Array {
  return Buffer.concat(names.map((name) => Buffer.from([name.length, ...Buffer.from(name)])));
}

const ignore = () => {};

/** The acceptor of one protocol. Any number of listeners may share it. */
export function createTlsAcceptor(options: TlsAcceptorOptions): TlsAcceptor {
  const { current, logger } = options;
  const timeoutMs = options.handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS;
  const ALPNProtocols = encodeProtocols(options.alpn);
  const handshakes = options.metrics?.counter(METRICS.handshakes, ['version', 'outcome']);

  async function secure(
    socket: Socket,
    inspect: (firstOctets: Buffer) => void,
  ): Promise<SecuredSocket> {
    let top: Socket = socket;
    // destroying what lies below a TLS socket in mid-handshake is not safe, so always the topmost
    const timer = setTimeout(() => {
      top.destroy(new TlsError('handshake-timeout', `no TLS session within ${timeoutMs} ms`));
    }, timeoutMs);
    // between the phases, and after a failure, an error is nobody's and must not end the process
    socket.on('error', ignore);
    try {
      inspect(await receiveClientHello(socket));
      const { secureContext, generation } = current.get();
      const tlsSocket = new TLSSocket(socket, { isServer: true, secureContext, ALPNProtocols });
      top = tlsSocket;
      tlsSocket.on('error', ignore);
      await completeHandshake(tlsSocket);
      // without a tls.Server nobody acts on a record that cannot be decrypted later
      tlsSocket.on('_tlsError', (error: Error) => tlsSocket.destroy(error));
      handshakes?.inc({
        version: tlsSocket.getProtocol() ?? '',
        outcome: tlsSocket.isSessionReused() ? 'resumed' : 'full',
      });
      return { socket: tlsSocket, generation };
    } catch (error) {
      const failure = asTlsError(error);
      top.destroy();
      handshakes?.inc({ version: '', outcome: failure.code });
      logger?.debug({ error: failure, peer: socket.remoteAddress }, 'no TLS session');
      throw failure;
    } finally {
      clearTimeout(timer);
    }
  }

  return {
    accept: (socket) => secure(socket, ignore),
    upgrade: (socket) => secure(socket, refuseCleartext),
  };
}
