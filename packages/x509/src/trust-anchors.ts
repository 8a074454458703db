/**
 * The root certificates that a machine trusts, as a lookup. Which ones those are is the caller's
 * choice, for example `tls.rootCertificates`.
 */
import { X509Certificate } from 'node:crypto';
import { fieldsOf } from './certificate-fields.ts';
import { isIssuedBy } from './issuance.ts';

export class TrustAnchors {
  readonly #pems: readonly string[];
  #bySubject: Map<string, X509Certificate[]> | undefined;

  /** Takes one PEM certificate in each string. They are parsed at the first question: about 0.1 s for all public roots. */
  constructor(pems: readonly string[]) {
    this.#pems = pems;
  }

  /** Whether an anchor signed the certificate, or is the same authority as its subject (a cross-signed root). */
  reachedBy(certificate: X509Certificate): boolean {
    const { subject, issuer, subjectPublicKeyInfo } = fieldsOf(certificate);
    return (
      this.#named(issuer).some((anchor) => isIssuedBy(certificate, anchor)) ||
      this.#named(subject).some(
        (anchor) =>
          Buffer.compare(fieldsOf(anchor).subjectPublicKeyInfo, subjectPublicKeyInfo) === 0,
      )
    );
  }

  #named(name: string): readonly X509Certificate[] {
    this.#bySubject ??= Map.groupBy(
      this.#pems.map((pem) => new X509Certificate(pem)),
      (anchor) => fieldsOf(anchor).subject.toLowerCase(),
    );
    return this.#bySubject.get(name.toLowerCase()) ?? [];
  }
}
