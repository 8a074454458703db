/**
 * @mail/certs: what a TLS server needs to take part in the fleet. See README.md.
 */
export {
  Certificates,
  type CertificatesOptions,
  type CertificatesState,
  certificatesSettings,
  openCertificates,
  openCertificatesFor,
} from './certificates.ts';
export { CurrentMaterial, type MonotonicClock, monotonicClock } from './current-material.ts';
export * from './errors.ts';
export { buildMaterial, fingerprintOf, type Material } from './material.ts';
export type { DrainRequest } from './registry-stream.ts';
export { type ProbeTarget, probeListeners } from './self-probe.ts';
export { type AdaptedSmtpOptions, ConcertSmtpServer } from './smtp-server-adapter.ts';
export * from './subscriber.ts';
export {
  createTlsAcceptor,
  type SecuredSocket,
  type TlsAcceptor,
  type TlsAcceptorOptions,
} from './tls-listener.ts';
