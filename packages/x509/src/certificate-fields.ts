/**
 * The fields of an X.509 certificate (RFC 5280 §4.1) that node:crypto shows as text for people, or not
 * at all: names, presented identifiers, key usage, the signature's hash. pkijs reads them, once for
 * each certificate.
 */
import type { X509Certificate } from 'node:crypto';
import * as asn1js from 'asn1js';
import { AltName, Certificate, type Extension, ExtKeyUsage } from 'pkijs';
import { type Asn1Value, parseAsn1 } from './asn1.ts';
import { formatName } from './distinguished-name.ts';
import { malformed } from './errors.ts';
import { readSignatureAlgorithm, type SignatureAlgorithm } from './signature-algorithm.ts';

export interface CertificateFields {
  /** RFC 4514 strings. */
  readonly subject: string;
  readonly issuer: string;
  /** True when subject and issuer are the same bytes. */
  readonly selfIssued: boolean;
  readonly signatureAlgorithm: SignatureAlgorithm;
  /** DER of the SubjectPublicKeyInfo. */
  readonly subjectPublicKeyInfo: Uint8Array;
  /** dNSName entries of subjectAltName, lower case, wildcards included. */
  readonly dnsNames: readonly string[];
  /** uniformResourceIdentifier entries of subjectAltName, as they are. */
  readonly uris: readonly string[];
  /** Whether the key may make signatures; true where keyUsage is absent (RFC 5280 §4.2.1.3). */
  readonly maySign: boolean;
  /** Object identifiers of extKeyUsage; undefined where it is absent and allows everything. */
  readonly extendedKeyUsage: readonly string[] | undefined;
}

const OID_KEY_USAGE = '2.5.29.15';
const OID_SUBJECT_ALT_NAME = '2.5.29.17';
const OID_EXTENDED_KEY_USAGE = '2.5.29.37';

/** GeneralName's choices (RFC 5280 §4.2.1.6). */
const DNS_NAME = 2;
const URI = 6;

const known = new WeakMap<X509Certificate, CertificateFields>();

/** Of a certificate that parse.ts has read; of others it may throw whatever pkijs throws. */
export function fieldsOf(certificate: X509Certificate): CertificateFields {
  let fields = known.get(certificate);
  if (fields === undefined) {
    fields = readFields(certificate.raw);
    known.set(certificate, fields);
  }
  return fields;
}

function readFields(der: Uint8Array): CertificateFields {
  const certificate = new Certificate({ schema: parseAsn1(der) });
  const { subject, issuer, extensions = [] } = certificate;
  return {
    subject: formatName(subject),
    issuer: formatName(issuer),
    selfIssued: Buffer.from(subject.valueBeforeDecode).equals(
      Buffer.from(issuer.valueBeforeDecode),
    ),
    signatureAlgorithm: readSignatureAlgorithm(certificate.signatureAlgorithm),
    subjectPublicKeyInfo: new Uint8Array(certificate.subjectPublicKeyInfo.toSchema().toBER()),
    ...readAlternativeNames(extensions),
    maySign: readMaySign(extensions),
    extendedKeyUsage: readExtendedKeyUsage(extensions),
  };
}

/** An extension's inner value. */
function findExtension(extensions: readonly Extension[], oid: string): Asn1Value | undefined {
  const extension = extensions.find(({ extnID }) => extnID === oid);
  return extension && parseAsn1(extension.extnValue.getValue());
}

/** The names of subjectAltName, in certificates and in requests. */
export function readAlternativeNames(extensions: readonly Extension[]): {
  dnsNames: string[];
  uris: string[];
} {
  const value = findExtension(extensions, OID_SUBJECT_ALT_NAME);
  const names = value === undefined ? [] : new AltName({ schema: value }).altNames;
  const textsOf = (type: number): string[] =>
    names.filter((name) => name.type === type).map((name) => String(name.value));
  return {
    dnsNames: [...new Set(textsOf(DNS_NAME).map((name) => name.toLowerCase()))],
    uris: textsOf(URI),
  };
}

function readMaySign(extensions: readonly Extension[]): boolean {
  const value = findExtension(extensions, OID_KEY_USAGE);
  if (value === undefined) return true;
  if (!(value instanceof asn1js.BitString)) throw malformed('input', 'The key usage is broken.');
  const [first = 0] = value.valueBlock.valueHexView;
  return (first & 0x80) !== 0;
}

function readExtendedKeyUsage(extensions: readonly Extension[]): string[] | undefined {
  const value = findExtension(extensions, OID_EXTENDED_KEY_USAGE);
  return value && new ExtKeyUsage({ schema: value }).keyPurposes;
}
