/**
 * Lets smtp-server take its TLS from a TlsAcceptor. As it comes, it builds contexts of its own (from a
 * published test key unless it is given another), picks one when the STARTTLS command arrives instead
 * of when the ClientHello does, knows no ALPN, goes on after cleartext behind STARTTLS, and waits
 * 100 ms before each greeting. Here it opens no listener and holds no context: the caller accepts
 * connections and hands them in.
 *
 * What is replaced of smtp-server are SMTPConnection.init and .upgrade, its answers to HELP and VRFY, and
 * SMTPServer.connect, .close, .listen and .updateSecureContext; smtp-server-adapter.test.ts fails when a
 * new version changes what this relies on.
 */
import type { Socket } from 'node:net';
import { SMTPServer, type SMTPServerOptions, type SMTPServerSession } from 'smtp-server';
import { SMTPConnection, type SMTPConnectionOptions } from 'smtp-server/lib/smtp-connection.js';
import { TlsError } from './errors.ts';
import type { SecuredSocket, TlsAcceptor } from './tls-listener.ts';

/** smtp-server's options without those that would make it terminate TLS or listen by itself. */
export type AdaptedSmtpOptions = Omit<
  SMTPServerOptions,
  | 'secure'
  | 'secured'
  | 'needsUpgrade'
  | 'useProxy'
  | 'key'
  | 'cert'
  | 'pfx'
  | 'SNICallback'
  | 'sniOptions'
> & {
  /** Asked before each command; a text ends the session with a 421 that says it. */
  readonly onCommand?: (session: SMTPServerSession, verb: string) => string | undefined;
};

/** As smtp-server's own. */
const CLOSE_TIMEOUT_MS = 30_000;
/** RFC 9112 §3. No command of SMTP ends in a version of HTTP. */
const HTTP_REQUEST_LINE = /^[A-Z]+ \S+ HTTP\/\d/i;

/** As HELP tells them. */
const COMMANDS = [
  ...['EHLO', 'HELO', 'STARTTLS', 'AUTH', 'MAIL', 'RCPT', 'DATA'],
  ...['RSET', 'NOOP', 'VRFY', 'HELP', 'QUIT'],
];

class AdaptedConnection extends SMTPConnection {
  readonly #server: ConcertSmtpServer;
  readonly #acceptor: TlsAcceptor;

  constructor(
    server: ConcertSmtpServer,
    socket: Socket,
    options: SMTPConnectionOptions,
    acceptor: TlsAcceptor,
  ) {
    super(server, socket, options);
    this.#server = server;
    this.#acceptor = acceptor;
  }

  /** For a session that comes over TLS already. */
  markSecured({ socket, generation }: SecuredSocket): void {
    this.secure = true;
    this.session.secure = true;
    this.tlsOptions = socket.getCipher();
    this.#server.noteGeneration(this.session, generation);
  }

  /**
   * As smtp-server's, without its 100 ms: whatever a client sent before the greeting lies in the
   * kernel's buffer by now, and one turn of the event loop brings it to the parser, which answers
   * "421 You talk too soon" (RFC 5321 §3.1: the client waits for the greeting).
   */
  override init(): void {
    this._setListeners(() => {
      const { maxClients } = this._server.options;
      if (maxClients && this._server.connections.size > maxClients) {
        this.send(421, `${this.name} Too many connected clients, try again in a moment`, false);
        return;
      }
      setImmediate(() => setImmediate(() => this.connectionReady()));
    });
  }

  /**
   * STARTTLS (RFC 3207), called when the 220 has been written. Whatever the parser holds behind the
   * command came in the clear: it is not run, and the connection ends without another word. Otherwise
   * the handshake is the acceptor's, and the session begins anew after it (§4.2).
   */
  override upgrade(callback: () => void): void {
    const socket = this._socket;
    const retired = this._parser;
    if (!retired) return;
    socket.unpipe(retired);
    // from here to the end of the handshake smtp-server writes nothing
    this._upgrading = true;
    let injected = false;
    retired.oncommand = () => {
      injected = true;
    };
    this._parser = this._createParser();
    // the idle timer of a wrapped socket sees no traffic; the acceptor has its own deadline
    socket.setTimeout(0);
    // lets the retired parser show what else it holds: a line, part of one, or chunks in its queue
    callback();
    setImmediate(() => {
      if (injected || retired._remainder !== '' || retired.writableLength > 0) {
        socket.destroy(
          new TlsError('cleartext-behind-starttls', 'octets in the clear follow STARTTLS'),
        );
        return;
      }
      retired.isClosed = true;
      // a failed handshake has destroyed the socket, whose close ends the session
      this.#acceptor.upgrade(socket).then(
        (secured) => this.#continueSecured(secured),
        (error: Error) =>
          this._server.logger.info({ tnx: 'starttls', cid: this.id }, error.message),
      );
    });
  }

  #continueSecured(secured: SecuredSocket): void {
    const { socket } = secured;
    if (!this._parser || this._closing) {
      socket.destroy();
      return;
    }
    socket.on('close', (hadError) => this._onCloseEvent(hadError));
    socket.on('error', (error) => this._onError(error));
    this._socket = socket;
    this._upgrading = false;
    this._armTimeout(socket);
    // RFC 3207 §4.2: what the client said in the clear is forgotten
    Object.assign(this.session, { user: undefined });
    this.hostNameAppearsAs = false;
    this.openingCommand = false;
    this.markSecured(secured);
    this._resetSession();
    Object.assign(this.session, { servername: socket.servername });
    this._server.onSecure(socket, this.session, (error) => {
      if (!this._parser) return;
      if (error) {
        this._refuse(error);
        return;
      }
      socket.pipe(this._parser);
    });
  }

  override _onClose(): void {
    super._onClose();
    this.#server.noteClosed(this);
  }

  /** A text that begins with an enhanced status code of its own keeps it (RFC 2034 §4). */
  override send(...[code, text, context]: Parameters<SMTPConnection['send']>): void {
    const ownStatus = typeof text === 'string' && /^[245]\.\d{1,3}\.\d{1,3} /.test(text);
    super.send(code, text, ownStatus ? false : context);
  }

  /**
   * A request line of HTTP ends the connection, whatever its method and target: smtp-server knows some. The
   * drain may have come while the command was answered: then the next one is not heard.
   */
  override _onCommand(...[command, callback]: Parameters<SMTPConnection['_onCommand']>): void {
    if (HTTP_REQUEST_LINE.test(command.toString())) {
      // smtp-server closes after a 421
      this.send(421, '4.7.0 HTTP requests are not allowed');
      callback?.();
      return;
    }
    const [verb = ''] = command.toString().split(' ');
    const refusal = this.#server.refusalOf(this.session, verb.toUpperCase());
    if (refusal !== undefined) {
      this.send(421, refusal);
      callback?.();
      return;
    }
    super._onCommand(command, () => {
      if (!this.leaveIfDrained()) callback?.();
    });
  }

  /**
   * Called by smtp-server when a session begins, in the clear or anew after STARTTLS, and whenever a
   * mail transaction is over, the reply to DATA being sent.
   */
  override _resetSession(): void {
    super._resetSession();
    // greeting, EHLO and RSET reset first and reply then: their reply goes first
    if (this.#server.isDrained(this.session)) setImmediate(() => this.leaveIfDrained());
  }

  /** Says 421 where the session's material is withdrawn and no mail transaction is under way. */
  leaveIfDrained(): boolean {
    if (this._closing || !this.#server.isDrained(this.session)) return false;
    if (this.busy || this.session.envelope?.mailFrom) return false;
    this.send(421, '4.3.2 The certificate was replaced, connect again');
    return true;
  }

  /** HELP (RFC 5321 §4.1.1.8): what may be said here. */
  override handler_HELP(_: Buffer, callback: () => void): void {
    const commands = COMMANDS.filter((name) => this._isSupported(name)).join(' ');
    this.send(214, [`Commands: ${commands}`, 'They are those of RFC 5321, 3207 and 4954']);
    callback();
  }

  /** VRFY (RFC 5321 §3.5.3): who has a mailbox here is told to nobody. */
  override handler_VRFY(command: Buffer, callback: () => void): void {
    if (/^\S+\s+\S/.test(command.toString())) {
      this.send(252, 'Cannot verify a mailbox, but will accept mail and attempt delivery');
    } else this.send(501, 'VRFY wants an address');
    callback();
  }

  /** Whether an answer is owed or a message is under way. */
  get busy(): boolean {
    return this._handlerPending || Boolean(this._dataStream);
  }
}

/**
 * An SMTPServer whose TLS is a TlsAcceptor's. It listens to nothing: hand each accepted connection to
 * `connect` (in the clear, STARTTLS on offer) or, once the acceptor has secured it, to
 * `connectSecured`. Errors of single connections are emitted as 'error'; unlike smtp-server's, they do
 * no harm when nobody listens.
 */
export class ConcertSmtpServer extends SMTPServer {
  readonly #acceptor: TlsAcceptor;
  readonly #onCommand: AdaptedSmtpOptions['onCommand'];
  readonly #open = new Set<AdaptedConnection>();
  readonly #generations = new WeakMap<SMTPServerSession, number>();
  #drainedBelow = 0;
  #allGone: (() => void) | undefined;

  /** `options` is copied; smtp-server would change it. */
  constructor(options: AdaptedSmtpOptions, acceptor: TlsAcceptor) {
    super({ ...options });
    this.#acceptor = acceptor;
    this.#onCommand = options.onCommand;
    this.on('error', () => {});
  }

  /** Generation of the material that the session's TLS was made under; undefined in the clear. */
  generationOf(session: SMTPServerSession): number | undefined {
    return this.#generations.get(session);
  }

  /** Takes a connection that speaks in the clear. `options` carries addresses that a proxy told. */
  override connect(socket: Socket, options: SMTPConnectionOptions | null = null): void {
    this.#begin(new AdaptedConnection(this, socket, options ?? {}, this.#acceptor));
  }

  /** Takes a connection whose handshake is done. */
  connectSecured(secured: SecuredSocket, options: SMTPConnectionOptions = {}): void {
    const connection = new AdaptedConnection(this, secured.socket, options, this.#acceptor);
    connection.markSecured(secured);
    this.#begin(connection);
  }

  #begin(connection: AdaptedConnection): void {
    this.connections.add(connection);
    this.#open.add(connection);
    connection.on('error', (error) => this._onError(error));
    connection.on('connect', (data) => this._onClientConnect(data));
    connection.init();
  }

  /**
   * Says 421 to each session made under a generation below this one, and ends it; one that has a mail
   * transaction under way hears it when that is over. A handshake under way that ends in such a session
   * is met in the same way, from now on.
   */
  drain(belowGeneration: number): void {
    this.#drainedBelow = Math.max(this.#drainedBelow, belowGeneration);
    for (const connection of this.#open) connection.leaveIfDrained();
  }

  /** Says 421 and `text`, and ends the session, unless a message or an answer is under way. */
  dismiss(session: SMTPServerSession, text: string): void {
    for (const connection of this.#open) {
      if (connection.session === session && !connection.busy) connection.send(421, text);
    }
  }

  /** @internal */
  refusalOf(session: SMTPServerSession, verb: string): string | undefined {
    return this.#onCommand?.(session, verb);
  }

  /** @internal */
  isDrained(session: SMTPServerSession): boolean {
    const generation = this.#generations.get(session);
    return generation !== undefined && generation < this.#drainedBelow;
  }

  /**
   * Says 421 to idle sessions at once, to each other one at its next command, and after closeTimeout
   * (option, milliseconds) to whatever is left; a client that does not close its side then is cut off
   * 5 s later. Calls back when all are gone.
   */
  override close(callback?: (() => void) | null): void {
    const finish = () => {
      clearTimeout(this._closeTimeout || undefined);
      this.#allGone = undefined;
      this.emit('close');
      callback?.();
    };
    this.#allGone = finish;
    // smtp-server answers 421 to every command while this is set
    this._closeTimeout = setTimeout(() => {
      for (const connection of this.#open) {
        connection.send(421, '4.3.2 Server shutting down');
      }
    }, this.options.closeTimeout ?? CLOSE_TIMEOUT_MS);
    for (const connection of this.#open) {
      if (!connection.busy) connection.send(421, '4.3.2 Server shutting down');
    }
    if (this.#open.size === 0) setImmediate(finish);
  }

  /** @internal */
  noteGeneration(session: SMTPServerSession, generation: number): void {
    this.#generations.set(session, generation);
  }

  /** @internal */
  noteClosed(connection: AdaptedConnection): void {
    this.#open.delete(connection);
    if (this.#open.size === 0) this.#allGone?.();
  }

  /** There is no listener here. */
  override listen(): never {
    throw new Error('hand connections to connect or connectSecured; this server does not listen');
  }

  /** Called by smtp-server's constructor, which would build a context from its published test key. */
  override updateSecureContext(): void {
    this.secureContext = new Map();
  }

  /** About that key: it is never used. */
  override _warnAboutDefaultCertificate(): void {}
}
