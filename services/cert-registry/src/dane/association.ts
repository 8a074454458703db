/** TLSA records (RFC 6698 §2) and which certificates they vouch for, as mail servers see it (RFC 7672 §3.1). Pure. */
import { createHash, X509Certificate } from 'node:crypto';
import { nameCovered } from '@mail/x509';

export interface Association {
  readonly usage: number;
  readonly selector: number;
  readonly matchingType: number;
  /** Lower-case hex. */
  readonly data: string;
}

/** A key, and the certificate that is served with it where there is one yet. */
export interface KeyHolder {
  /** SHA-256 of the SubjectPublicKeyInfo, lower-case hex. */
  readonly spkiSha256: string;
  readonly dnsNames: readonly string[];
  /** Leaf first; empty where only the key is there. */
  readonly chainPem: string;
}

const DANE_TA = 2;
const DANE_EE = 3;
const SELECT = { certificate: 0, spki: 1 } as const;
const MATCH = { exact: 0, sha256: 1, sha512: 2 } as const;

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/** "3 1 1 0123…", as zone files have it; no two differ that mean the same. */
export function presentation({ usage, selector, matchingType, data }: Association): string {
  return `${usage} ${selector} ${matchingType} ${data}`;
}

/** The record to publish for a key: RFC 7671 §5.1 and RFC 7672 §3.1.1. */
export function associationOf(spkiSha256: string): Association {
  const { spki: selector } = SELECT;
  return { usage: DANE_EE, selector, matchingType: MATCH.sha256, data: spkiSha256 };
}

/**
 * Whether a sender that finds this record at `host` takes what the holder serves. DANE-EE goes by the leaf
 * alone; DANE-TA by an authority in the chain as served, and then the name counts. PKIX usages are not
 * for SMTP (RFC 7672 §3.1.3).
 */
export function vouches(association: Association, holder: KeyHolder, host: string): boolean {
  if (presentation(association) === presentation(associationOf(holder.spkiSha256))) return true;
  const [leaf, ...authorities] = holder.chainPem.match(PEM_CERTIFICATE) ?? [];
  if (leaf === undefined) return false;
  if (association.usage === DANE_EE) return selects(association, leaf);
  if (association.usage !== DANE_TA || !nameCovered(host, holder.dnsNames)) return false;
  return authorities.some((pem) => selects(association, pem));
}

function selects({ selector, matchingType, data }: Association, pem: string): boolean {
  const certificate = new X509Certificate(pem);
  if (selector === SELECT.certificate) return digest(certificate.raw, matchingType) === data;
  if (selector !== SELECT.spki) return false;
  const spki = certificate.publicKey.export({ type: 'spki', format: 'der' });
  return digest(spki, matchingType) === data;
}

function digest(bytes: Buffer, matchingType: number): string | undefined {
  switch (matchingType) {
    case MATCH.exact:
      return bytes.toString('hex');
    case MATCH.sha256:
      return createHash('sha256').update(bytes).digest('hex');
    case MATCH.sha512:
      return createHash('sha512').update(bytes).digest('hex');
    default:
      return undefined;
  }
}
