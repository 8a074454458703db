/**
 * What a TLS session and its certificate are called by who is inside (channel bindings), so that a login can
 * prove that nobody sits in between. Of this connection's own session and certificate: which certificate is in
 * force by now does not matter.
 */
import { createHash } from 'node:crypto';
import type { TLSSocket } from 'node:tls';

/** RFC 9266 §2. */
const EXPORTER_LABEL = 'EXPORTER-Channel-Binding';
const EXPORTER_BYTES = 32;

/**
 * The data of a type of channel binding; undefined for a type that the session has not. Only TLS 1.3 has any
 * here: before it, an exporter is bound to the session with the extended master secret alone, and clients
 * mean tls-unique (RFC 9266 §3), which is worse and not ours.
 */
export function channelBindingOf(
  socket: TLSSocket,
): ((type: string) => Buffer | undefined) | undefined {
  if (socket.getProtocol() !== 'TLSv1.3') return undefined;
  return (type) => {
    switch (type) {
      case 'tls-exporter':
        return socket.exportKeyingMaterial(EXPORTER_BYTES, EXPORTER_LABEL, Buffer.alloc(0));
      case 'tls-server-end-point':
        return serverEndPoint(socket);
      default:
        return undefined;
    }
  };
}

/** The certificate's hash (RFC 5929 §4.1). */
function serverEndPoint(socket: TLSSocket): Buffer | undefined {
  const certificate = socket.getX509Certificate();
  const hash = endPointHash(certificate?.signatureAlgorithm);
  if (certificate === undefined || hash === undefined) return undefined;
  return createHash(hash).update(certificate.raw).digest();
}

/**
 * The hash for tls-server-end-point of a certificate whose signature is of this algorithm, by OpenSSL's name:
 * the signature's own, SHA-256 for MD5 and SHA-1. Undefined for signatures without a hash of their own, or
 * with one in their parameters.
 */
export function endPointHash(signatureAlgorithm: string | undefined): string | undefined {
  const [, name] = /(?:^|-)(md5|sha\d+)(?:with|$)/i.exec(signatureAlgorithm ?? '') ?? [];
  const hash = name?.toLowerCase();
  return hash === 'md5' || hash === 'sha1' ? 'sha256' : hash;
}
