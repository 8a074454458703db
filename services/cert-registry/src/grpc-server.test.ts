import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { Client } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
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

/** A TLS connection to the registry, up or refused. */
async function connection(options: ConnectionOptions): Promise<TLSSocket> {
  const [host, port] = registry.address.split(':');
  const socket = connect({
    ...(host === undefined ? {} : { host }),
    port: Number(port),
    servername: 'localhost',
    ca: registry.caPem,
    cert: registry.identityFile('service/imap', 'cert'),
    key: registry.identityFile('service/imap', 'key'),
    ALPNProtocols: ['h2'],
    ...options,
  });
  await once(socket, 'secureConnect');
  return socket;
}

test('speaks TLS 1.3 as spiffe://concert/registry, and nothing older', async () => {
  const socket = await connection({});
  expect(socket.getProtocol()).toBe('TLSv1.3');
  expect(socket.getPeerCertificate().subjectaltname).toBe(
    'DNS:localhost, URI:spiffe://concert/registry',
  );
  socket.destroy();
  await expect(connection({ maxVersion: 'TLSv1.2' })).rejects.toThrow(/alert|version/i);
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
