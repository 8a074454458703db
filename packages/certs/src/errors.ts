/** The errors of this package: TlsError for one connection, CertsError for the process. */

export type TlsErrorCode =
  /** The peer and we could not agree, or it spoke no TLS. */
  | 'handshake-failed'
  /** The ClientHello or the rest of the handshake took too long. */
  | 'handshake-timeout'
  /** Nothing to present yet: no generation is in force. */
  | 'no-material'
  /** The lease is out and the partition policy says to refuse. */
  | 'fenced'
  /** Octets in the clear behind STARTTLS (RFC 3207 §4.2, CVE-2011-0411). */
  | 'cleartext-behind-starttls'
  /** The peer went away before the handshake was done. */
  | 'client-gone';

/** Why one connection did not become a TLS session. Its socket is destroyed. */
export class TlsError extends Error {
  readonly code: TlsErrorCode;

  constructor(code: TlsErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'TlsError';
    this.code = code;
  }
}

export type CertsErrorCode =
  /** The material cannot be used: key and leaf disagree, expired, not what was announced. */
  | 'unusable-material'
  /** The material looked right and did not survive a handshake with itself. */
  | 'self-handshake-failed'
  /** The identity folder is missing, unreadable or holds no identity. */
  | 'bad-identity'
  /** An operation after close(). */
  | 'closed';

/** What goes wrong outside any connection. Messages never hold key material. */
export class CertsError extends Error {
  readonly code: CertsErrorCode;

  constructor(code: CertsErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'CertsError';
    this.code = code;
  }
}
