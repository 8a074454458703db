/** Listeners, connections and sessions over real sockets, TLS by @mail/certs. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { type StaticCertificates, staticCertificates } from '@mail/certs/testing';
import { type ListenerConfig, METRICS, Metrics, parseListener, silentLogger } from '@mail/service';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Connection, type ConnectionOptions, LITERAL_PIECE_BYTES } from './connection.ts';
import { LineServerError } from './errors.ts';
import { ConnectionLimits } from './limits.ts';
import type { OpenListener } from './listener.ts';
import { type LineServer, type LineServerOptions, serveSessions } from './server.ts';
import { runTranscript } from './testing/transcript.ts';
import type { SecuredSocket, TlsAcceptor } from './tls-acceptor.ts';

let certificates: StaticCertificates;
beforeAll(async () => {
  certificates = await staticCertificates();
});
afterAll(() => certificates.close());

const opened: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0)) await close();
});

const metrics = new Metrics();
const logger = silentLogger();

async function open(
  session: LineServerOptions['session'],
  options: {
    listener?: string;
    clustered?: boolean;
    tls?: TlsAcceptor;
    perAddress?: number;
    connection?: Partial<ConnectionOptions>;
  } = {},
): Promise<LineServer & { port: number; first: OpenListener }> {
  const listeners: ListenerConfig[] = [parseListener(options.listener ?? 'starttls://127.0.0.1:0')];
  const server = await serveSessions({
    protocol: 'pop3',
    listeners,
    tls: options.tls ?? certificates.acceptor(['pop3']),
    clustered: options.clustered ?? false,
    limits: new ConnectionLimits({ total: 1_000, perAddress: options.perAddress ?? 1_000 }),
    logger,
    metrics,
    connection: {
      maxLineBytes: 100,
      idleTimeoutMs: 10_000,
      writeTimeoutMs: 10_000,
      ...options.connection,
    },
    session,
  });
  opened.push(() => server.close(0));
  const [first] = server.listeners;
  if (!first) throw new Error('no listener');
  return Object.assign(server, { port: first.port, first });
}

/** Answers each line with itself, "TLS" with a handshake, a number with that many octets read. */
async function echo(connection: Connection): Promise<void> {
  await connection.write('hello\r\n');
  for (let line = await connection.readLine(); line; line = await connection.readLine()) {
    const text = line.toString();
    if (text === 'TLS') await connection.startTls('go ahead\r\n');
    else if (/^\d+$/.test(text)) {
      const literal = await connection.readLiteral(Number(text));
      await connection.write(`${literal.length} ${literal}\r\n`);
    } else await connection.write(`${connection.secure} ${text}\r\n`);
  }
}

/** How a session ended, for tests that look at the error. */
function watched(session: (connection: Connection) => Promise<void>) {
  const end = Promise.withResolvers<unknown>();
  return {
    end: end.promise,
    session: async (connection: Connection) => {
      await session(connection).then(end.resolve, end.resolve);
    },
  };
}

async function dial(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  opened.push(() => void socket.destroy());
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

async function readAll(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
  });
  if (!socket.destroyed) await once(socket, 'close');
  return text;
}

describe('a connection', () => {
  it('takes pipelined lines and literals in order', async () => {
    const { port } = await open(echo);
    await runTranscript(
      `S: hello
       C: one
       C: 5
       C- two
       C: 3!
       C: four
       S: false one
       S: 5 two3!
       S: false${' '}
       S: false four`,
      { port },
    );
  });

  it('answers what came before the client ended its side', async () => {
    const { port } = await open(echo);
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    socket.end('one\r\ntwo\r\nno end');
    expect(await readAll(socket)).toBe('hello\r\nfalse one\r\nfalse two\r\n');
  });

  it('ends a session whose client resets, without an error anywhere', async () => {
    const { session, end } = watched(async (connection) => {
      await connection.write('hello\r\n');
      expect(await connection.readLine()).toBeUndefined();
    });
    const { port } = await open(session);
    const socket = await dial(port);
    await once(socket, 'data');
    socket.resetAndDestroy();
    expect(await end).toBeUndefined();
  });

  it.each([
    ['line-too-long', 'x'.repeat(200)],
    ['http-request', 'GET / HTTP/1.1\r\nHost: x\r\n'],
    ['http-request', 'POST /api HTTP/1.0\r\n'],
    ['http-request', 'PRI * HTTP/2.0\r\n'],
    ['http-request', 'CONNECT mail.example.test:110 HTTP/1.1\r\n'],
  ])('ends with %s', async (code, sent) => {
    const { session, end } = watched(echo);
    const { port } = await open(session);
    const socket = await dial(port);
    socket.write(sent);
    expect(await end).toMatchObject({ code });
  });

  it('takes a literal of many pieces', async () => {
    const { session, end } = watched(async (connection) => {
      const literal = await connection.readLiteral(2.5 * LITERAL_PIECE_BYTES);
      const rest = await connection.readLine();
      const whole = literal.every((octet) => octet === 0x78);
      await connection.write(`${literal.length} ${whole} ${rest}\r\n`);
    });
    const { port } = await open(session);
    const socket = await dial(port);
    socket.write(`${'x'.repeat(2.5 * LITERAL_PIECE_BYTES)}rest\r\n`);
    await end;
    expect(await readAll(socket)).toBe(`${2.5 * LITERAL_PIECE_BYTES} true rest\r\n`);
  });

  it('tells a silent client by an error that the session can answer', async () => {
    const { session, end } = watched(echo);
    const { port } = await open(session, { connection: { idleTimeoutMs: 20 } });
    await dial(port);
    expect(await end).toMatchObject({ code: 'idle-timeout' });
  });

  it.each([
    ['line', ''],
    ['literal', '1000\r\n'],
  ])('cannot be kept by a %s that never ends', async (_, begin) => {
    const { session, end } = watched(echo);
    const { port } = await open(session, { connection: { idleTimeoutMs: 60 } });
    const socket = await dial(port);
    socket.write(begin);
    const drip = setInterval(() => socket.write('x'), 10);
    expect(await end).toMatchObject({ code: 'idle-timeout' });
    clearInterval(drip);
  });

  it('lets go of a read without losing an octet', async () => {
    const lines: string[] = [];
    const { session, end } = watched(async (connection) => {
      const controller = new AbortController();
      const waiting = connection.readLine({ signal: controller.signal });
      controller.abort(new Error('enough'));
      await expect(waiting).rejects.toThrow('enough');
      await connection.write('go on\r\n');
      lines.push(String(await connection.readLine()));
    });
    const { port } = await open(session);
    await runTranscript('S: go on\nC: here', { port });
    expect(await end).toBeUndefined();
    expect(lines).toEqual(['here']);
  });

  it('tells who works long without a word that the client is gone', async () => {
    const told = Promise.withResolvers<unknown>();
    const { port } = await open(async (connection) => {
      connection.requireClient();
      for (;;) {
        try {
          connection.requireClient();
        } catch (error) {
          told.resolve(error);
          return;
        }
        await new Promise((resolve) => setImmediate(resolve));
      }
    });
    // an end alone may be that of a client that still reads
    (await dial(port)).resetAndDestroy();
    expect(await told.promise).toMatchObject({ code: 'closed' });
  });

  it('writes while a read waits', async () => {
    const { port } = await open(async (connection) => {
      const done = connection.readLine();
      await connection.write('* 1 EXISTS\r\n');
      await connection.write(`${await done}\r\n`);
    });
    await runTranscript('S: * 1 EXISTS\nC: DONE\nS: DONE\nCLOSED', { port });
  });

  it('does not grow when the client does not read, and gives it up', async () => {
    let written = 0;
    const { session, end } = watched(async (connection) => {
      const piece = Buffer.alloc(64 * 1024);
      for (;;) {
        await connection.write(piece);
        written += piece.length;
      }
    });
    const { port } = await open(session, { connection: { writeTimeoutMs: 50 } });
    const socket = await dial(port);
    socket.pause();
    expect(await end).toMatchObject({ code: 'write-timeout' });
    // what the kernel's two buffers take, not more
    expect(written).toBeLessThan(32 * 1024 * 1024);
  });

  it('does not grow when the client sends and the session does not read', async () => {
    const release = Promise.withResolvers<void>();
    const { port } = await open(async (connection) => {
      await connection.write('hello\r\n');
      await release.promise;
      let lines = 0;
      while (await connection.readLine()) lines += 1;
      await connection.write(`${lines}\r\n`);
    });
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    await once(socket, 'data');
    const lines = 300_000;
    socket.end('a line of twenty-two\r\n'.repeat(lines));
    // enough turns to read all of it several times over, if anybody did
    for (let turn = 0; turn < 2_000; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    // the kernel is full and we read no more: the rest stays on the client's side
    expect(socket.writableLength).toBeGreaterThan(1024 * 1024);
    release.resolve();
    expect(await readAll(socket)).toBe(`${lines}\r\n`);
  });
});

describe('STARTTLS', () => {
  it('upgrades and goes on', async () => {
    const { port } = await open(echo);
    await runTranscript('S: hello\nC: TLS\nS: go ahead\nTLS\nC: now\nS: true now', {
      port,
      tls: { ca: [...certificates.trusted], servername: 'localhost' },
    });
  });

  it.each([
    ['in the same segment', ['TLS\r\ninjected\r\n']],
    ['in the next one', ['TLS\r\n', 'injected\r\n']],
  ])('executes nothing that came in the clear behind it, %s', async (_, segments) => {
    const seen: string[] = [];
    const { session, end } = watched(async (connection) => {
      for (let line = await connection.readLine(); line; line = await connection.readLine()) {
        seen.push(line.toString());
        if (seen.length === 1) await connection.startTls('go ahead\r\n');
      }
    });
    const { port } = await open(session);
    const socket = await dial(port);
    socket.setNoDelay(true);
    for (const segment of segments) socket.write(segment);
    expect(await end).toBeInstanceOf(LineServerError);
    expect(seen).toEqual(['TLS']);
    expect(await readAll(socket)).not.toContain('injected');
  });

  it('refuses a browser inside TLS as well', async () => {
    const { session, end } = watched(echo);
    const { port } = await open(session);
    const plain = await dial(port);
    plain.write('TLS\r\n');
    while (!String(await once(plain, 'data')).includes('go ahead'));
    const socket = connectTls({ socket: plain, rejectUnauthorized: false });
    socket.on('error', () => {});
    socket.write('GET / HTTP/1.1\r\n');
    expect(await end).toMatchObject({ code: 'http-request' });
  });
});

describe('a listener', () => {
  it('hands over TLS with its generation', async () => {
    const seen = Promise.withResolvers<unknown>();
    const { port } = await open(
      async (connection) => {
        seen.resolve([connection.secure, connection.generation, connection.tls?.version]);
        await echo(connection);
      },
      { listener: 'tls://127.0.0.1:0' },
    );
    await runTranscript('S: hello\nC: x\nS: true x', { port, implicitTls: true });
    expect(await seen.promise).toEqual([true, 1, 'TLSv1.3']);
  });

  it('lives on after a stranger who speaks no TLS, and after one who resets', async () => {
    const { port } = await open(echo, { listener: 'tls://127.0.0.1:0' });
    const stranger = await dial(port);
    stranger.write('EHLO x\r\n');
    await readAll(stranger);
    const other = await dial(port);
    other.resetAndDestroy();
    await runTranscript('S: hello', { port, implicitTls: true });
  });

  const whoAmI = async (connection: Connection) => {
    await connection.write(`${connection.remoteAddress} ${connection.remotePort}\r\n`);
    await echo(connection);
  };

  it('believes a PROXY header from the networks that send one', async () => {
    const { port } = await open(whoAmI, { listener: 'none://127.0.0.1:0?proxy=127.0.0.0/8' });
    await runTranscript(
      'C: PROXY TCP4 192.0.2.7 127.0.0.1 4711 110\nC: early\nS: 192.0.2.7 4711\nS: hello\nS: false early',
      { port },
    );
  });

  it('does so in front of TLS, even when both come at once', async () => {
    const { port } = await open(whoAmI, { listener: 'tls://127.0.0.1:0?proxy=127.0.0.1' });
    const plain = await dial(port);
    plain.cork();
    plain.write('PROXY TCP6 2001:db8::7 ::1 4711 110\r\n');
    const socket: TLSSocket = connectTls({ socket: plain, rejectUnauthorized: false });
    process.nextTick(() => plain.uncork());
    opened.push(() => void socket.destroy());
    expect(String((await once(socket, 'data'))[0])).toMatch(/^2001:db8::7 4711\r\n/);
  });

  it('ends a connection from there without one', async () => {
    const { port } = await open(whoAmI, { listener: 'none://127.0.0.1:0?proxy=127.0.0.0/8' });
    const socket = await dial(port);
    socket.write('USER a\r\n');
    expect(await readAll(socket)).toBe('');
  });

  it('takes a header from elsewhere for what it is: words of a stranger', async () => {
    const { port } = await open(whoAmI, { listener: 'none://127.0.0.1:0?proxy=10.0.0.0/8' });
    await runTranscript(
      'C: PROXY TCP4 192.0.2.7 127.0.0.1 4711 110\nS: 127.0.0.1 <port:number>\nS: hello\nS: false PROXY <any>',
      { port },
    );
  });

  it('tells one connection too many, and lets the next in when one has left', async () => {
    const { port, first } = await open(echo, { perAddress: 1 });
    const socket = await dial(port);
    await once(socket, 'data');
    const refused = 'S: -ERR [SYS/TEMP] Too many connections, try again later\nCLOSED';
    const warn = vi.spyOn(logger, 'warn');
    for (let round = 0; round < 3; round += 1) await runTranscript(refused, { port });
    // a stranger cannot fill the log
    expect(warn).toHaveBeenCalledOnce();
    socket.end();
    await readAll(socket);
    await runTranscript('S: hello', { port });
    const gauge = await metrics.gauge(METRICS.connectionsOpen).get();
    const own = gauge.values.find(({ labels }) => labels.listener === first.name);
    expect(own?.value).toBeLessThanOrEqual(1);
  });

  it('says which address is in use', async () => {
    const { port } = await open(echo);
    await expect(open(echo, { listener: `starttls://127.0.0.1:${port}` })).rejects.toMatchObject({
      code: 'port-in-use',
    });
  });
});

describe('probe targets', () => {
  it.each([
    ['starttls://127.0.0.1:0', false, { host: '127.0.0.1', preamble: '', startTls: 'pop3' }],
    ['tls://0.0.0.0:0', false, { host: '127.0.0.1', preamble: '', startTls: undefined }],
    ['tls://127.0.0.1:0?proxy=127.0.0.0/8', false, { preamble: 'PROXY UNKNOWN\r\n' }],
  ])('of %s', async (listener, clustered, expected) => {
    const server = await open(echo, { listener, clustered });
    expect(server.probeTargets()).toEqual([
      expect.objectContaining({ listener: server.first.name, port: server.port, ...expected }),
    ]);
  });

  it('has none without TLS', async () => {
    const server = await open(echo, { listener: 'none://127.0.0.1:0' });
    expect(server.probeTargets()).toEqual([]);
  });

  it('is a door of its own where workers share the port', async () => {
    const server = await open(echo, {
      listener: 'tls://127.0.0.1:0?proxy=127.0.0.1',
      clustered: true,
    });
    const [target] = server.probeTargets();
    expect(target?.port).not.toBe(server.port);
    const plain = await dial(target?.port ?? 0);
    plain.write(target?.preamble ?? '');
    const socket = connectTls({ socket: plain, rejectUnauthorized: false });
    opened.push(() => void socket.destroy());
    expect(String(await once(socket, 'data'))).toMatch(/^hello/);
  });
});

describe('a probe among a flood', () => {
  it.each(['starttls://127.0.0.1:0', 'tls://127.0.0.1:0?proxy=127.0.0.1'])(
    'gets in at %s where it has announced its own end, once, and nobody else does',
    async (listener) => {
      const server = await open(echo, { listener, perAddress: 1 });
      const [target] = server.probeTargets();
      if (target === undefined) throw new Error('nothing to probe');
      const arrive = async (announce: boolean): Promise<string> => {
        const socket = connect(server.port, '127.0.0.1');
        opened.push(() => void socket.destroy());
        socket.on('error', () => {});
        const withdraw = await new Promise<(() => void) | undefined>((resolve) =>
          process.nextTick(() => {
            resolve(announce ? target.announce('127.0.0.1', socket.localPort ?? 0) : undefined);
          }),
        );
        socket.write(target.preamble);
        const inside =
          target.startTls === undefined
            ? connectTls({ socket, rejectUnauthorized: false }).on('error', () => {})
            : socket;
        const heard = once(inside, 'data').then(String, () => 'closed');
        const left = once(inside, 'close').then(() => 'closed');
        const words = await Promise.race([heard, left]);
        withdraw?.();
        return words;
      };
      const strangers = /closed|Too many connections/;
      expect(await arrive(false)).toBe('hello\r\n');
      expect(await arrive(false)).toMatch(strangers);
      expect(await arrive(true)).toBe('hello\r\n');
      expect(await arrive(false)).toMatch(strangers);
    },
  );
});

describe('the end of sessions', () => {
  /** Says farewell as protocols do. */
  const polite = async (connection: Connection) => {
    try {
      await echo(connection);
    } catch (error) {
      await connection.end(`bye: ${error instanceof LineServerError ? error.code : 'bug'}\r\n`);
    }
  };

  it('drains what was made under older material, and nothing else', async () => {
    let upgraded = Promise.withResolvers<void>();
    const server = await open(
      async (connection) => {
        if (connection.secure) upgraded.resolve();
        await polite(connection);
      },
      { listener: 'tls://127.0.0.1:0' },
    );
    const starttls = await open(polite);
    const plain = await dial(starttls.port);
    await once(plain, 'data');
    const implicit = { port: server.port, implicitTls: true };
    const old = runTranscript('S: hello\nS: bye: draining\nCLOSED', implicit);
    await upgraded.promise;
    const { generation } = await certificates.switchToNext();
    upgraded = Promise.withResolvers();
    const young = runTranscript('S: hello\nS: bye: shutting-down\nCLOSED', implicit);
    await upgraded.promise;
    await Promise.all([server.drain(generation, 0), starttls.drain(generation, 0)]);
    await old;
    plain.write('still here\r\n');
    expect(String((await once(plain, 'data'))[0])).toBe('false still here\r\n');
    expect(server.sessions).toBe(1);
    await server.close(10_000);
    await young;
  });

  it('drains what was upgraded by STARTTLS', async () => {
    let drained: Promise<void> | undefined;
    const listener = await open(async (connection) => {
      await connection.startTls('go ahead\r\n');
      const { generation } = await certificates.switchToNext();
      drained = listener.drain(generation, 0);
      await polite(connection);
    });
    await runTranscript('S: go ahead\nTLS\nS: hello\nS: bye: draining\nCLOSED', listener);
    await drained;
  });

  it.each(['tls', 'starttls'])('drains what comes of a handshake under way: %s', async (scheme) => {
    const acceptor = certificates.acceptor(['pop3']);
    const begun = Promise.withResolvers<void>();
    const drained = Promise.withResolvers<void>();
    const late = async (handshake: Promise<SecuredSocket>): Promise<SecuredSocket> => {
      const secured = await handshake;
      begun.resolve();
      await drained.promise;
      return secured;
    };
    const listener = await open(
      async (connection) => {
        if (!connection.secure) await connection.startTls('go ahead\r\n');
        await polite(connection);
      },
      {
        listener: `${scheme}://127.0.0.1:0`,
        tls: {
          accept: (socket) => late(acceptor.accept(socket)),
          upgrade: (socket) => late(acceptor.upgrade(socket)),
        },
      },
    );
    const greeting = scheme === 'tls' ? '' : 'S: go ahead\nTLS\n';
    const old = runTranscript(`${greeting}S: hello\nS: bye: draining\nCLOSED`, {
      port: listener.port,
      implicitTls: scheme === 'tls',
    });
    await begun.promise;
    const { generation } = await certificates.switchToNext();
    await listener.drain(generation, 0);
    drained.resolve();
    await old;
  });

  it('tells everybody at shutdown, and lets a command finish', async () => {
    const started = Promise.withResolvers<void>();
    const finish = Promise.withResolvers<void>();
    const server = await open(async (connection) => {
      await connection.write('hello\r\n');
      const line = String(await connection.readLine().catch((error) => error.code));
      if (line !== 'slow') return connection.end(`${line}\r\n`);
      started.resolve();
      await finish.promise;
      await connection.write('done\r\n');
      return connection.end(`${await connection.readLine().catch((error) => error.code)}\r\n`);
    });
    const idle = runTranscript('S: hello\nS: shutting-down\nCLOSED', server);
    const slow = runTranscript('S: hello\nC: slow\nS: done\nS: shutting-down\nCLOSED', server);
    await started.promise;
    const closed = server.close(10_000);
    await idle;
    finish.resolve();
    await slow;
    await closed;
    expect(server.sessions).toBe(0);
    await expect(runTranscript('S: hello', server)).rejects.toThrow(/ECONNREFUSED/);
  });

  it('cuts off who stays after the deadline', async () => {
    const { session, end } = watched(async (connection) => {
      await connection.write('hello\r\n');
      for (;;) await connection.write(Buffer.alloc(64 * 1024));
    });
    const server = await open(session);
    const socket = await dial(server.port);
    await once(socket, 'data');
    socket.pause();
    await server.close(20);
    expect(await end).toMatchObject({ code: 'closed' });
    expect(server.sessions).toBe(0);
  });

  it('is not for a handshake under way to suffer: it ends, and then the connection does', async () => {
    const { session, end } = watched(async (connection) => {
      await connection.readLine();
      await connection.startTls('go ahead\r\n');
    });
    const server = await open(session);
    const plain = await dial(server.port);
    plain.write('TLS\r\n');
    await once(plain, 'data');
    await server.close(0);
    const socket = connectTls({ socket: plain, rejectUnauthorized: false });
    socket.on('error', () => {});
    expect(await end).toMatchObject({ code: 'closed' });
    await once(socket, 'close');
  });
});
