/** The peer: a TLS server with nothing around it, with a key of the same kind as the services'. */
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:tls';
import { bundleToPem, createSelfSigned } from '@mail/x509';

const { privateKeyPem, chainPem } = bundleToPem(
  await createSelfSigned({ names: ['localhost'], days: 2, now: new Date(), keyType: 'ecdsa-p256' }),
);
const server = createServer(
  { key: privateKeyPem, cert: chainPem, minVersion: 'TLSv1.2' },
  (socket) => {
    socket.on('error', () => {});
    socket.write('* OK ready\r\n');
  },
);
server.on('tlsClientError', () => {});
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
process.once('disconnect', () => process.exit());
