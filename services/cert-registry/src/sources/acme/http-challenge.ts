/**
 * http-01 (RFC 8555 §8.3): a small HTTP server that gives the proofs of pending challenges and nothing else.
 * It listens as long as the source runs: a port that is taken shows at the start, not months later in the
 * night of a renewal, and an operator can try the way to it at any time.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { ListenAddress } from '../../listen-address.ts';
import type { ChallengeResponder, Proof } from './challenge.ts';
import { AcmeError } from './errors.ts';
import { WaitingConnections } from './waiting-connections.ts';

const PREFIX = '/.well-known/acme-challenge/';
/** Of base64url; RFC 8555 §8.3 wants at least 128 bits. */
const TOKEN = /^[\w-]{1,256}$/;

const LIMITS = {
  headerBytes: 8 * 1024,
  headersMs: 5_000,
  requestMs: 5_000,
  sweepMs: 1_000,
  /** That have not asked yet. A CA looks from a handful of places at once; the rest of the world may look too. */
  waiting: 256,
} as const;

export class HttpChallenge implements ChallengeResponder {
  readonly type = 'http-01';
  readonly #address: ListenAddress;
  readonly #proofs = new Map<string, string>();
  readonly #waiting = new WaitingConnections<Socket>(LIMITS.waiting);
  #server: Server | undefined;

  constructor(address: ListenAddress) {
    this.#address = address;
  }

  /** Where it listens; 0 while it does not. */
  get port(): number {
    const address = this.#server?.address() as AddressInfo | null | undefined;
    return address?.port ?? 0;
  }

  /** Once it listens, again does nothing. Throws AcmeError (not-listening). */
  async listen(): Promise<void> {
    if (this.#server !== undefined) return;
    const server = createServer(
      {
        maxHeaderSize: LIMITS.headerBytes,
        headersTimeout: LIMITS.headersMs,
        requestTimeout: LIMITS.requestMs,
        connectionsCheckingInterval: LIMITS.sweepMs,
      },
      (request, response) => this.#serve(request, response),
    );
    server.on('connection', (socket) => {
      this.#waiting.add(socket);
      socket.once('close', () => this.#waiting.delete(socket));
    });
    const { host, port } = this.#address;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once('error', reject).listen(port, host, resolve);
    try {
      await promise;
    } catch (cause) {
      const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
      throw new AcmeError(
        'not-listening',
        `cannot listen on ${host}:${port} for http-01 (${code}); CONCERT_ACME_HTTP_LISTEN names another`,
        { cause },
      );
    }
    server.removeAllListeners('error').on('error', () => {});
    this.#server = server;
  }

  async close(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const { promise, resolve } = Promise.withResolvers<void>();
    server.close(() => resolve());
    server.closeAllConnections();
    await promise;
  }

  async provide(proofs: readonly Proof[]): Promise<() => Promise<void>> {
    await this.listen();
    if (!proofs.every(({ token }) => TOKEN.test(token))) {
      throw new AcmeError('bad-answer', 'the CA gives a token that RFC 8555 does not allow');
    }
    for (const { token, value } of proofs) this.#proofs.set(token, value);
    return async () => {
      for (const { token } of proofs) this.#proofs.delete(token);
    };
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    this.#waiting.delete(request.socket);
    const { method = '', url = '' } = request;
    const asked = method === 'GET' || method === 'HEAD';
    const proof =
      asked && url.startsWith(PREFIX) ? this.#proofs.get(url.slice(PREFIX.length)) : undefined;
    // nothing that a stranger sends on is read, and no connection is kept for more
    response.writeHead(proof === undefined ? 404 : 200, {
      'content-type': 'application/octet-stream',
      'content-length': proof?.length ?? 0,
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
      connection: 'close',
    });
    response.end(method === 'HEAD' ? undefined : proof);
  }
}
