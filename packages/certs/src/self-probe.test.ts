import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type ProbeTarget, probeListeners } from './self-probe.ts';
import { type StaticCertificates, staticCertificates } from './testing/static-certificates.ts';

describe('probeListeners', () => {
  let certificates: StaticCertificates;
  let fingerprint: string;
  const servers: Server[] = [];
  const sockets = new Set<Socket>();

  beforeAll(async () => {
    certificates = await staticCertificates();
    fingerprint = certificates.current.get().fingerprintSha256;
  });
  afterEach(() => {
    for (const socket of sockets) socket.destroy();
    for (const server of servers.splice(0)) server.close();
  });
  afterAll(() => certificates.close());

  async function listen(serve: (socket: Socket) => void, host = '127.0.0.1'): Promise<number> {
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      serve(socket);
    });
    servers.push(server);
    server.listen(0, host);
    await once(server, 'listening');
    const address = server.address();
    return typeof address === 'object' ? (address?.port ?? 0) : 0;
  }

  /** The sockets of a test end with it, whatever they are at. */
  const accept = (socket: Socket): void => {
    certificates
      .acceptor(['imap'])
      .accept(socket)
      .catch(() => {});
  };

  const target = (port: number, rest: Partial<ProbeTarget> = {}): ProbeTarget => ({
    listener: 'test',
    host: '127.0.0.1',
    port,
    ...rest,
  });

  /** Says the greeting, answers each awaited line, and goes to TLS with the last answer. */
  function speak(greeting: string, answers: readonly (readonly [RegExp, string])[]) {
    return (socket: Socket) => {
      const left = [...answers];
      socket.write(greeting);
      const onData = (data: Buffer | string) => {
        const [wanted, answer] = left.shift() ?? [/^$/, ''];
        if (!wanted.test(String(data))) return socket.destroy(new Error(`heard ${data}`));
        socket.write(answer);
        if (left.length > 0) return undefined;
        socket.off('data', onData);
        socket.pause();
        certificates
          .acceptor(['imap'])
          .upgrade(socket)
          .catch(() => {});
        return undefined;
      };
      socket.on('data', onData);
    };
  }

  it('sees the leaf of an implicit TLS listener, and ends in order', async () => {
    const closed = Promise.withResolvers<boolean>();
    const port = await listen((socket) => {
      certificates
        .acceptor(['imap'])
        .accept(socket)
        .then(({ socket: secured }) => {
          secured.write('* OK hello\r\n');
          secured.resume();
          secured.on('close', closed.resolve);
        }, closed.reject);
    });
    expect(await probeListeners([target(port)])).toEqual([
      { listener: 'test', fingerprintSha256: fingerprint, error: '' },
    ]);
    // a session that ended without an error
    expect(await closed.promise).toBe(false);
  });

  it.each<[ProbeTarget['startTls'], string, (readonly [RegExp, string])[]]>([
    ['imap', '* OK [CAPABILITY IMAP4rev2] hi\r\n', [[/^p1 STARTTLS\r\n$/, '* X\r\np1 OK go\r\n']]],
    ['pop3', '+OK hi\r\n', [[/^STLS\r\n$/, '+OK go\r\n']]],
    [
      'smtp',
      '220-mx\r\n220 mx ready\r\n',
      [
        [/^EHLO \S+\r\n$/, '250-mx\r\n250-SIZE 1\r\n250 STARTTLS\r\n'],
        [/^STARTTLS\r\n$/, '220 go\r\n'],
      ],
    ],
  ])('gets to TLS in the words of %s', async (startTls, greeting, answers) => {
    const port = await listen(speak(greeting, answers));
    const [observation] = await probeListeners([target(port, { startTls })]);
    expect(observation).toEqual({ listener: 'test', fingerprintSha256: fingerprint, error: '' });
  });

  it('announces its own end before the server can see it, and takes that back', async () => {
    const announced = new Set<string>();
    const seen: boolean[] = [];
    const port = await listen((socket) => {
      seen.push(announced.has(`${socket.remoteAddress} ${socket.remotePort}`));
      accept(socket);
    });
    const announce = (address: string, from: number) => {
      announced.add(`${address} ${from}`);
      return () => announced.clear();
    };
    const rounds = 20;
    for (let round = 0; round < rounds; round += 1) {
      const [observation] = await probeListeners([target(port, { announce })]);
      expect(observation?.error).toBe('');
    }
    expect(seen).toEqual(Array(rounds).fill(true));
    expect(announced.size).toBe(0);
  });

  it('sends the preamble before anything else', async () => {
    const preamble = 'PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n';
    const port = await listen((socket) => {
      socket.once('data', (data) => {
        expect(String(data).startsWith(preamble)).toBe(true);
        socket.pause();
        socket.unshift(Buffer.from(data).subarray(preamble.length));
        accept(socket);
      });
    });
    const [observation] = await probeListeners([target(port, { preamble })]);
    expect(observation?.fingerprintSha256).toBe(fingerprint);
  });

  it('reaches listeners on every address through loopback', async () => {
    const port = await listen(accept, '0.0.0.0');
    const [observation] = await probeListeners([target(port, { host: '0.0.0.0' })]);
    expect(observation?.fingerprintSha256).toBe(fingerprint);
  });

  it.each<[string, (socket: Socket) => void, ProbeTarget['startTls'], RegExp]>([
    ['closes', (socket) => socket.end(), 'imap', /closed the connection/],
    ['resets', (socket) => socket.resetAndDestroy(), undefined, /ECONNRESET|closed/],
    ['refuses', (socket) => socket.end('* BYE too busy\r\n'), 'imap', /BYE too busy/],
    ['speaks another protocol', (socket) => socket.end('+OK\r\n'), 'smtp', /answered "\+OK"/],
    ['answers without TLS', (socket) => socket.end('220 hello\r\n'), undefined, /./],
    ['never stops', (socket) => socket.write('* X\r\n'.repeat(5_000)), 'imap', /talks too much/],
    ['says nothing', () => {}, 'imap', /timed out/],
    ['says nothing to a ClientHello', (socket) => socket.resume(), undefined, /timed out/],
  ])('reports a server that %s', async (_, serve, startTls, error) => {
    const port = await listen(serve);
    const [observation] = await probeListeners([target(port, { startTls })], 50);
    expect(observation).toMatchObject({ fingerprintSha256: '' });
    expect(observation?.error).toMatch(error);
  });

  it('reports what is no port at all, and the others all the same', async () => {
    const port = await listen(accept);
    const [bad, good] = await probeListeners([target(70_000), target(port)]);
    expect(bad).toMatchObject({ fingerprintSha256: '', error: expect.stringContaining('70000') });
    expect(good).toMatchObject({ fingerprintSha256: fingerprint, error: '' });
  });

  it('reports a port that nobody listens on, and the others all the same', async () => {
    const good = await listen(accept);
    const [bad] = [await listen(() => {})];
    servers.pop()?.close();
    const observations = await probeListeners([
      target(bad, { listener: 'gone' }),
      target(good, { listener: 'there' }),
    ]);
    expect(observations[0]).toMatchObject({ listener: 'gone', fingerprintSha256: '' });
    expect(observations[0]?.error).toMatch(/ECONNREFUSED/);
    expect(observations[1]).toMatchObject({ listener: 'there', fingerprintSha256: fingerprint });
  });
});
