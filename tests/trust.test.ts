/** Who may do what, and what a stranger gets: on real processes, over real mutual TLS. */
import { once } from 'node:events';
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

test.each([
  ['imap', 'b CAPABILITY\r\nc LOGIN alice@example.test x\r\n'],
  ['pop3', 'CAPA\r\nUSER alice@example.test\r\n'],
  ['smtp', 'EHLO injected.test\r\nMAIL FROM:<a@b.test>\r\n'],
  ['submission', 'EHLO injected.test\r\nMAIL FROM:<a@b.test>\r\n'],
] as const)('cleartext behind STARTTLS on %s never reaches the session', async (name, injected) => {
  const port = system.ports[name];
  let answers = '';
  try {
    const raw = await approach(port, injected);
    const socket = connect({ socket: raw, servername: 'localhost', rejectUnauthorized: false });
    socket.on('data', (chunk: Buffer) => {
      answers += chunk.toString('latin1');
    });
    await once(socket, 'secureConnect');
    const probe = { imap: 'z NOOP\r\n', pop3: 'NOOP\r\n', smtp: 'NOOP\r\n' }[port.protocol];
    socket.write(probe);
    await once(socket, 'data');
    socket.destroy();
  } catch {
    // ending the connection is an answer too: the octets were refused
  }
  expect(answers).not.toMatch(/^b |^c |injected|CAPABILITY|^250-/m);
});

test('HTTP verbs end the connection on every port without TLS', async () => {
  const { connect: connectTcp } = await import('node:net');
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
