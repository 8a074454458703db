/** Of several chains for one certificate (RFC 8555 §7.4.2): where the others are, and which one is wanted. */
import type { X509Certificate } from 'node:crypto';
import { CertificateError, readBlobs } from '@mail/x509';
import { AcmeError } from './errors.ts';

/** More than any CA has roots. */
const MAX_ALTERNATES = 8;
const LINK = /<([^<>]*)>([^<]*)/g;
const ALTERNATE = /;\s*rel\s*=\s*"?alternate\b/i;

/** Of a Link header (RFC 8288 §3), absolute as seen from `base`. */
export function alternateUrls(header: string | undefined, base: string): string[] {
  return [...(header ?? '').matchAll(LINK)]
    .filter(
      ([, target = '', parameters = '']) =>
        ALTERNATE.test(parameters) && URL.canParse(target, base),
    )
    .slice(0, MAX_ALTERNATES)
    .map(([, target = '']) => new URL(target, base).href);
}

/**
 * The chain (PEM) with a certificate that the authority of the common name `authority` has issued, the
 * closest to its end where several have one; the first chain where none has. Throws AcmeError (bad-answer).
 */
export async function preferredChain(
  chains: readonly string[],
  authority: string,
): Promise<string> {
  let [best = ''] = chains;
  let distance = Number.POSITIVE_INFINITY;
  for (const chain of chains) {
    const issuers = (await certificatesOf(chain)).map(issuerName);
    const index = issuers.lastIndexOf(authority);
    if (index < 0 || issuers.length - index >= distance) continue;
    distance = issuers.length - index;
    best = chain;
  }
  return best;
}

/** Throws AcmeError (bad-answer). */
export async function certificatesOf(chain: string): Promise<readonly X509Certificate[]> {
  try {
    return (await readBlobs([Buffer.from(chain)])).certificates;
  } catch (cause) {
    if (!(cause instanceof CertificateError)) throw cause;
    throw new AcmeError(
      'bad-answer',
      `the CA answers with a chain that is none: ${cause.message}`,
      {
        cause,
      },
    );
  }
}

function issuerName(certificate: X509Certificate): unknown {
  return certificate.toLegacyObject().issuer.CN;
}
