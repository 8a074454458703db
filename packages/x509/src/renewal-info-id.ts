/** The name under which a CA tells when to renew a certificate (RFC 9773). */
import type { X509Certificate } from 'node:crypto';
import { AuthorityKeyIdentifier, Certificate } from 'pkijs';
import { parseAsn1 } from './asn1.ts';

const OID_AUTHORITY_KEY_IDENTIFIER = '2.5.29.35';

/**
 * base64url of the authority's key identifier, a dot, base64url of the serial number as DER has it
 * (RFC 9773 §4.1). Undefined for a certificate without a key identifier of its authority.
 */
export function renewalInfoId(certificate: X509Certificate): string | undefined {
  const { extensions = [], serialNumber } = new Certificate({ schema: parseAsn1(certificate.raw) });
  const found = extensions.find(({ extnID }) => extnID === OID_AUTHORITY_KEY_IDENTIFIER);
  if (found === undefined) return undefined;
  const schema = parseAsn1(found.extnValue.getValue());
  const { keyIdentifier } = new AuthorityKeyIdentifier({ schema });
  if (keyIdentifier === undefined) return undefined;
  const parts = [keyIdentifier.valueBlock.valueHexView, serialNumber.valueBlock.valueHexView];
  return parts.map((octets) => Buffer.from(octets).toString('base64url')).join('.');
}
