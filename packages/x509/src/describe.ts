/**
 * Certificates for people and lists: what they are, in the terms of the gRPC contract.
 */
import { createHash, type KeyObject, type X509Certificate } from 'node:crypto';
import { fieldsOf } from './certificate-fields.ts';
import { isSelfSigned } from './issuance.ts';

export interface CertificateDescription {
  /** Lower-case hex of SHA-256 over the DER. */
  readonly fingerprintSha256: string;
  /** RFC 4514 strings. */
  readonly subject: string;
  readonly issuer: string;
  /** Lower-case hex, as in the certificate. */
  readonly serialNumber: string;
  /** DNS names of subjectAltName as A-labels, lower case, wildcards included. */
  readonly dnsNames: readonly string[];
  /** URI names of subjectAltName. */
  readonly uris: readonly string[];
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** "ECDSA P-256", "RSA 2048", "Ed25519". */
  readonly keyType: string;
  /** "ECDSA with SHA-256". */
  readonly signatureAlgorithm: string;
  /** Lower-case hex of SHA-256 over the SubjectPublicKeyInfo, as TLSA 3 1 1 takes it (RFC 6698). */
  readonly spkiSha256: string;
  readonly selfSigned: boolean;
}

export function describeCertificate(certificate: X509Certificate): CertificateDescription {
  const fields = fieldsOf(certificate);
  return {
    fingerprintSha256: sha256Hex(certificate.raw),
    subject: fields.subject,
    issuer: fields.issuer,
    serialNumber: certificate.serialNumber.toLowerCase(),
    dnsNames: fields.dnsNames,
    uris: fields.uris,
    notBefore: certificate.validFromDate,
    notAfter: certificate.validToDate,
    keyType: describeKey(certificate.publicKey),
    signatureAlgorithm: fields.signatureAlgorithm.label,
    spkiSha256: sha256Hex(fields.subjectPublicKeyInfo),
    selfSigned: isSelfSigned(certificate),
  };
}

/** The names of NIST's curves, which the CA/B Forum and mail clients go by (RFC 5480 §2.1.1.1). */
export const NIST_CURVES: ReadonlyMap<string, string> = new Map([
  ['prime256v1', 'P-256'],
  ['secp384r1', 'P-384'],
  ['secp521r1', 'P-521'],
]);

/** A public or private key's kind, for people: "ECDSA P-256". */
export function describeKey(key: KeyObject): string {
  const { modulusLength, namedCurve = 'unnamed curve' } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case 'rsa':
    case 'rsa-pss':
    case 'dsa':
      return `${key.asymmetricKeyType.toUpperCase()} ${modulusLength}`;
    case 'ec':
      return `ECDSA ${NIST_CURVES.get(namedCurve) ?? namedCurve}`;
    case 'ed25519':
      return 'Ed25519';
    case 'ed448':
      return 'Ed448';
    default:
      return key.asymmetricKeyType?.toUpperCase() ?? 'unknown';
  }
}

/** How messages call a certificate: its subject, or what else it has. */
export function certificateLabel(certificate: X509Certificate): string {
  const { subject, dnsNames } = fieldsOf(certificate);
  return subject || dnsNames[0] || `serial ${certificate.serialNumber.toLowerCase()}`;
}

function sha256Hex(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
