import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectTcp, createServer, type Server, type Socket } from 'node:net';
import { connect } from 'node:tls';
import { SMTPServer } from 'smtp-server';
import { SMTPConnection } from 'smtp-server/lib/smtp-connection.js';
import { SMTPStream } from 'smtp-server/lib/smtp-stream.js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConcertSmtpServer } from './smtp-server-adapter.ts';
import { type StaticCertificates, staticCertificates } from './testing/static-certificates.ts';
import type { SecuredSocket, TlsAcceptor } from './tls-listener.ts';

/** Lines as they come, from a socket in the clear or over TLS. */
class Dialogue {
  readonly socket: Socket;
  #text = '';
  #ended = false;
  #wake = () => {};

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk) => {
      this.#text += chunk;
      this.#wake();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#ended = true;
      this.#wake();
    });
  }

  /** The next reply, all its lines; undefined once the server has closed. */
  async reply(): Promise<string | undefined> {
    for (;;) {
      const match = /^(?:\d{3}-.*\r\n)*\d{3} .*\r\n/.exec(this.#text);
      if (match) {
        this.#text = this.#text.slice(match[0].length);
        return match[0].trimEnd();
      }
      if (this.#ended) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async say(command: string): Promise<string | undefined> {
    this.socket.write(`${command}\r\n`);
    return this.reply();
  }

  /** Hands the socket to a TLS client. */
  async secure(): Promise<Dialogue> {
    this.socket.removeAllListeners('data');
    const client = connect({ socket: this.socket, rejectUnauthorized: false });
    const dialogue = new Dialogue(client);
    await once(client, 'secureConnect');
    return dialogue;
  }
}

describe('ConcertSmtpServer', () => {
  let certificates: StaticCertificates;
  let smtp: ConcertSmtpServer;
  let server: Server;
  let port: number;
  let commands: string[];
  let generations: (number | undefined)[];
  let remembered: unknown[];
  let authenticate: (callback: Parameters<SMTPServer['onAuth']>[2]) => void;
  const sockets: Socket[] = [];

  beforeEach(async () => {
    handshakeDone = Promise.withResolvers();
    release = Promise.withResolvers();
    release.resolve();
    commands = [];
    generations = [];
    remembered = [];
    certificates = await staticCertificates({ service: 'smtp' });
    const real = certificates.acceptor(['smtp']);
    const held = async (handshake: Promise<SecuredSocket>): Promise<SecuredSocket> => {
      const secured = await handshake;
      handshakeDone.resolve();
      await release.promise;
      return secured;
    };
    const acceptor: TlsAcceptor = {
      accept: (socket) => held(real.accept(socket)),
      upgrade: (socket) => held(real.upgrade(socket)),
    };
    smtp = new ConcertSmtpServer(
      {
        name: 'mx.example.test',
        disableReverseLookup: true,
        authOptional: true,
        onAuth: (_auth, _session, callback) => authenticate(callback),
        onSecure: (_, session, callback) => {
          generations.push(smtp.generationOf(session));
          remembered.push(session.openingCommand, session.hostNameAppearsAs, session.user);
          callback();
        },
        onMailFrom: (address, session, callback) => {
          commands.push(address.address);
          generations.push(smtp.generationOf(session));
          callback();
        },
        onData: (stream, _, callback) => {
          stream.resume();
          stream.on('end', () => callback());
        },
      },
      acceptor,
    );
    server = createServer((socket) => {
      if (implicit) {
        acceptor.accept(socket).then(
          (secured) => smtp.connectSecured(secured),
          () => {},
        );
      } else smtp.connect(socket, { remoteAddress: '192.0.2.7' });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  });
  let implicit = false;
  /** The acceptor's handshake, and what it waits for before it hands the session over. */
  let handshakeDone: PromiseWithResolvers<void>;
  let release: PromiseWithResolvers<void>;

  afterEach(async () => {
    implicit = false;
    for (const socket of sockets.splice(0)) socket.destroy();
    server.close();
    certificates.close();
    await new Promise<void>((resolve) => smtp.close(resolve));
  });

  function dial(): Dialogue {
    const socket = connectTcp(port, '127.0.0.1');
    sockets.push(socket);
    return new Dialogue(socket);
  }

  async function greeted(): Promise<Dialogue> {
    const dialogue = dial();
    expect(await dialogue.reply()).toBe('220 mx.example.test ESMTP');
    return dialogue;
  }

  async function secured(): Promise<Dialogue> {
    const clear = await greeted();
    expect(await clear.say('EHLO client.test')).toMatch(/^250.STARTTLS$/m);
    expect(await clear.say('STARTTLS')).toMatch(/^220 /);
    return clear.secure();
  }

  it('upgrades by STARTTLS under the material of the ClientHello', async () => {
    const clear = await greeted();
    await clear.say('EHLO client.test');
    expect(await clear.say('STARTTLS')).toMatch(/^220 /);
    await certificates.switchToNext();
    const dialogue = await clear.secure();
    // RFC 3207 §4.2: what was said in the clear is forgotten
    expect(await dialogue.say('MAIL FROM:<a@example.test>')).toMatch(/^503 /);
    expect(remembered).toEqual([false, false, undefined]);
    const features = await dialogue.say('EHLO client.test');
    expect(features).toContain('250');
    expect(features).not.toContain('STARTTLS');
    expect(await dialogue.say('MAIL FROM:<a@example.test>')).toMatch(/^250 /);
    expect(generations).toEqual([2, 2]);
    expect(await dialogue.say('STARTTLS')).toMatch(/^503 /);
  });

  it('takes connections that are TLS from the start', async () => {
    implicit = true;
    const client = connect({ port, rejectUnauthorized: false, ALPNProtocols: ['smtp'] });
    sockets.push(client);
    const dialogue = new Dialogue(client);
    expect(await dialogue.reply()).toBe('220 mx.example.test ESMTP');
    expect(await dialogue.say('EHLO client.test')).not.toContain('STARTTLS');
    expect(await dialogue.say('MAIL FROM:<a@example.test>')).toMatch(/^250 /);
    expect(generations).toEqual([1, 1]);
  });

  it.each([
    ['a command in the same segment', 'STARTTLS\r\nMAIL FROM:<evil@example.test>\r\n'],
    ['part of a command in the same segment', 'STARTTLS\r\nMAIL FR'],
    ['several', 'STARTTLS\r\nNOOP\r\nMAIL FROM:<evil@example.test>\r\nDATA\r\n'],
    ['a line end', 'STARTTLS\r\n\r\n'],
  ])('ends a connection with cleartext behind STARTTLS: %s', async (_, octets) => {
    const clear = await greeted();
    await clear.say('EHLO client.test');
    clear.socket.write(octets);
    expect(await clear.reply()).toMatch(/^220 /);
    expect(await clear.reply()).toBeUndefined();
    expect(commands).toEqual([]);
  });

  it('ends a connection with cleartext that comes after the go-ahead', async () => {
    const clear = await greeted();
    await clear.say('EHLO client.test');
    await clear.say('STARTTLS');
    expect(await clear.say('MAIL FROM:<evil@example.test>')).toBeUndefined();
    expect(commands).toEqual([]);
  });

  it('greets without the fixed delay, and still turns early talkers away', async () => {
    const early = dial();
    early.socket.write('EHLO client.test\r\n');
    expect(await early.reply()).toMatch(/^421 .*too soon/);
    expect(await early.reply()).toBeUndefined();
  });

  it('lets a session idle and go on after the handshake, and ends it in order', async () => {
    const dialogue = await secured();
    expect(await dialogue.say('NOOP')).toMatch(/^250 /);
    expect(await dialogue.say('QUIT')).toMatch(/^221 /);
    expect(await dialogue.reply()).toBeUndefined();
    expect(smtp.connections.size).toBe(0);
  });

  it('drains what was made under older generations, and nothing else', async () => {
    const clear = await greeted();
    const old = await secured();
    await certificates.switchToNext();
    const fresh = await secured();
    smtp.drain(2);
    expect(await old.reply()).toMatch(/^421 /);
    expect(await fresh.say('NOOP')).toMatch(/^250 /);
    expect(await clear.say('NOOP')).toMatch(/^250 /);
  });

  it.each(['STARTTLS', 'implicit'])(
    'drains what comes of a handshake under way: %s',
    async (way) => {
      release = Promise.withResolvers();
      let client: Dialogue;
      if (way === 'implicit') {
        implicit = true;
        client = new Dialogue(connect({ port, rejectUnauthorized: false }));
      } else client = await secured();
      sockets.push(client.socket);
      await handshakeDone.promise;
      smtp.drain(2);
      release.resolve();
      expect(await client.reply()).toMatch(/^421 4\.3\.2 The certificate was replaced/);
      expect(await client.reply()).toBeUndefined();
    },
  );

  it('drains a session whose command was being answered, behind the answer', async () => {
    const old = await secured();
    expect(await old.say('EHLO client.test')).toMatch(/^250/);
    const asked = Promise.withResolvers<void>();
    authenticate = (callback) => {
      asked.resolve();
      answer.promise.then(() => callback(null, { user: 'a' }));
    };
    const answer = Promise.withResolvers<void>();
    old.socket.write('AUTH PLAIN AGEAYg==\r\nMAIL FROM:<late@example.test>\r\n');
    await asked.promise;
    smtp.drain(2);
    answer.resolve();
    expect(await old.reply()).toMatch(/^235 /);
    expect(await old.reply()).toMatch(/^421 4\.3\.2 The certificate was replaced/);
    expect(commands).toEqual([]);
  });

  it('closes: idle sessions at once, one in DATA after its message', async () => {
    const idle = await greeted();
    const busy = await secured();
    await busy.say('EHLO client.test');
    await busy.say('MAIL FROM:<a@example.test>');
    await busy.say('RCPT TO:<b@example.test>');
    expect(await busy.say('DATA')).toMatch(/^354 /);
    const closed = new Promise<void>((resolve) => smtp.close(resolve));
    expect(await idle.reply()).toMatch(/^421 /);
    expect(await busy.say('Subject: x\r\n\r\ny\r\n.')).toMatch(/^250 /);
    expect(await busy.say('NOOP')).toMatch(/^421 /);
    idle.socket.end();
    busy.socket.end();
    await closed;
  });

  it('never listens and never holds a context of its own', () => {
    expect(() => smtp.listen()).toThrow();
    expect(smtp.secureContext.size).toBe(0);
    smtp.updateSecureContext();
    expect(smtp.secureContext.size).toBe(0);
  });
});

describe('what is relied on of smtp-server', () => {
  // When one of these differs, read the new version of it, see whether smtp-server-adapter.ts still does
  // what it must, and only then put the new digest here.
  it.each([
    ['SMTPConnection.init', SMTPConnection.prototype.init, '1265a7d7ca8f5510'],
    ['SMTPConnection.upgrade', SMTPConnection.prototype.upgrade, '6a3fa8a3ee413745'],
    [
      'SMTPConnection.handler_STARTTLS',
      SMTPConnection.prototype.handler_STARTTLS,
      '54e8a7f36219f4c0',
    ],
    ['SMTPConnection.send', SMTPConnection.prototype.send, 'c33568c0111a58b2'],
    ['SMTPConnection.close', SMTPConnection.prototype.close, '4b80aaabd134a732'],
    [
      'SMTPConnection.connectionReady',
      SMTPConnection.prototype.connectionReady,
      '361a2b1de88fbf67',
    ],
    ['SMTPConnection._setListeners', SMTPConnection.prototype._setListeners, 'cf07ab6f47db09ac'],
    ['SMTPConnection._onCommand', SMTPConnection.prototype._onCommand, '41c8a1b7a32aa314'],
    ['SMTPConnection._onClose', SMTPConnection.prototype._onClose, '097b8d221da5c5ad'],
    ['SMTPStream._write', SMTPStream.prototype._write, 'a72635ce53e24b3a'],
    ['SMTPServer.connect', SMTPServer.prototype.connect, '9818ea13a1c36459'],
    ['SMTPServer.close', SMTPServer.prototype.close, '9084d18828ade08d'],
    [
      'SMTPServer.updateSecureContext',
      SMTPServer.prototype.updateSecureContext,
      '643afa2b7bfe4d0d',
    ],
  ])('%s is the one that was read', (_, method, digest) => {
    expect(createHash('sha256').update(method.toString()).digest('hex').slice(0, 16)).toBe(digest);
  });
});
