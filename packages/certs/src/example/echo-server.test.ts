import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { get } from 'node:https';
import { createServer } from 'node:net';
import { connect } from 'node:tls';
import { expect, it } from 'vitest';
import { FakeRegistry, staticCertificates } from '../testing/index.ts';
import { startEchoServer } from './echo-server.ts';

it('is the example of the README', async () => {
  const root = new URL('../../', import.meta.url);
  const source = await readFile(new URL('src/example/echo-server.ts', root), 'utf8');
  const readme = await readFile(new URL('README.md', root), 'utf8');
  expect(readme).toContain(`\`\`\`ts\n${source}\`\`\`\n`);
});

it('echoes, and changes its certificate under an open connection', async () => {
  const registry = await FakeRegistry.start();
  const folder = await registry.identityFor('echo');
  const server = await startEchoServer(registry.address, folder, 0);
  const visit = async () => {
    const client = connect({
      port: server.port,
      ca: registry.material.chainPem,
      servername: 'localhost',
      ALPNProtocols: ['echo'],
    });
    await once(client, 'secureConnect');
    return client;
  };
  const echo = async (client: Awaited<ReturnType<typeof visit>>, text: string) => {
    client.write(text);
    return String((await once(client, 'data'))[0]);
  };
  const first = await visit();
  expect(await echo(first, 'one')).toBe('one');
  await registry.connected(1);
  const { ports, material } = await registry.rotate();
  expect(ports.get('host-1')).toEqual([
    { listener: 'echo', fingerprintSha256: material.fingerprintSha256, error: '' },
  ]);
  const second = await visit();
  expect(await echo(second, 'two')).toBe('two');
  expect(await echo(first, 'three')).toBe('three');
  for (const client of [first, second]) client.destroy();
  await server.close();
  await registry.close();
});

it('lets an HTTP server take the secured socket as a connection', async () => {
  const certificates = await staticCertificates();
  const acceptor = certificates.acceptor(['http/1.1']);
  const http = createHttpServer((_, response) => response.end('hello'));
  const server = createServer((socket) => {
    acceptor.accept(socket).then(
      ({ socket: secured }) => http.emit('connection', secured),
      () => {},
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const request = get({ host: 'localhost', port, ca: certificates.trusted[0], agent: false });
  const [response] = await once(request, 'response');
  expect(String((await once(response, 'data'))[0])).toBe('hello');
  server.close();
  http.closeAllConnections();
  certificates.close();
});
