/**
 * Which certificate of a folder is meant: pure. Folders hold leftovers, keys made ahead, authorities that
 * clients are to trust; an import has one certificate with its key and chain.
 *
 * The leaf that was issued last is meant, and its key must be there: an older pair beside it is a leftover,
 * and an older pair in its place would hide that the renewal went wrong.
 */
import type { X509Certificate } from 'node:crypto';
import type { BundleMaterial } from '@mail/x509';

/** Leaves out what does not belong to the leaf that is meant. What is missing is for the import to say. */
export function pickPair({ certificates, privateKeys }: BundleMaterial): BundleMaterial {
  const hasKey = (certificate: X509Certificate) =>
    privateKeys.some((key) => certificate.checkPrivateKey(key));
  const issued = certificates.filter(({ ca }) => !ca);
  // one that signed itself may call itself an authority
  const leaves = issued.length > 0 ? issued : certificates.filter(hasKey);
  const [leaf] = leaves.toSorted(
    (a, b) =>
      b.validFromDate.getTime() - a.validFromDate.getTime() ||
      Number(hasKey(b)) - Number(hasKey(a)) ||
      b.validToDate.getTime() - a.validToDate.getTime() ||
      a.fingerprint256.localeCompare(b.fingerprint256),
  );
  if (leaf === undefined) return { certificates, privateKeys };
  const keys = privateKeys.filter((key) => leaf.checkPrivateKey(key));
  return {
    certificates: withIssuers(leaf, certificates),
    // a key of another certificate makes the import say what is wrong
    privateKeys: keys.length > 0 ? keys : privateKeys,
  };
}

function withIssuers(
  leaf: X509Certificate,
  certificates: readonly X509Certificate[],
): X509Certificate[] {
  const chain = new Set([leaf]);
  for (const certificate of chain) {
    for (const issuer of certificates) {
      if (issuer.ca && certificate.checkIssued(issuer)) chain.add(issuer);
    }
  }
  return [...chain];
}
