import { once } from 'node:events';
import { connect as connectTcp, createServer, type Server, type Socket } from 'node:net';
import { connect } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { TlsError } from './errors.ts';
import { refuseCleartext } from './start-tls.ts';
import { type StaticCertificates, staticCertificates } from './testing/static-certificates.ts';

describe('upgrade', () => {
  let certificates: StaticCertificates;
  let server: Server;
  let port: number;
  let outcomes: Promise<string>[];
  const sockets = new Set<Socket>();

  beforeAll(async () => {
    certificates = await staticCertificates({ service: 'imap' });
    const acceptor = certificates.acceptor(['imap']);
    // the least server there can be: one line in the clear, the go-ahead, TLS, then an echo
    server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.once('data', () => {
        socket.pause();
        socket.write('OK begin TLS\r\n');
        const outcome = acceptor.upgrade(socket).then(
          (secured) => {
            secured.socket.pipe(secured.socket);
            return `generation ${secured.generation}`;
          },
          (error: TlsError) => error.code,
        );
        outcomes.push(outcome);
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  });
  afterEach(() => {
    for (const socket of sockets) socket.destroy();
  });
  afterAll(() => {
    server.close();
    certificates.close();
  });

  async function begin(): Promise<Socket> {
    outcomes = [];
    const tcp = connectTcp(port, '127.0.0.1');
    sockets.add(tcp);
    await once(tcp, 'connect');
    tcp.write('STARTTLS\r\n');
    expect(String((await once(tcp, 'data'))[0])).toBe('OK begin TLS\r\n');
    return tcp;
  }

  it('secures a socket that has spoken in the clear', async () => {
    const client = connect({ socket: await begin(), rejectUnauthorized: false });
    await once(client, 'secureConnect');
    client.write('hello');
    expect(String((await once(client, 'data'))[0])).toBe('hello');
    expect(await outcomes[0]).toBe('generation 1');
  });

  it.each(['A2 LOGIN alice secret\r\n', '\r\n', 'EHLO x\r\nMAIL FROM:<>\r\n', '\x00'])(
    'ends the connection when %j follows the go-ahead, without a word',
    async (injected) => {
      const tcp = await begin();
      let received = '';
      tcp.on('data', (chunk) => {
        received += chunk;
      });
      tcp.on('error', () => {});
      tcp.write(injected);
      await once(tcp, 'close');
      expect(await outcomes[0]).toBe('cleartext-behind-starttls');
      expect(received).toBe('');
    },
  );

  it('ends the connection when a command is put in front of the ClientHello', async () => {
    const tcp = await begin();
    tcp.on('error', () => {});
    tcp.write('A2 NOOP\r\n');
    const client = connect({ socket: tcp, rejectUnauthorized: false });
    client.on('error', () => {});
    await once(tcp, 'close');
    expect(await outcomes[0]).toBe('cleartext-behind-starttls');
    expect(client.authorized).toBe(false);
  });
});

describe('refuseCleartext', () => {
  it.each([
    [Buffer.from('NOOP\r\n'), true],
    [Buffer.from([22, 3, 1]), false],
    [Buffer.from([22]), false],
  ])('%j is cleartext: %s', (octets, cleartext) => {
    const look = () => refuseCleartext(octets);
    if (cleartext)
      expect(look).toThrow(expect.objectContaining({ code: 'cleartext-behind-starttls' }));
    else expect(look).not.toThrow();
  });
});
