/** An echo server over TLS that changes its certificate with the fleet. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { openCertificates } from '@mail/certs';

export async function startEchoServer(registry: string, identityDir: string, port: number) {
  const certificates = await openCertificates({
    service: 'echo',
    instance: 'host-1',
    registry,
    identityDir,
    cacheFile: `${identityDir}/last-known-good.material`,
    partitionPolicy: 'serve',
  });
  // nothing to present before this: the port stays closed
  await certificates.ready();

  const acceptor = certificates.acceptor(['echo']);
  const server = createServer(async (socket) => {
    try {
      const { socket: secured } = await acceptor.accept(socket);
      secured.on('error', () => secured.destroy());
      secured.pipe(secured);
    } catch {
      // no TLS session came of it, and the socket is closed
    }
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const bound = typeof address === 'object' && address ? address.port : port;

  // so that a switch counts as verified only when this port shows the new certificate
  certificates.setProbeTargets([
    { listener: 'echo', host: '127.0.0.1', port: bound, preamble: '', startTls: undefined },
  ]);
  return {
    port: bound,
    close: async () => {
      server.close();
      await certificates.close();
    },
  };
}
