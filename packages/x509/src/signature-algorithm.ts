/**
 * Which algorithm signed a certificate, and how good its hash is.
 */
import { type AlgorithmIdentifier, RSASSAPSSParams } from 'pkijs';

export interface SignatureAlgorithm {
  /** For people: "ECDSA with SHA-256"; the object identifier where it is not one we know. */
  readonly label: string;
  /** True where forged signatures are within reach: MD2, MD5 and SHA-1 (RFC 9155, CA/B BR §7.1.3.2). */
  readonly weak: boolean;
}

const HASHES: Readonly<Record<string, string>> = {
  '1.2.840.113549.2.5': 'MD5',
  '1.3.14.3.2.26': 'SHA-1',
  '2.16.840.1.101.3.4.2.4': 'SHA-224',
  '2.16.840.1.101.3.4.2.1': 'SHA-256',
  '2.16.840.1.101.3.4.2.2': 'SHA-384',
  '2.16.840.1.101.3.4.2.3': 'SHA-512',
};

const OID_RSASSA_PSS = '1.2.840.113549.1.1.10';

const ALGORITHMS: Readonly<Record<string, readonly [scheme: string, hash?: string]>> = {
  '1.2.840.113549.1.1.2': ['RSA', 'MD2'],
  '1.2.840.113549.1.1.4': ['RSA', 'MD5'],
  '1.2.840.113549.1.1.5': ['RSA', 'SHA-1'],
  '1.3.14.3.2.29': ['RSA', 'SHA-1'],
  '1.2.840.113549.1.1.14': ['RSA', 'SHA-224'],
  '1.2.840.113549.1.1.11': ['RSA', 'SHA-256'],
  '1.2.840.113549.1.1.12': ['RSA', 'SHA-384'],
  '1.2.840.113549.1.1.13': ['RSA', 'SHA-512'],
  '1.2.840.10045.4.1': ['ECDSA', 'SHA-1'],
  '1.2.840.10045.4.3.1': ['ECDSA', 'SHA-224'],
  '1.2.840.10045.4.3.2': ['ECDSA', 'SHA-256'],
  '1.2.840.10045.4.3.3': ['ECDSA', 'SHA-384'],
  '1.2.840.10045.4.3.4': ['ECDSA', 'SHA-512'],
  '1.2.840.10040.4.3': ['DSA', 'SHA-1'],
  '2.16.840.1.101.3.4.3.1': ['DSA', 'SHA-224'],
  '2.16.840.1.101.3.4.3.2': ['DSA', 'SHA-256'],
  '2.16.840.1.101.3.4.3.17': ['ML-DSA-44'],
  '2.16.840.1.101.3.4.3.18': ['ML-DSA-65'],
  '2.16.840.1.101.3.4.3.19': ['ML-DSA-87'],
  '1.3.101.112': ['Ed25519'],
  '1.3.101.113': ['Ed448'],
};

const WEAK_HASHES: ReadonlySet<string> = new Set(['MD2', 'MD5', 'SHA-1']);

export function readSignatureAlgorithm(identifier: AlgorithmIdentifier): SignatureAlgorithm {
  const { algorithmId, algorithmParams } = identifier;
  const [scheme, hash] =
    algorithmId === OID_RSASSA_PSS
      ? ['RSA-PSS', readPssHash(algorithmParams)]
      : (ALGORITHMS[algorithmId] ?? [algorithmId]);
  if (hash === undefined) return { label: scheme, weak: false };
  return { label: `${scheme} with ${hash}`, weak: WEAK_HASHES.has(hash) };
}

/** RFC 4055 §3.1: SHA-1 where the parameters do not name a hash. */
function readPssHash(parameters: unknown): string {
  const { algorithmId } = new RSASSAPSSParams({ schema: parameters }).hashAlgorithm;
  return HASHES[algorithmId] ?? algorithmId;
}
