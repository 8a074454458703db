/** Whether a certificate is the one that was ordered: for those names, all of them and no others. */
import { describeCertificate, readSigningRequest } from '@mail/x509';
import { certificatesOf } from './chains.ts';
import { AcmeError, plainText } from './errors.ts';

/** Names told in one message. */
const MAX_TOLD = 5;

/**
 * `names` are as normalisePresentedName writes them. Looks at every certificate of the chain under the key of
 * the signing request; that there is one, is for whoever completes the request to see. Throws AcmeError
 * (bad-answer): a CA does not issue what was not asked for (RFC 8555 §7.4).
 */
export async function checkOrderedNames(
  chainPem: string,
  signingRequestPem: string,
  names: readonly string[],
): Promise<void> {
  const { publicKey } = readSigningRequest(signingRequestPem);
  for (const certificate of await certificatesOf(chainPem)) {
    if (!certificate.publicKey.equals(publicKey)) continue;
    const { dnsNames } = describeCertificate(certificate);
    const missing = names.filter((name) => !dnsNames.includes(name));
    const added = dnsNames.filter((name) => !names.includes(name));
    const faults = [...told('lacks', missing), ...told('is also for what was not ordered,', added)];
    if (faults.length === 0) continue;
    throw new AcmeError('bad-answer', `the CA's certificate ${faults.join(', and ')}`);
  }
}

function told(fault: string, names: readonly string[]): string[] {
  if (names.length === 0) return [];
  const first = names.slice(0, MAX_TOLD).map((name) => plainText(name, 253));
  const more = names.length > MAX_TOLD ? ` and ${names.length - MAX_TOLD} more` : '';
  return [`${fault} ${first.join(', ')}${more}`];
}
