/**
 * A bundle as two PEM texts, the form in which it is stored, sent and given to TLS.
 */
import { createPrivateKey, type KeyObject } from 'node:crypto';
import type { CertificateBundle } from './chain.ts';
import { malformed } from './errors.ts';
import { certificatesFromPem } from './parse.ts';

export interface BundlePem {
  /** As served, leaf first. */
  readonly chainPem: string;
  /** PKCS#8, in the clear. */
  readonly privateKeyPem: string;
}

export function bundleToPem({ chain, privateKey }: CertificateBundle): BundlePem {
  return {
    chainPem: chain.map((certificate) => certificate.toString()).join(''),
    privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

/**
 * What `bundleToPem` wrote; the order is taken as it is. Throws `CertificateError` ("malformed"). Whether
 * key and chain belong together is for `checkBundle` to say.
 */
export function bundleFromPem({ chainPem, privateKeyPem }: BundlePem): CertificateBundle {
  const chain = certificatesFromPem(chainPem);
  const [leaf] = chain;
  if (leaf === undefined) throw malformed('input', 'The chain holds no certificate.');
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(privateKeyPem);
  } catch (cause) {
    throw malformed('input', 'The private key cannot be read.', undefined, { cause });
  }
  return { leaf, chain, privateKey };
}
