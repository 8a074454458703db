import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { Client } from '@grpc/grpc-js';
import { Metrics, silentLogger } from '@mail/service';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GrpcServer } from './grpc-server.ts';
import { TestRegistry } from './testing/registry-fixture.ts';

let registry: TestRegistry;
beforeAll(async () => {
  registry = await TestRegistry.start();
});
afterAll(() => registry.remove());

const asBytes = (bytes: Buffer) => bytes;

/** First answer of a method that streams both ways, as bytes. */
async function ask(path: string, request: Buffer, identity = 'operator/admin'): Promise<Buffer> {
  const stream = registry.client(Client, identity).makeBidiStreamRequest(path, asBytes, asBytes);
  stream.end(request);
  const [answer] = await once(stream, 'data');
  return answer;
}

/** A protobuf message of one string field. */
function stringField(field: number, text: string): Buffer {
  return Buffer.concat([Buffer.of((field << 3) | 2, text.length), Buffer.from(text)]);
}

test.each(['', 'mail.certs.v1.CertRegistryService', 'mail.certs.v1.CertSubscriptionService'])(
  'grpc.health.v1 says that "%s" serves',
  async (service) => {
    const check = '/grpc.health.v1.Health/Check';
    const serving = Buffer.of(0x08, 1);
    for (const identity of ['service/imap', 'operator/admin']) {
      expect(await ask(check, stringField(1, service), identity)).toEqual(serving);
    }
  },
);

describe.each(['v1', 'v1alpha'])('reflection %s', (version) => {
  const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;

  test('lists the services', async () => {
    const answer = await ask(path, stringField(7, '*'));
    for (const service of [
      'mail.certs.v1.CertRegistryService',
      'mail.certs.v1.CertSubscriptionService',
      'mail.certs.v1.IdentityService',
      'grpc.health.v1.Health',
    ]) {
      expect(answer.toString('latin1')).toContain(service);
    }
  });

  test('describes a method by name', async () => {
    const answer = await ask(path, stringField(4, 'mail.certs.v1.CertRegistryService'));
    expect(answer.toString('latin1')).toContain('RotateCertificateRequest');
  });
});

/** A TLS connection, up or refused. */
async function connection(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({
    host: '127.0.0.1',
    port,
    checkServerIdentity: () => undefined,
    ca: registry.caPem,
    cert: registry.identityFile('service/imap', 'cert'),
    key: registry.identityFile('service/imap', 'key'),
    ALPNProtocols: ['h2'],
    ...options,
  });
  await once(socket, 'secureConnect');
  return socket;
}

const nameShown = (socket: TLSSocket) => socket.getPeerCertificate().subjectaltname;

test('speaks TLS 1.3 as spiffe://concert/registry, and nothing older', async () => {
  const port = Number(registry.address.split(':')[1]);
  const socket = await connection(port);
  expect(socket.getProtocol()).toBe('TLSv1.3');
  expect(nameShown(socket)).toBe('DNS:localhost, URI:spiffe://concert/registry');
  socket.destroy();
  await expect(connection(port, { maxVersion: 'TLSv1.2' })).rejects.toThrow(/alert|version/i);
});

test('takes another certificate while connections stay, and stays as strict', async () => {
  const files = (identity: string) => ({
    cert: registry.identityFile(identity, 'cert').toString(),
    key: registry.identityFile(identity, 'key').toString(),
    ca: registry.caPem.toString(),
  });
  const server = new GrpcServer({
    identity: files('service/smtp'),
    services: [],
    logger: silentLogger(),
    metrics: new Metrics(),
    onDenied: () => {},
    now: Date.now,
  });
  const port = await server.listen({ host: '127.0.0.1', port: 0 });
  const before = await connection(port);
  server.replaceIdentity(files('service/pop'));
  const after = await connection(port);
  expect(nameShown(before)).toBe('URI:spiffe://concert/service/smtp');
  expect(nameShown(after)).toBe('URI:spiffe://concert/service/pop');
  expect(before.destroyed).toBe(false);
  await expect(connection(port, { maxVersion: 'TLSv1.2' })).rejects.toThrow(/alert|version/i);
  const bare = await connection(port, { cert: '', key: '' });
  const [error] = await once(bare, 'error');
  expect(error.message).toMatch(/certificate required/i);
  before.destroy();
  after.destroy();
  await server.close(1_000);
});

describe('listening', () => {
  test('on a port in use ends with one line that names it', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const second = new TestRegistry({ REGISTRY_LISTEN: `127.0.0.1:${port}` });
    await expect(second.start()).rejects.toMatchObject({
      code: 'port-in-use',
      message: expect.stringContaining(`port ${port}`),
    });
    await second.remove();
    other.close();
  });

  test.each(['localhost', '127.0.0.1:99999', '::1:7443', '[localhost]:1', ''])(
    'on "%s" is a bad setting',
    async (listen) => {
      const second = new TestRegistry({ REGISTRY_LISTEN: listen });
      await expect(second.start()).rejects.toMatchObject({ code: 'bad-setting' });
      await second.remove();
    },
  );
});
