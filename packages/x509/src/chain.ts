/**
 * From a heap of certificates and keys to a leaf, its key and its chain as a server sends it
 * (RFC 8446 §4.4.2).
 *
 * The leaf is the certificate that a private key of the input belongs to. Every path of issuers from
 * there is followed by signature, and one is taken: first those that are complete, of these the longest,
 * of these the one that lasts longest, then by fingerprint, so that the same input gives the same chain.
 * Certificates on other paths (cross-signed twins of an intermediate) are left out in silence;
 * certificates on no path are refused, as they show that a file was put together wrongly.
 *
 * A path is complete when it reaches a root: a self-signed certificate of the input, or a trust anchor
 * that the caller knows. The root itself is not served, since whoever trusts it has it. A path that ends
 * elsewhere lacks something or belongs to a private CA whose root was not given, and nothing in the
 * certificates tells which. A leaf without any issuer is far more often a forgotten intermediate, and
 * that breaks clients, so it is refused, and the remedy for a private CA that signs leaves itself is to
 * give its root too; behind at least one intermediate it is a warning. Completeness is decided here,
 * once: a bundle is immutable, and later checks only look at whether its links hold.
 */
import type { KeyObject, X509Certificate } from 'node:crypto';
import { fieldsOf } from './certificate-fields.ts';
import { certificateLabel } from './describe.ts';
import { CertificateError, type Check } from './errors.ts';
import { isIssuedBy, isKeyOf, isSelfSigned } from './issuance.ts';
import type { Material } from './parse.ts';
import { TrustAnchors } from './trust-anchors.ts';

/** A certificate that a server can present. Immutable. */
export interface CertificateBundle {
  readonly leaf: X509Certificate;
  /** Leaf first, each issued by the next, without the root unless the leaf is one. */
  readonly chain: readonly X509Certificate[];
  readonly privateKey: KeyObject;
}

/** Certificates in a chain, root included. Public ones have four at most. */
const MAX_CHAIN_LENGTH = 8;

const NO_ANCHORS = new TrustAnchors([]);

/**
 * Finds the leaf, sorts its chain and leaves the root out. `checks` holds warnings only; failures are
 * thrown together in a `CertificateError`: "leaf-missing", "key-missing", "key-mismatch",
 * "chain-incomplete", "chain-disorder", "unrelated-certificate". Dates, names and strength are
 * `checkBundle`'s business.
 */
export function assembleBundle(
  material: Material,
  options: { readonly anchors?: TrustAnchors } = {},
): { bundle: CertificateBundle; checks: Check[] } {
  const { leaf, privateKey, checks: leafChecks } = pickLeaf(material);
  const { chain, checks: chainChecks } = sortChain(
    leaf,
    material.certificates,
    options.anchors ?? NO_ANCHORS,
  );
  const checks = [...leafChecks, ...chainChecks];
  throwErrors(checks);
  return { bundle: { leaf, chain, privateKey }, checks };
}

function throwErrors(checks: readonly Check[]): void {
  const [first, ...rest] = checks.filter((check) => check.severity === 'error');
  if (first !== undefined) throw new CertificateError([first, ...rest]);
}

function pickLeaf({ certificates, privateKeys }: Material): {
  leaf: X509Certificate;
  privateKey: KeyObject;
  checks: Check[];
} {
  const pairs = certificates
    .flatMap((leaf) =>
      privateKeys.filter((key) => isKeyOf(leaf, key)).map((privateKey) => ({ leaf, privateKey })),
    )
    .sort((a, b) => Number(a.leaf.ca) - Number(b.leaf.ca) || newestFirst(a.leaf, b.leaf));
  const [chosen, ...others] = pairs;
  if (chosen === undefined) throw noLeaf(certificates, privateKeys);

  const checks = others.map(
    ({ leaf }): Check => ({
      code: 'unrelated-certificate',
      severity: 'error',
      certificate: certificateLabel(leaf),
      message: `The input holds a private key for ${certificateLabel(leaf)} as well as for ${certificateLabel(chosen.leaf)}.`,
      remedy: 'Import one certificate at a time, with its own key and chain only.',
    }),
  );
  const used = new Set(pairs.map((pair) => pair.privateKey));
  if (privateKeys.some((key) => !used.has(key))) {
    checks.push({
      code: 'key-mismatch',
      severity: 'error',
      certificate: certificateLabel(chosen.leaf),
      message:
        'The input holds a second private key, which belongs to no certificate of the input.',
      remedy: 'Leave the other private key out.',
    });
  }
  return { ...chosen, checks };
}

function newestFirst(a: X509Certificate, b: X509Certificate): number {
  return (
    b.validToDate.getTime() - a.validToDate.getTime() ||
    a.fingerprint256.localeCompare(b.fingerprint256)
  );
}

function noLeaf(
  certificates: readonly X509Certificate[],
  privateKeys: readonly KeyObject[],
): CertificateError {
  const likely = certificates.find((certificate) => !certificate.ca);
  const label = likely === undefined ? 'input' : certificateLabel(likely);
  const keyMissing: Check = {
    code: 'key-missing',
    severity: 'error',
    certificate: label,
    message: 'The input holds no private key.',
    remedy: "Give the certificate's private key too.",
  };
  const leafMissing: Check = {
    code: 'leaf-missing',
    severity: 'error',
    certificate: 'input',
    message:
      certificates.length === 0
        ? 'The input holds no certificate.'
        : "The input holds certificates of authorities only, not the server's own.",
    remedy: "Give the server's own certificate, the one issued for the private key.",
  };
  if (privateKeys.length === 0) {
    return certificates.length === 0 || likely === undefined
      ? new CertificateError([leafMissing, keyMissing])
      : new CertificateError([keyMissing]);
  }
  if (likely === undefined) return new CertificateError([leafMissing]);
  return new CertificateError([
    {
      code: 'key-mismatch',
      severity: 'error',
      certificate: label,
      message: `The private key is not that of ${label}.`,
      remedy: 'Give the key that the certificate was requested with, or request a new certificate.',
    },
  ]);
}

interface Path {
  /** As served. */
  readonly certificates: readonly X509Certificate[];
  readonly complete: boolean;
}

function sortChain(
  leaf: X509Certificate,
  certificates: readonly X509Certificate[],
  anchors: TrustAnchors,
): { chain: readonly X509Certificate[]; checks: Check[] } {
  const issuersOf = rememberIssuers(certificates);
  const [path] = [...findPaths([leaf], issuersOf, anchors)].sort(comparePaths);
  if (path === undefined) return { chain: [leaf], checks: [tooLong(leaf)] };

  const reachable = findReachable(leaf, issuersOf);
  const last = path.certificates.at(-1) ?? leaf;
  const impostors = path.complete ? [] : findImpostors(last, certificates, reachable);
  const checks: Check[] = [];
  if (!path.complete) {
    if (issuersOf(last).length > 0) checks.push(circular(last));
    else if (impostors.length > 0) checks.push(...impostors.map((other) => impostor(last, other)));
    else checks.push(incomplete(last, leaf));
  }
  const strangers = certificates.filter(
    (certificate) => !reachable.has(certificate) && !impostors.includes(certificate),
  );
  checks.push(...strangers.map((stranger) => unrelated(stranger, leaf)));
  return { chain: path.certificates, checks };
}

type IssuersOf = (certificate: X509Certificate) => readonly X509Certificate[];

/** Each signature is verified once, however many paths lead over it. */
function rememberIssuers(certificates: readonly X509Certificate[]): IssuersOf {
  const known = new Map<X509Certificate, readonly X509Certificate[]>();
  return (certificate) => {
    let issuers = known.get(certificate);
    if (issuers === undefined) {
      issuers = isSelfSigned(certificate)
        ? []
        : certificates.filter((other) => other !== certificate && isIssuedBy(certificate, other));
      known.set(certificate, issuers);
    }
    return issuers;
  };
}

function* findPaths(
  path: readonly X509Certificate[],
  issuersOf: IssuersOf,
  anchors: TrustAnchors,
): Generator<Path> {
  const last = path.at(-1);
  if (last === undefined || path.length > MAX_CHAIN_LENGTH) return;
  if (isSelfSigned(last)) {
    yield { certificates: path.length > 1 ? path.slice(0, -1) : path, complete: true };
    return;
  }
  const complete = anchors.reachedBy(last);
  const next = issuersOf(last).filter((issuer) => !path.some((seen) => isSameEntity(seen, issuer)));
  if (complete || next.length === 0) yield { certificates: path, complete };
  for (const issuer of next) yield* findPaths([...path, issuer], issuersOf, anchors);
}

/** Cross-signed twins are one entity: a path that visits it again goes in a circle. */
function isSameEntity(a: X509Certificate, b: X509Certificate): boolean {
  const [first, second] = [fieldsOf(a), fieldsOf(b)];
  return (
    first.subject === second.subject &&
    Buffer.compare(first.subjectPublicKeyInfo, second.subjectPublicKeyInfo) === 0
  );
}

function comparePaths(a: Path, b: Path): number {
  return (
    Number(b.complete) - Number(a.complete) ||
    b.certificates.length - a.certificates.length ||
    lastsUntil(b) - lastsUntil(a) ||
    fingerprints(a).localeCompare(fingerprints(b))
  );
}

function lastsUntil(path: Path): number {
  return Math.min(...path.certificates.map((certificate) => certificate.validToDate.getTime()));
}

function fingerprints(path: Path): string {
  return path.certificates.map((certificate) => certificate.fingerprint256).join();
}

function findReachable(leaf: X509Certificate, issuersOf: IssuersOf): Set<X509Certificate> {
  const reachable = new Set([leaf]);
  // A Set goes on to what is added while it is walked.
  for (const certificate of reachable) {
    for (const issuer of issuersOf(certificate)) reachable.add(issuer);
  }
  return reachable;
}

/** Certificates that bear the issuer's name and did not sign. */
function findImpostors(
  certificate: X509Certificate,
  others: readonly X509Certificate[],
  reachable: ReadonlySet<X509Certificate>,
): X509Certificate[] {
  const { issuer } = fieldsOf(certificate);
  return others.filter((other) => !reachable.has(other) && fieldsOf(other).subject === issuer);
}

function tooLong(leaf: X509Certificate): Check {
  return {
    code: 'chain-disorder',
    severity: 'error',
    certificate: certificateLabel(leaf),
    message: `The chain of ${certificateLabel(leaf)} is longer than ${MAX_CHAIN_LENGTH} certificates.`,
    remedy: 'Give only the intermediates between the certificate and its root.',
  };
}

function circular(last: X509Certificate): Check {
  return {
    code: 'chain-disorder',
    severity: 'error',
    certificate: certificateLabel(last),
    message: `The issuers of ${certificateLabel(last)} sign each other in a circle and lead to no root.`,
    remedy: 'Give the intermediate that the root signed, or the root itself.',
  };
}

function impostor(last: X509Certificate, other: X509Certificate): Check {
  return {
    code: 'chain-disorder',
    severity: 'error',
    certificate: certificateLabel(last),
    message: `${certificateLabel(last)} names ${certificateLabel(other)} as its issuer, but the certificate given under that name did not sign it.`,
    remedy: 'Give the chain that the CA delivered together with this certificate.',
  };
}

function incomplete(last: X509Certificate, leaf: X509Certificate): Check {
  const { issuer } = fieldsOf(last);
  if (last === leaf) {
    return {
      code: 'chain-incomplete',
      severity: 'error',
      certificate: certificateLabel(leaf),
      message: `The certificate of ${issuer}, which issued ${certificateLabel(leaf)}, is missing.`,
      remedy:
        'Add the intermediate certificates that the CA delivered; if a private CA signed it directly, add its root certificate.',
    };
  }
  return {
    code: 'chain-incomplete',
    severity: 'warning',
    certificate: certificateLabel(last),
    message: `The chain ends below ${issuer}, which is no root known here.`,
    remedy:
      'If this is a private CA, add its root certificate to the import; else add the missing intermediate.',
  };
}

function unrelated(stranger: X509Certificate, leaf: X509Certificate): Check {
  return {
    code: 'unrelated-certificate',
    severity: 'error',
    certificate: certificateLabel(stranger),
    message: `${certificateLabel(stranger)} is not part of the chain of ${certificateLabel(leaf)}.`,
    remedy: 'Leave it out.',
  };
}
