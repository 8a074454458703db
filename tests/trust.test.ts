/** Who may do what, and what a stranger gets: on real processes, over real mutual TLS. */
import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect } from 'node:tls';
import { credentials } from '@grpc/grpc-js';
import { CertRegistryServiceClient, type CertRegistryServiceClient as Client } from '@mail/proto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { approach, handshake } from './testing/handshakes.ts';
import { getFleet, operatorClient, rotate } from './testing/operator.ts';
import { RawSubscriber } from './testing/raw-subscriber.ts';
import { makeCertificate, startSystem } from './testing/system.ts';

const PERMISSION_DENIED = 7;
const UNAVAILABLE = 14;

let system: Awaited<ReturnType<typeof startSystem>>;
let operator: Client;

beforeAll(async () => {
  system = await startSystem();
  operator = operatorClient(system);
});
afterAll(async () => {
  operator?.close();
  await system?.close();
});

test('a service’s identity can’t rotate', async () => {
  const certificate = await makeCertificate(system);
  const service = operatorClient(system, 'service/imap');
  const result = await rotate(service, certificate);
  service.close();
  expect(!result.ok && result.refusal.code).toBe(PERMISSION_DENIED);
  expect(!result.ok && result.refusal.message).toMatch(/spiffe:\/\/concert\/service\/imap/);
  expect((await getFleet(operator)).generation).toBe(1n);
});

test('a service can’t subscribe as another, nor an operator as any', async () => {
  for (const identity of ['service/pop', 'operator/admin']) {
    const rogue = new RawSubscriber(system, { service: 'imap', instance: 'rogue' }, identity);
    expect(await rogue.ended).toMatchObject({ code: PERMISSION_DENIED });
    expect(rogue.received).toEqual([]);
    rogue.vanish();
  }
});

test('a client without an identity of ours gets no further than TLS', async () => {
  const stranger = new CertRegistryServiceClient(
    `localhost:${system.registryPort}`,
    credentials.createSsl(null, null, null, {
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
    }),
  );
  await expect(getFleet(stranger)).rejects.toMatchObject({ code: UNAVAILABLE });
  stranger.close();
});

test.each(['imaps', 'pop3s', 'submissions'] as const)(
  '%s refuses a client that offers h2 and http/1.1 with no_application_protocol',
  async (name) => {
    const socket = connect({
      port: system.ports[name].port,
      host: '127.0.0.1',
      servername: 'localhost',
      rejectUnauthorized: false,
      ALPNProtocols: ['h2', 'http/1.1'],
    });
    const [error] = (await once(socket, 'error')) as [Error & { code?: string }];
    // TLS alert 120
    expect(error.code).toBe('ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL');
  },
);

test.each([
  ['imaps', 'imap'],
  ['pop3s', 'pop3'],
  ['submissions', 'smtp'],
] as const)('%s takes %s and those who offer nothing', async (name, protocol) => {
  const own = await handshake(system.ports[name], { alpn: ['h2', protocol] });
  expect(own.socket.alpnProtocol).toBe(protocol);
  own.socket.destroy();
  const silent = await handshake(system.ports[name]);
  expect(silent.socket.alpnProtocol).toBe(false);
  silent.socket.destroy();
});

/** Commands pipelined in the clear behind STARTTLS, and what their answers would look like. */
const INJECTED = [
  ['imap', 'b CAPABILITY\r\n', /^b |CAPABILITY/m],
  ['pop3', 'CAPA\r\n', /^TOP|^UIDL|Capabilit/im],
  ['smtp', 'EHLO injected.test\r\n', /^250-|injected/m],
  ['submission', 'EHLO injected.test\r\n', /^250-|injected/m],
] as const;

/** Starts TLS on a socket that may be at its end already; what the server says inside, or how it ended. */
async function insideTls(raw: Socket, command: string): Promise<string> {
  const socket = connect({ socket: raw, servername: 'localhost', rejectUnauthorized: false });
  let said = '';
  socket.on('data', (chunk: Buffer) => {
    said += chunk.toString('latin1');
  });
  socket.once('secureConnect', () => socket.end(command));
  const [error] = (await Promise.race([once(socket, 'close'), once(socket, 'error')])) as [unknown];
  return error instanceof Error ? `refused: ${error.message}` : said;
}

test.each(INJECTED)(
  'cleartext behind STARTTLS on %s: in the same segment the connection ends',
  async (name, injected, answer) => {
    const port = system.ports[name];
    let said: string;
    try {
      said = await insideTls(await approach(port, injected), 'NOOP\r\n');
    } catch (error) {
      // the go-ahead itself may be withheld
      said = `refused: ${error instanceof Error ? error.message : error}`;
    }
    expect(said).not.toMatch(answer);
    expect(said).toMatch(/^refused: /);
  },
);

test.each(INJECTED)(
  'cleartext behind STARTTLS on %s: in a later segment it is no TLS, and the connection ends',
  async (name, injected) => {
    const raw = await approach(system.ports[name]);
    raw.on('error', () => {});
    let said = '';
    raw.on('data', (chunk: Buffer) => {
      said += chunk.toString('latin1');
    });
    raw.write(injected);
    await once(raw, 'close');
    expect(said).not.toMatch(/CAPABILITY|^250|^\+OK/m);
  },
);

test.each(INJECTED)('without anything injected %s goes on inside TLS', async (name) => {
  const said = await insideTls(
    await approach(system.ports[name]),
    `${{ imap: 'z NOOP', pop3: 'CAPA', smtp: 'NOOP' }[system.ports[name].protocol]}\r\n`,
  );
  expect(said).toMatch(/^z OK|^\+OK|^250/m);
});

test('HTTP verbs end the connection on every port without TLS', async () => {
  for (const { port, startTls, name } of Object.values(system.ports)) {
    if (!startTls) continue;
    const socket = connectTcp(port, '127.0.0.1');
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
    });
    socket.on('error', () => {});
    socket.write('POST / HTTP/1.1\r\nHost: localhost\r\n\r\nEHLO x\r\na NOOP\r\n');
    await once(socket, 'close');
    expect([name, /^a OK|^250/m.test(text)]).toEqual([name, false]);
  }
});

test('no private key, ticket seed or password in any log', async () => {
  const result = await rotate(operator, await makeCertificate(system));
  expect(result.ok).toBe(true);
  for (const name of ['cert-registry', 'smtp', 'pop', 'imap'] as const) {
    const log = system.log(name);
    expect(log).toContain('"level"');
    expect(log).not.toMatch(/PRIVATE KEY|ticketSeed|correct horse/);
  }
});
