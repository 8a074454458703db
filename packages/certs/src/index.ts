/**
 * @mail/certs: what a TLS server needs to take part in the fleet. See README.md. Beside this there are
 * `@mail/certs/smtp-server` for servers on that library, `@mail/certs/subscriber`, the machine alone, for
 * simulations, and `@mail/certs/testing`.
 */
export {
  type Certificates,
  type CertificatesOptions,
  type CertificatesState,
  certificatesSettings,
  openCertificates,
  openCertificatesFor,
} from './certificates.ts';
export * from './errors.ts';
export type { DrainRequest } from './registry-stream.ts';
export type { ProbeTarget } from './self-probe.ts';
export type { SecuredSocket, TlsAcceptor } from './tls-listener.ts';
