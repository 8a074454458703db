/**
 * One connection of a line protocol, as its session sees it: pull a line, pull a literal, write, upgrade
 * to TLS, end. Owns the socket, its buffer, its time-outs and its manners; knows no protocol.
 *
 * A session is a loop that pulls. Reading stops by itself while nobody pulls, and `write` resolves only
 * once there is room, so neither a flood of commands nor a client that does not read grows memory.
 * `write` may be called while a read waits (IMAP IDLE). When the service drains or stops, the waiting or
 * the next read rejects with `draining` or `shutting-down`: the command in progress ends first, then the
 * session says farewell in its protocol's words and returns.
 */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { ListenerConfig } from '@mail/service';
import { channelBindingOf } from './channel-bindings.ts';
import { LineServerError } from './errors.ts';
import { LineReader } from './line-reader.ts';
import type { AcceptedSocket } from './listener.ts';
import type { SessionLog } from './session-log.ts';
import type { TlsAcceptor } from './tls-acceptor.ts';

export interface ConnectionOptions {
  /** Octets of a line without its end. */
  readonly maxLineBytes: number;
  /** For a whole line; settable later by `idleTimeoutMs`. */
  readonly idleTimeoutMs: number;
  /** How long a full send buffer may stay full. */
  readonly writeTimeoutMs: number;
}

export interface ReadOptions {
  /** Lets go of the read: it rejects with the signal's reason, and no octet is lost. */
  readonly signal?: AbortSignal;
}

/** What a client may send ahead before we stop reading from the socket. */
const READ_AHEAD_BYTES = 64 * 1024;
/**
 * Who sends a literal more slowly than so much in so long (half a KiB a second) is cut off: others want
 * the memory that it fills.
 */
export const LITERAL_PIECE_BYTES = 64 * 1024;
const LITERAL_PIECE_TIMEOUT_MS = 2 * 60_000;
/** For the peer to close its side, once the last octets have left. */
const LINGER_MS = 5_000;

/** What browsers send first. A request target never begins a command of a mail protocol. */
const HTTP_REQUEST =
  /^(?:GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH|PRI) (?:\/|\*|https?:)| HTTP\/\d/;

interface PendingRead {
  /** The octets asked for, or undefined until they are there. May throw. */
  readonly take: () => Buffer | undefined;
  readonly resolve: (octets: Buffer | undefined) => void;
  readonly reject: (error: unknown) => void;
  /** Stops listening to the reader's signal. */
  readonly release: (() => void) | undefined;
  readonly timer: NodeJS.Timeout;
}

export class Connection {
  readonly listener: ListenerConfig;
  /** For logs and metrics: "imaps 127.0.0.1:2993". */
  readonly listenerName: string;
  /** The client's, from the PROXY header where there is one. */
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly log: SessionLog;
  /** Applies from the next read. */
  idleTimeoutMs: number;
  readonly #options: ConnectionOptions;
  readonly #tls: TlsAcceptor;
  #socket: Socket;
  #generation: number | undefined;
  #drainedBelow = 0;
  #reader = new LineReader();
  #pending: PendingRead | undefined;
  #drained: Promise<void> | undefined;
  #corked = false;
  #firstLine = true;
  #peerEnded = false;
  #closed = false;
  #upgrading = false;
  #failure: LineServerError | undefined;
  #ending: LineServerError | undefined;

  constructor(accepted: AcceptedSocket, tls: TlsAcceptor, options: ConnectionOptions) {
    this.listener = accepted.listener;
    this.listenerName = accepted.listenerName;
    this.remoteAddress = accepted.remoteAddress;
    this.remotePort = accepted.remotePort;
    this.log = accepted.log;
    this.idleTimeoutMs = options.idleTimeoutMs;
    this.#generation = accepted.generation;
    this.#options = options;
    this.#tls = tls;
    this.#socket = accepted.socket;
    this.#attach();
  }

  /** Whether the connection is inside TLS. */
  get secure(): boolean {
    return this.#socket instanceof TLSSocket;
  }

  /** Generation of the material that TLS was made under; undefined without TLS. */
  get generation(): number | undefined {
    return this.#generation;
  }

  /** "TLSv1.3", "TLS_AES_128_GCM_SHA256"; undefined without TLS. */
  get tls(): { readonly version: string; readonly cipher: string } | undefined {
    if (!(this.#socket instanceof TLSSocket)) return undefined;
    return {
      version: this.#socket.getProtocol() ?? '',
      cipher: this.#socket.getCipher()?.standardName ?? '',
    };
  }

  /** The data of a type of channel binding; undefined where the TLS session has none to offer. */
  get channelBinding(): ((type: string) => Buffer | undefined) | undefined {
    return this.#socket instanceof TLSSocket ? channelBindingOf(this.#socket) : undefined;
  }

  /** Whether this listener takes credentials on the connection as it is now. */
  get loginAllowed(): boolean {
    return this.secure || !this.listener.requireTlsForLogin;
  }

  /** Whether STARTTLS makes sense now. */
  get startTlsOffered(): boolean {
    return this.listener.tls === 'starttls' && !this.secure;
  }

  /**
   * The next line without its end; undefined once the peer has ended and every whole line was taken.
   * One read at a time. Rejects with LineServerError.
   */
  readLine(options: ReadOptions = {}): Promise<Buffer | undefined> {
    const take = () => {
      const line = this.#reader.takeLine(this.#options.maxLineBytes);
      if (line !== undefined) this.log.count('lines');
      if (line === undefined || !this.#firstLine) return line;
      this.#firstLine = false;
      if (!HTTP_REQUEST.test(line.toString('latin1'))) return line;
      throw new LineServerError('http-request', 'an HTTP request came to a mail port');
    };
    return this.#read(take, this.idleTimeoutMs, options);
  }

  /**
   * `size` octets, whatever they are. The caller has checked the size: they are held in memory.
   * Rejects as literalPieces.
   */
  async readLiteral(size: number): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for await (const piece of this.literalPieces(size)) pieces.push(piece);
    return pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces, size);
  }

  /**
   * `size` octets as they arrive, in pieces of LITERAL_PIECE_BYTES; the last is shorter. Throws
   * LineServerError: `closed` when the peer ends in the middle, `idle-timeout` when a piece takes too long.
   */
  async *literalPieces(size: number): AsyncGenerator<Buffer, void, void> {
    for (let left = size; left > 0; left -= LITERAL_PIECE_BYTES) {
      const length = Math.min(left, LITERAL_PIECE_BYTES);
      const timeoutMs = Math.min(this.idleTimeoutMs, LITERAL_PIECE_TIMEOUT_MS);
      const piece = await this.#read(() => this.#reader.take(length), timeoutMs, {});
      if (piece === undefined) throw new LineServerError('closed', 'the client ended in a literal');
      yield piece;
    }
  }

  /**
   * Sends; text as UTF-8. Resolves once there is room for more, at once as a rule. Rejects with
   * `closed` or `write-timeout`. Small writes made in one go leave in one packet.
   */
  write(data: string | Uint8Array): Promise<void> {
    if (this.#broken) return Promise.reject(this.#broken);
    if (!this.#corked) {
      this.#corked = true;
      const socket = this.#socket;
      socket.cork();
      process.nextTick(() => {
        this.#corked = false;
        socket.uncork();
      });
    }
    const room = this.#socket.write(data);
    if (room && this.#drained === undefined) return Promise.resolve();
    this.#drained ??= this.#waitForDrain(this.#socket);
    return this.#drained;
  }

  /** For long work without a word: throws what a write would reject with. */
  requireClient(): void {
    if (this.#broken) throw this.#broken;
  }

  /**
   * STARTTLS: sends `goAhead`, then handshakes. Rejects with `cleartext-behind-starttls` (nothing is
   * sent then) or `tls-failed`; either ends the connection. What was read before counts no more
   * (RFC 3207 §4.2): the session forgets what it knew of the client.
   */
  async startTls(goAhead: string): Promise<void> {
    const socket = this.#socket;
    // stop first: whatever arrives from here on goes to the handshake and nowhere else
    socket.pause();
    socket.off('data', this.#onData);
    if (this.#reader.clear() + socket.readableLength > 0) {
      const error = new LineServerError(
        'cleartext-behind-starttls',
        'the client sent octets in the clear behind STARTTLS',
      );
      this.#fail(error);
      throw error;
    }
    await this.#flush(goAhead);
    socket.off('end', this.#onEnd);
    socket.off('close', this.#onClose);
    this.#upgrading = true;
    try {
      const secured = await this.#tls.upgrade(socket);
      this.#socket = secured.socket;
      this.#generation = secured.generation;
      this.log.noteTls(secured.socket, secured.generation);
    } catch (cause) {
      const error = new LineServerError('tls-failed', 'the TLS handshake failed', { cause });
      this.#fail(error);
      throw error;
    } finally {
      this.#upgrading = false;
    }
    if (this.#broken) {
      this.#socket.destroy();
      throw this.#broken;
    }
    this.#firstLine = true;
    this.#endIfDrained();
    this.#attach();
  }

  /** Sends `farewell`, ends, and resolves when the connection is gone. Never rejects; idempotent. */
  async end(farewell = ''): Promise<void> {
    const socket = this.#socket;
    this.#settle((pending) => pending.resolve(undefined));
    if (socket.destroyed) return;
    const gone = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    let linger = setTimeout(() => socket.destroy(), this.#options.writeTimeoutMs);
    const sent = () => {
      clearTimeout(linger);
      // a peer that has ended too is gone with our end
      if (this.#peerEnded || socket.destroyed) return;
      linger = setTimeout(() => socket.destroy(), LINGER_MS);
    };
    // an empty farewell would be a write of its own
    if (farewell === '') socket.end(sent);
    else socket.end(farewell, sent);
    // what the peer still sends is thrown away: unread octets would turn our end into a reset
    socket.off('data', this.#onData);
    this.#reader.clear();
    socket.resume();
    await gone;
    clearTimeout(linger);
  }

  /** Ends at once, without a word. */
  destroy(): void {
    this.#fail(new LineServerError('closed', 'the connection was cut off'));
  }

  /** The server's: the waiting or next read rejects with `error`, and so does every one after it. */
  announceEnd(error: LineServerError): void {
    this.#ending ??= error;
    this.#settle((pending) => pending.reject(this.#ending));
  }

  /**
   * The server's: ends the session as announceEnd does if its TLS is of an older generation, or comes to
   * be by a STARTTLS handshake that is under way.
   */
  drainBelow(generation: number): void {
    this.#drainedBelow = generation;
    this.#endIfDrained();
  }

  #endIfDrained(): void {
    if (this.#generation === undefined || this.#generation >= this.#drainedBelow) return;
    const message = 'the certificate of this connection is withdrawn';
    this.announceEnd(new LineServerError('draining', message));
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#reader.push(chunk);
    this.#serve();
    if (!this.#pending && this.#reader.bytes >= READ_AHEAD_BYTES) this.#socket.pause();
  };

  readonly #onEnd = (): void => {
    this.#peerEnded = true;
    this.#serve();
  };

  readonly #onClose = (): void => {
    this.#closed = true;
    this.#onEnd();
  };

  /** Why nothing can be sent any more. An error costs its stack, and hardly any connection asks. */
  get #broken(): LineServerError | undefined {
    if (this.#closed) this.#failure ??= new LineServerError('closed', 'the client is gone');
    return this.#failure;
  }

  #attach(): void {
    const socket = this.#socket;
    socket.on('data', this.#onData);
    socket.on('end', this.#onEnd);
    socket.on('close', this.#onClose);
    // a stranger's reset is no event of ours: 'close' follows it
    socket.on('error', () => {});
    socket.resume();
  }

  #read(
    take: () => Buffer | undefined,
    timeoutMs: number,
    { signal }: ReadOptions,
  ): Promise<Buffer | undefined> {
    if (this.#pending) throw new Error('two reads at once on one connection');
    if (this.#ending) return Promise.reject(this.#ending);
    if (signal?.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const error = new LineServerError('idle-timeout', 'the client sent nothing in time');
        this.#settle((pending) => pending.reject(error));
      }, timeoutMs);
      let release: (() => void) | undefined;
      if (signal) {
        const abort = () => this.#settle((pending) => pending.reject(signal.reason));
        signal.addEventListener('abort', abort, { once: true });
        release = () => signal.removeEventListener('abort', abort);
      }
      this.#pending = { take, resolve, reject, release, timer };
      this.#serve();
      if (this.#pending && this.#socket.isPaused()) this.#socket.resume();
    });
  }

  /** Answers the waiting read if what it asks for is there, or never will be. */
  #serve(): void {
    if (!this.#pending) return;
    try {
      const octets = this.#pending.take();
      if (octets !== undefined || this.#peerEnded) {
        this.#settle((pending) => pending.resolve(octets));
      }
    } catch (error) {
      this.#settle((pending) => pending.reject(error));
    }
  }

  #settle(how: (pending: PendingRead) => void): void {
    const pending = this.#pending;
    if (!pending) return;
    this.#pending = undefined;
    clearTimeout(pending.timer);
    pending.release?.();
    how(pending);
  }

  /** Resolves when everything written has left this process. */
  async #flush(data: string): Promise<void> {
    const timer = this.#limitWrite();
    const failed = await new Promise((resolve) => this.#socket.write(data, resolve));
    clearTimeout(timer);
    if (!failed) return;
    throw this.#broken ?? new LineServerError('closed', 'the client is gone', { cause: failed });
  }

  #limitWrite(): NodeJS.Timeout {
    return setTimeout(
      () => this.#fail(new LineServerError('write-timeout', 'the client does not read')),
      this.#options.writeTimeoutMs,
    );
  }

  #waitForDrain(socket: Socket): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = this.#limitWrite();
    const settle = () => {
      clearTimeout(timer);
      socket.off('drain', settle);
      socket.off('close', settle);
      this.#drained = undefined;
      if (this.#broken) reject(this.#broken);
      else resolve();
    };
    socket.on('drain', settle);
    socket.on('close', settle);
    return promise;
  }

  #fail(error: LineServerError): void {
    this.#failure ??= error;
    this.#peerEnded = true;
    // in the middle of a handshake the socket is the acceptor's, and must not be pulled from under it
    if (!this.#upgrading) this.#socket.destroy();
    this.#settle((pending) => pending.reject(error));
  }
}
