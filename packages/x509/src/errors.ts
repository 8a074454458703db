/**
 * What can be wrong with a certificate, and the one error this package throws for it.
 */

/** The closed set of findings, as `CheckResult.code` of the gRPC contract. */
export type CheckCode =
  | 'key-mismatch'
  | 'leaf-missing'
  | 'key-missing'
  | 'chain-incomplete'
  | 'chain-disorder'
  | 'unrelated-certificate'
  | 'expired'
  | 'not-yet-valid'
  | 'expires-soon'
  | 'weak-key'
  | 'weak-signature'
  | 'no-server-auth'
  | 'required-name-missing'
  | 'name-loss'
  | 'self-signed'
  | 'malformed'
  | 'wrong-passphrase';

/** One finding. An error refuses the certificate, a warning does not. */
export interface Check {
  readonly code: CheckCode;
  readonly severity: 'error' | 'warning';
  /** The certificate concerned: an id where the caller gave one, else its subject; for bytes that are no certificate, which of them. */
  readonly certificate: string;
  /** What was found, in one sentence. */
  readonly message: string;
  /** What to do about it, in one sentence. */
  readonly remedy: string;
}

/** Material that cannot be used. `checks` holds every failure found, the first of which gives `code`. */
export class CertificateError extends Error {
  readonly code: CheckCode;
  readonly checks: readonly Check[];

  constructor(checks: readonly [Check, ...Check[]], options?: ErrorOptions) {
    super(checks.map((check) => check.message).join(' '), options);
    this.name = 'CertificateError';
    this.code = checks[0].code;
    this.checks = checks;
  }
}

/** The error for bytes that do not say what they should. */
export function malformed(
  what: string,
  message: string,
  remedy = 'Export the certificate and key anew, as PEM or PKCS#12.',
  options?: ErrorOptions,
): CertificateError {
  const check: Check = {
    code: 'malformed',
    severity: 'error',
    certificate: what,
    message,
    remedy,
  };
  return new CertificateError([check], options);
}
