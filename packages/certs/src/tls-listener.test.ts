import { once } from 'node:events';
import { connect as connectTcp, createServer, type Server, type Socket } from 'node:net';
import { duplexPair } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { METRICS, Metrics } from '@mail/service';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { CurrentMaterial } from './current-material.ts';
import { TlsError } from './errors.ts';
import { buildMaterial, type Material } from './material.ts';
import { makeTestMaterial } from './testing/self-signed.ts';
import { createTlsAcceptor, type SecuredSocket, type TlsAcceptor } from './tls-listener.ts';

/** One certificate seen by several services; `seed` is what a switch renews. */
const seed = Buffer.alloc(32, 1);
let imapOne: Material;
let imapTwo: Material;
let popOne: Material;

beforeAll(async () => {
  const one = await makeTestMaterial({ generation: 1, ticketSeed: seed });
  // the hardest case for tickets: the same certificate under a fresh seed
  const two = { ...one, generation: 2n, ticketSeed: Buffer.alloc(32, 2) };
  imapOne = await buildMaterial(one, 'imap');
  imapTwo = await buildMaterial(two, 'imap');
  popOne = await buildMaterial(one, 'pop3');
});

interface Listener {
  readonly port: number;
  readonly current: CurrentMaterial;
  /** In the order of the connections. */
  readonly outcomes: Promise<SecuredSocket | TlsError>[];
  /** Resolves with the outcome of the next connection. */
  next(): Promise<SecuredSocket | TlsError>;
}

const servers: Server[] = [];
const sockets = new Set<Socket>();

afterEach(() => {
  for (const socket of sockets) socket.destroy();
  for (const server of servers.splice(0)) server.close();
});

/** A listener that says its generation to whoever gets through. */
async function listen(
  material: Material | undefined,
  options: { now?: () => bigint; handshakeTimeoutMs?: number; metrics?: Metrics } = {},
): Promise<Listener> {
  const { now, ...rest } = options;
  const current = new CurrentMaterial(now);
  if (material !== undefined) current.schedule(material, 0n);
  const acceptor = createTlsAcceptor({ current, alpn: ['imap'], ...rest });
  return serve(current, acceptor);
}

async function serve(current: CurrentMaterial, acceptor: TlsAcceptor): Promise<Listener> {
  const outcomes: Promise<SecuredSocket | TlsError>[] = [];
  const waiting: ((outcome: Promise<SecuredSocket | TlsError>) => void)[] = [];
  // half-open as mail services listen: then an end is not followed by a close of its own
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    const outcome = acceptor.accept(socket).then(
      (secured) => {
        secured.socket.resume();
        secured.socket.write(`generation ${secured.generation}\n`);
        return secured;
      },
      (error: TlsError) => error,
    );
    outcomes.push(outcome);
    waiting.shift()?.(outcome);
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    port: typeof address === 'object' ? (address?.port ?? 0) : 0,
    current,
    outcomes,
    next: () => new Promise((resolve) => waiting.push(resolve)),
  };
}

/** Connects, reads the greeting, collects a ticket. */
async function visit(
  port: number,
  options: ConnectionOptions = {},
): Promise<{ client: TLSSocket; greeting: string; reused: boolean; session: Buffer | undefined }> {
  const client = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
  sockets.add(client);
  let session: Buffer | undefined;
  client.on('session', (ticket) => {
    session = ticket;
  });
  const [data] = await once(client, 'data');
  return { client, greeting: String(data), reused: client.isSessionReused(), session };
}

/** Octets of a ClientHello, from a client that gets no further. */
async function clientHello(): Promise<Buffer> {
  const [near, far] = duplexPair();
  const client = connect({ socket: near, rejectUnauthorized: false });
  client.on('error', () => {});
  const [hello] = await once(far, 'data');
  client.destroy();
  return hello;
}

describe('accept', () => {
  it.each([undefined, ['imap'], ['h2', 'imap']])('takes a client that offers %s', async (offer) => {
    const { port } = await listen(imapOne);
    const { client, greeting } = await visit(port, offer ? { ALPNProtocols: offer } : {});
    expect(greeting).toBe('generation 1\n');
    expect(client.alpnProtocol).toBe(offer ? 'imap' : false);
  });

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'refuses h2 and http/1.1 with alert 120 on the wire, %s',
    async (version) => {
      const listener = await listen(imapOne);
      const next = listener.next();
      const options = { minVersion: version, maxVersion: version, rejectUnauthorized: false };
      const tcp = connectTcp(listener.port, '127.0.0.1');
      let seen = '';
      tcp.on('data', (chunk) => {
        seen += chunk.toString('hex');
      });
      const [near, far] = duplexPair();
      const client = connect({ socket: near, ALPNProtocols: ['h2', 'http/1.1'], ...options });
      far.pipe(tcp).pipe(far);
      const [error] = await once(client, 'error');
      expect(error.code).toBe('ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL');
      // record type alert, length 2, fatal, no_application_protocol (RFC 7301 §3.2)
      expect(seen).toMatch(/^15030[13]00020278$/);
      expect(await next).toMatchObject({ code: 'handshake-failed' });
      tcp.destroy();
    },
  );

  it.each([
    ['an HTTP request', 'GET / HTTP/1.1\r\n\r\n'],
    ['a mail command', 'A1 CAPABILITY\r\n'],
    ['garbage in the shape of a record', Buffer.from([22, 3, 1, 0, 5, 1, 0, 0, 1, 9])],
  ])('refuses %s', async (_, octets) => {
    const listener = await listen(imapOne);
    const next = listener.next();
    const tcp = connectTcp(listener.port, '127.0.0.1', () => tcp.write(octets));
    tcp.resume();
    await once(tcp, 'close');
    expect(await next).toMatchObject({ name: 'TlsError', code: 'handshake-failed' });
  });

  it('says when there is nothing to present, and when it is fenced', async () => {
    const listener = await listen(undefined);
    const hello = await clientHello();
    for (const code of ['no-material', 'fenced']) {
      const next = listener.next();
      const tcp = connectTcp(listener.port, '127.0.0.1', () => tcp.write(hello));
      tcp.resume();
      await once(tcp, 'close');
      expect(await next).toMatchObject({ code });
      listener.current.schedule(imapOne, 0n);
      listener.current.fenceFrom(0n);
    }
  });

  it.each([0, 1, 100])('ends a client that stalls after %d octets', async (octets) => {
    const listener = await listen(imapOne, { handshakeTimeoutMs: 20 });
    const next = listener.next();
    const hello = (await clientHello()).subarray(0, octets);
    const tcp = connectTcp(listener.port, '127.0.0.1', () => tcp.write(hello));
    tcp.resume();
    await once(tcp, 'close');
    expect(await next).toMatchObject({ code: 'handshake-timeout' });
  });

  it('ends a client that stalls in the middle of the handshake', async () => {
    const listener = await listen(imapOne, { handshakeTimeoutMs: 40 });
    const next = listener.next();
    const hello = await clientHello();
    const tcp = connectTcp(listener.port, '127.0.0.1', () => tcp.write(hello));
    tcp.resume();
    await once(tcp, 'close');
    expect(await next).toMatchObject({ code: 'handshake-timeout' });
  });

  it('notices a client that leaves, before and within the ClientHello', async () => {
    const listener = await listen(imapOne);
    const hello = await clientHello();
    for (const leave of ['end', 'resetAndDestroy'] as const) {
      for (const octets of [0, 1, hello.length]) {
        const next = listener.next();
        const tcp = connectTcp(listener.port, '127.0.0.1');
        tcp.on('error', () => {});
        tcp.resume();
        await once(tcp, 'connect');
        await new Promise((resolve) => tcp.write(hello.subarray(0, octets), resolve));
        tcp[leave]();
        expect(await next).toMatchObject({ name: 'TlsError', code: 'client-gone' });
      }
    }
  });

  it('ends a session whose records are damaged later, and the process goes on', async () => {
    const listener = await listen(imapOne);
    const [near, far] = duplexPair();
    const tcp = connectTcp(listener.port, '127.0.0.1');
    far.pipe(tcp).pipe(far);
    const next = listener.next();
    const client = connect({ socket: near, rejectUnauthorized: false });
    client.on('error', () => {});
    await once(client, 'data');
    const outcome = await next;
    if (outcome instanceof Error) throw outcome;
    tcp.write(Buffer.from([23, 3, 3, 0, 20, ...Buffer.alloc(20)]));
    await new Promise((resolve) => outcome.socket.once('close', resolve));
  });

  it('counts handshakes by version, and which resumed a session', async () => {
    const metrics = new Metrics();
    const listener = await listen(imapOne, { metrics });
    const { client } = await visit(listener.port, { maxVersion: 'TLSv1.2' });
    await visit(listener.port);
    const session = client.getSession();
    if (session) await visit(listener.port, { maxVersion: 'TLSv1.2', session });
    const { values } = await metrics.counter(METRICS.handshakes).get();
    expect(values.map(({ labels, value }) => [labels.version, labels.resumed, value])).toEqual([
      ['TLSv1.2', 'yes', 1],
      ['TLSv1.2', 'no', 1],
      ['TLSv1.3', 'yes', 0],
      ['TLSv1.3', 'no', 1],
    ]);
    expect(await metrics.expose()).toMatch(/^concert_tls_handshake_duration_seconds_count 3$/m);
  });

  const say = (text: string) => async (port: number) => {
    const tcp = connectTcp(port, '127.0.0.1', () => tcp.end(text));
    tcp.on('error', () => {});
  };
  const shake = (options: ConnectionOptions) => async (port: number) => {
    const client = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options });
    client.on('error', () => {});
  };
  it.each([
    ['client_gone', say('')],
    ['client_gone', say('\x16\x03\x01')],
    ['http', say('GET / HTTP/1.1\r\n\r\n')],
    ['http', say('CONNECT a:1 HTTP/1.1\r\n\r\n')],
    ['plain_text', say('a1 LOGIN alice secret\r\n')],
    ['no_shared_alpn', shake({ ALPNProtocols: ['h2'] })],
    ['no_shared_cipher', shake({ maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-SHA' })],
    [
      'no_shared_protocol',
      shake({ minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' }),
    ],
  ] as const)('counts a failure as %s', async (reason, knock) => {
    const metrics = new Metrics();
    const listener = await listen(imapOne, { metrics });
    const next = listener.next();
    await knock(listener.port);
    expect(await next).toBeInstanceOf(TlsError);
    const { values } = await metrics.counter(METRICS.handshakeFailures).get();
    expect(values.map(({ labels, value }) => [labels.reason, value])).toEqual([[reason, 1]]);
  });
});

describe('the switch', () => {
  it('answers a ClientHello that is dribbled across the instant with the new certificate', async () => {
    let now = 100n;
    const next = await buildMaterial(await makeTestMaterial({ generation: 2 }), 'imap');
    const listener = await listen(imapOne, { now: () => now });
    listener.current.schedule(next, 200n);
    const [near, far] = duplexPair();
    const tcp = connectTcp(listener.port, '127.0.0.1');
    await once(tcp, 'connect');
    while (listener.outcomes.length === 0) await setImmediate();
    tcp.setNoDelay(true);
    tcp.pipe(far);
    const client = connect({ socket: near, rejectUnauthorized: false });
    const [hello]: Buffer[] = await once(far, 'data');
    if (hello === undefined) throw new Error('no ClientHello');
    const accepted = [...sockets].find(({ remotePort }) => remotePort === tcp.localPort);
    for (const [index, octet] of hello.entries()) {
      if (index === hello.length - 1) now = 200n;
      tcp.write(Buffer.from([octet]));
      // the listener has read this octet before the next one is sent
      while (accepted?.bytesRead !== index + 1) await setImmediate();
    }
    far.pipe(tcp);
    const [data] = await once(client, 'data');
    expect(String(data)).toBe('generation 2\n');
    expect(client.getPeerX509Certificate()?.toString()).toBe(next.chainPem);
    tcp.destroy();
  });

  it('does not fail a handshake in flight, nor a session', async () => {
    let now = 100n;
    const listener = await listen(imapOne, { now: () => now });
    listener.current.schedule(imapTwo, 200n);
    const open = await visit(listener.port);
    const [near, far] = duplexPair();
    const tcp = connectTcp(listener.port, '127.0.0.1');
    tcp.pipe(far, { end: false });
    const client = connect({ socket: near, rejectUnauthorized: false });
    // the ClientHello goes out; the answer to the server's flight waits until after the instant
    const [hello] = await once(far, 'data');
    far.pause();
    tcp.write(hello);
    await once(tcp, 'data');
    now = 200n;
    far.pipe(tcp);
    const [data] = await once(client, 'data');
    expect(String(data)).toBe('generation 1\n');
    expect((await visit(listener.port)).greeting).toBe('generation 2\n');
    const [before] = await Promise.all(listener.outcomes);
    if (before === undefined || before instanceof Error) throw before;
    before.socket.write('still here');
    expect(String((await once(open.client, 'data'))[0])).toBe('still here');
    tcp.destroy();
  });

  it('cannot be undone by a renegotiation, which would show old material', async () => {
    const listener = await listen(imapOne);
    const { client } = await visit(listener.port, { maxVersion: 'TLSv1.2' });
    listener.current.schedule(imapTwo, 0n);
    const failure = once(client, 'error');
    client.renegotiate({}, () => {});
    const [error] = await failure;
    expect(error.code).toMatch(/NO_RENEGOTIATION|ECONNRESET/);
  });
});

describe.each(['TLSv1.2', 'TLSv1.3'] as const)('tickets, %s', (version) => {
  const only = { minVersion: version, maxVersion: version };

  async function ticketFrom(listener: Listener): Promise<Buffer> {
    const { client, session } = await visit(listener.port, only);
    const ticket = session ?? (await once(client, 'session'))[0];
    client.destroy();
    return ticket;
  }

  it('resume within a generation, also on another worker', async () => {
    const ticket = await ticketFrom(await listen(imapOne));
    const worker = await listen(imapOne);
    expect((await visit(worker.port, { ...only, session: ticket })).reused).toBe(true);
  });

  it('resume on a worker that built its context by itself', async () => {
    const message = await makeTestMaterial({ ticketSeed: seed });
    const ticket = await ticketFrom(await listen(await buildMaterial(message, 'imap')));
    const worker = await listen(await buildMaterial(message, 'imap'));
    expect((await visit(worker.port, { ...only, session: ticket })).reused).toBe(true);
  });

  it('never resume across a switch, even of the seed alone', async () => {
    const listener = await listen(imapOne);
    const ticket = await ticketFrom(listener);
    listener.current.schedule(imapTwo, 0n);
    const visitor = await visit(listener.port, { ...only, session: ticket });
    expect(visitor).toMatchObject({ reused: false, greeting: 'generation 2\n' });
    // nor back again under the generation after, should an old context come round
    const rolledBack = await listen(imapOne);
    const later = await ticketFrom(listener);
    expect((await visit(rolledBack.port, { ...only, session: later })).reused).toBe(false);
  });

  it('never resume on another service', async () => {
    const ticket = await ticketFrom(await listen(imapOne));
    const other = await listen(popOne);
    expect((await visit(other.port, { ...only, session: ticket })).reused).toBe(false);
  });
});
