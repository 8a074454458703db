/**
 * The way into ASN.1: asn1js does the reading, this file sets its limits. pkijs' classes take over from
 * the values read here; what they throw is theirs, and turned into `CertificateError` at our edges.
 */
import * as asn1js from 'asn1js';
import { malformed } from './errors.ts';

/** What `parseAsn1` gives: one value of any type. */
export type Asn1Value = asn1js.AsnType;

const LIMITS = {
  /** Deep enough for any certificate. */
  maxDepth: 32,
  /** Values in one structure: certificates with hundreds of names stay far below. */
  maxNodes: 20_000,
  maxContentLength: 256 * 1024,
  // Octet strings are opened where their content is known, never by guess.
  parseEmbedded: false,
} as const;

/** Reads the one value, DER or BER, that fills the bytes. Throws `CertificateError` ("malformed"). */
export function parseAsn1(bytes: Uint8Array | ArrayBuffer): Asn1Value {
  const { offset, result } = asn1js.fromBER(bytes, LIMITS);
  if (offset === -1) throw malformed('input', 'The data is no well-formed ASN.1.');
  if (offset !== bytes.byteLength) {
    throw malformed('input', 'The data goes on after the end of its ASN.1.');
  }
  return result;
}

/** The octets of an OCTET STRING, joined where BER sends it in pieces (X.690 §8.7.3). */
export function octetsOf(value: unknown): Buffer {
  if (!(value instanceof asn1js.OctetString)) {
    throw malformed('input', 'The data has a value of a wrong type.');
  }
  return Buffer.from(value.getValue());
}
