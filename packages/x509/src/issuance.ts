/**
 * Who signed whom, and whose key is whose: answered by signatures, never by names alone.
 */
import { type KeyObject, sign, verify, type X509Certificate } from 'node:crypto';
import { fieldsOf } from './certificate-fields.ts';

/** Whether the certificate is signed by its own key (RFC 5280 §3.2). */
export function isSelfSigned(certificate: X509Certificate): boolean {
  return fieldsOf(certificate).selfIssued && isSignedBy(certificate, certificate.publicKey);
}

/** Whether names, key identifiers, CA flag and signature say that the issuer made the certificate. */
export function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return (
    certificate.checkIssued(issuer) &&
    // Roots of version 1 have no CA flag.
    (issuer.ca || isSelfSigned(issuer)) &&
    isSignedBy(certificate, issuer.publicKey)
  );
}

function isSignedBy(certificate: X509Certificate, publicKey: KeyObject): boolean {
  try {
    return certificate.verify(publicKey);
  } catch {
    // The key is of another kind than the signature.
    return false;
  }
}

const PROBE = Buffer.from('private and public key belong together');

/**
 * Whether the private key is that of the certificate. Signs a probe besides comparing, since a key file
 * can carry the right public half beside a private half that is not its own.
 */
export function isKeyOf(certificate: X509Certificate, privateKey: KeyObject): boolean {
  try {
    if (!certificate.checkPrivateKey(privateKey)) return false;
    const digest = ['ed25519', 'ed448'].includes(privateKey.asymmetricKeyType ?? '')
      ? null
      : 'sha256';
    return verify(digest, PROBE, certificate.publicKey, sign(digest, PROBE, privateKey));
  } catch {
    return false;
  }
}
