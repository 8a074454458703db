/** An echo server over TLS that changes its certificate with the fleet. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { openCertificates } from '@mail/certs';

export async function startEchoServer(registry: string, identityDir: string, port: number) {
  const certificates = await openCertificates({
    service: 'echo',
    instance: 'host-1',
    registry,
    identityDir,
    cacheDir: `${identityDir}/cache`,
  });
  // nothing to present before this: the port stays closed
  await certificates.ready();

  const { accept } = certificates.acceptor(['echo']);
  const server = createServer((connection) => {
    accept(connection).then(
      ({ socket }) => socket.on('error', () => {}).pipe(socket),
      () => {}, // no TLS session came of it, and the connection is closed
    );
  });
  await once(server.listen(port, '127.0.0.1'), 'listening');

  // so that a switch counts as verified only when this port shows the new certificate
  const bound = server.address() as AddressInfo;
  certificates.setProbeTargets([{ listener: 'echo', host: bound.address, port: bound.port }]);
  const close = () => Promise.all([server.close(), certificates.close()]);
  return { port: bound.port, close };
}
