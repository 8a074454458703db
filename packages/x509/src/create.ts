/**
 * Makes keys, PKCS#10 requests (RFC 2986), self-signed certificates, the internal CA and the identities
 * that it issues (RFC 5280). This file alone draws randomness: for keys, serial numbers and signatures.
 */
import {
  createHash,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  randomBytes,
  sign,
  verify,
  type X509Certificate,
} from 'node:crypto';
import { promisify } from 'node:util';
import * as asn1js from 'asn1js';
import {
  AlgorithmIdentifier,
  AltName,
  Attribute,
  AttributeTypeAndValue,
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  CertificationRequest,
  Extension,
  Extensions,
  ExtKeyUsage,
  GeneralName,
  PublicKeyInfo,
  RelativeDistinguishedNames,
  Time,
} from 'pkijs';
import { parseAsn1 } from './asn1.ts';
import { readAlternativeNames } from './certificate-fields.ts';
import type { CertificateBundle } from './chain.ts';
import { CertificateError, malformed } from './errors.ts';
import { normalisePresentedName } from './names.ts';
import { certificateFromDer } from './parse.ts';
import { readPem, writePem } from './pem.ts';

const generate = promisify(generateKeyPair);

/** The kinds of key this package makes. */
export type KeyType = 'ecdsa-p256' | 'ecdsa-p384' | 'rsa-2048' | 'rsa-4096';

/** A certificate that signs others, with its key. */
export interface CertificateAuthority {
  readonly certificate: X509Certificate;
  readonly privateKey: KeyObject;
}

/** What a PKCS#10 request asks for, and whose key signed it. */
export interface SigningRequest {
  readonly publicKey: KeyObject;
  /** DNS names of the requested subjectAltName, lower case. */
  readonly names: readonly string[];
}

const DAY_MS = 86_400_000;
/** Certificates begin this long before they are made, for peers whose clocks are behind. */
const BACKDATE_MS = 5 * 60_000;
/** Octets; RFC 5280 §4.1.2.2 allows 20, CA/B Forum BR §7.1 wants 64 bits of randomness. */
const SERIAL_LENGTH = 16;
/** RFC 5280 appendix A.1, ub-common-name. */
const MAX_COMMON_NAME_LENGTH = 64;
/** Characters of a PKCS#10 request as PEM. */
const MAX_REQUEST_LENGTH = 64 * 1024;

const OID_COMMON_NAME = '2.5.4.3';
const OID_SUBJECT_KEY_IDENTIFIER = '2.5.29.14';
const OID_KEY_USAGE = '2.5.29.15';
const OID_SUBJECT_ALT_NAME = '2.5.29.17';
const OID_BASIC_CONSTRAINTS = '2.5.29.19';
const OID_AUTHORITY_KEY_IDENTIFIER = '2.5.29.35';
const OID_EXTENDED_KEY_USAGE = '2.5.29.37';
const OID_SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const OID_CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
const OID_EXTENSION_REQUEST = '1.2.840.113549.1.9.14';

/** Bits of KeyUsage in its first octet (RFC 5280 §4.2.1.3). */
const USAGE = { digitalSignature: 0x80, keyEncipherment: 0x20, keyCertSign: 0x04, crlSign: 0x02 };

/** A fresh private key. */
export async function generateKey(type: KeyType): Promise<KeyObject> {
  switch (type) {
    case 'ecdsa-p256':
      return (await generate('ec', { namedCurve: 'prime256v1' })).privateKey;
    case 'ecdsa-p384':
      return (await generate('ec', { namedCurve: 'secp384r1' })).privateKey;
    case 'rsa-2048':
      return (await generate('rsa', { modulusLength: 2048 })).privateKey;
    case 'rsa-4096':
      return (await generate('rsa', { modulusLength: 4096 })).privateKey;
  }
}

/**
 * A server certificate signed by its own key, valid from five minutes before `now`. The names are DNS
 * names, wildcards allowed; without a key, one of `keyType` (ECDSA P-256) is made. Throws `NameError`;
 * `RangeError` without a name.
 */
export async function createSelfSigned(options: {
  readonly names: readonly string[];
  readonly days: number;
  readonly now: Date;
  readonly keyType?: KeyType;
  /** RSA or ECDSA. */
  readonly privateKey?: KeyObject;
}): Promise<CertificateBundle> {
  const names = uniqueNames(options.names);
  if (names.length === 0) throw new RangeError('A self-signed certificate needs at least one name');
  const privateKey = options.privateKey ?? (await generateKey(options.keyType ?? 'ecdsa-p256'));
  const publicKey = createPublicKey(privateKey);
  const subject = subjectFor(names);
  const leaf = signCertificate({
    subject,
    issuer: subject,
    publicKey,
    signingKey: privateKey,
    days: options.days,
    now: options.now,
    extensions: [
      basicConstraints(false),
      keyUsage(serverUsageOf(publicKey)),
      extendedKeyUsage([OID_SERVER_AUTH]),
      alternativeNames(names, [], subject),
      subjectKeyIdentifier(publicKey),
    ],
  });
  return { leaf, chain: [leaf], privateKey };
}

/**
 * A PKCS#10 request as PEM, for DNS names (wildcards allowed; none for an identity, whose names the CA
 * gives) and an RSA or ECDSA key. Throws `NameError`.
 */
export function createSigningRequest(options: {
  readonly names: readonly string[];
  readonly privateKey: KeyObject;
}): string {
  const names = uniqueNames(options.names);
  const subject = subjectFor(names);
  const requested = new Attribute({
    type: OID_EXTENSION_REQUEST,
    values: [new Extensions({ extensions: [alternativeNames(names, [], subject)] }).toSchema()],
  });
  const info = new asn1js.Sequence({
    value: [
      new asn1js.Integer({ value: 0 }),
      subject.toSchema(),
      publicKeyInfo(createPublicKey(options.privateKey)).toSchema(),
      new asn1js.Constructed({
        idBlock: { tagClass: 3, tagNumber: 0 },
        value: names.length === 0 ? [] : [requested.toSchema()],
      }),
    ],
  });
  return writePem('CERTIFICATE REQUEST', signDer(info, options.privateKey));
}

/**
 * Reads a PKCS#10 request and verifies that its sender holds the key (RFC 2986 §4.2). Throws
 * `CertificateError` ("malformed"), also where the signature is not the key's.
 */
export function readSigningRequest(pem: string): SigningRequest {
  if (pem.length > MAX_REQUEST_LENGTH) throw brokenRequest('is too long');
  const block = readPem(pem).find(({ label }) => label.endsWith('CERTIFICATE REQUEST'));
  if (block === undefined) throw brokenRequest('is no PEM block of that name');
  try {
    const request = new CertificationRequest({ schema: parseAsn1(block.der) });
    const publicKey = createPublicKey({
      key: Buffer.from(request.subjectPublicKeyInfo.toSchema().toBER()),
      format: 'der',
      type: 'spki',
    });
    const signature = request.signatureValue.valueBlock.valueHexView;
    if (!verify(digestOf(request.signatureAlgorithm), request.tbsView, publicKey, signature)) {
      throw brokenRequest('is not signed by the key it holds');
    }
    return { publicKey, names: requestedNames(request) };
  } catch (cause) {
    // pkijs and OpenSSL have errors of many kinds for what is broken.
    throw cause instanceof CertificateError ? cause : brokenRequest('cannot be read', { cause });
  }
}

function brokenRequest(what: string, options?: ErrorOptions): CertificateError {
  return malformed(
    'signing request',
    `The signing request ${what}.`,
    'Make a new signing request.',
    options,
  );
}

function requestedNames({ attributes = [] }: CertificationRequest): string[] {
  const requested = attributes.find(({ type }) => type === OID_EXTENSION_REQUEST);
  if (requested === undefined) return [];
  const { extensions } = new Extensions({ schema: requested.values[0] });
  return readAlternativeNames(extensions).dnsNames;
}

/** A fresh root for internal identities, with an ECDSA P-256 key; signs leaves only. */
export async function createCa(options: {
  readonly commonName: string;
  readonly days: number;
  readonly now: Date;
}): Promise<CertificateAuthority> {
  const privateKey = await generateKey('ecdsa-p256');
  const publicKey = createPublicKey(privateKey);
  const subject = commonName(options.commonName);
  const certificate = signCertificate({
    subject,
    issuer: subject,
    publicKey,
    signingKey: privateKey,
    days: options.days,
    now: options.now,
    extensions: [
      basicConstraints(true),
      keyUsage(USAGE.keyCertSign | USAGE.crlSign),
      subjectKeyIdentifier(publicKey),
    ],
  });
  return { certificate, privateKey };
}

/**
 * A leaf for mutual TLS whose URI names its holder, for clients and servers alike; DNS names for those
 * that are connected to by name. It never outlives the CA. Throws `NameError`.
 */
export function issueIdentity(options: {
  readonly ca: CertificateAuthority;
  readonly publicKey: KeyObject;
  readonly uri: string;
  readonly dnsNames?: readonly string[];
  readonly days: number;
  readonly now: Date;
}): X509Certificate {
  const { ca, publicKey } = options;
  const subject = new RelativeDistinguishedNames();
  return signCertificate({
    subject,
    issuer: new Certificate({ schema: parseAsn1(ca.certificate.raw) }).subject,
    publicKey,
    signingKey: ca.privateKey,
    days: options.days,
    now: options.now,
    notLaterThan: ca.certificate.validToDate,
    extensions: [
      basicConstraints(false),
      keyUsage(USAGE.digitalSignature),
      extendedKeyUsage([OID_CLIENT_AUTH, OID_SERVER_AUTH]),
      alternativeNames(uniqueNames(options.dnsNames ?? []), [options.uri], subject),
      subjectKeyIdentifier(publicKey),
      authorityKeyIdentifier(ca.certificate.publicKey),
    ],
  });
}

/** The issuer's side of all functions above. */
function signCertificate(fields: {
  readonly subject: RelativeDistinguishedNames;
  readonly issuer: RelativeDistinguishedNames;
  readonly publicKey: KeyObject;
  readonly signingKey: KeyObject;
  readonly days: number;
  readonly now: Date;
  readonly notLaterThan?: Date;
  readonly extensions: Extension[];
}): X509Certificate {
  const now = fields.now.getTime();
  const end = now + fields.days * DAY_MS;
  const certificate = new Certificate({
    version: 2,
    serialNumber: new asn1js.Integer({ valueHex: randomSerial() }),
    signature: signatureAlgorithmOf(fields.signingKey),
    issuer: fields.issuer,
    notBefore: timeAt(now - BACKDATE_MS),
    notAfter: timeAt(Math.min(end, fields.notLaterThan?.getTime() ?? end)),
    subject: fields.subject,
    subjectPublicKeyInfo: publicKeyInfo(fields.publicKey),
    extensions: fields.extensions,
  });
  return certificateFromDer(signDer(certificate.encodeTBS(), fields.signingKey));
}

/** The SEQUENCE of what is signed, how, and the signature, which certificates and requests share. */
function signDer(signed: asn1js.Sequence, key: KeyObject): Buffer {
  const signature = sign(hashFor(key), new Uint8Array(signed.toBER()), key);
  const outer = new asn1js.Sequence({
    value: [
      signed,
      signatureAlgorithmOf(key).toSchema(),
      new asn1js.BitString({ valueHex: signature }),
    ],
  });
  return Buffer.from(outer.toBER());
}

/** Positive and of the same length always, as some parsers want it. */
function randomSerial(): Buffer {
  const serial = randomBytes(SERIAL_LENGTH);
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  return serial;
}

/** UTCTime through 2049, GeneralizedTime from 2050 (RFC 5280 §4.1.2.5). Whole seconds. */
function timeAt(instantMs: number): Time {
  const value = new Date(Math.floor(instantMs / 1000) * 1000);
  return new Time({ type: value.getUTCFullYear() < 2050 ? 0 : 1, value });
}

const SIGNATURE_OIDS = {
  rsa: {
    sha256: '1.2.840.113549.1.1.11',
    sha384: '1.2.840.113549.1.1.12',
    sha512: '1.2.840.113549.1.1.13',
  },
  ec: {
    sha256: '1.2.840.10045.4.3.2',
    sha384: '1.2.840.10045.4.3.3',
    sha512: '1.2.840.10045.4.3.4',
  },
} as const;
const OID_ED25519 = '1.3.101.112';

/** P-384 goes with SHA-384, all else here with SHA-256 (CA/B Forum BR §7.1.3.2). */
function hashFor(key: KeyObject): 'sha256' | 'sha384' {
  return key.asymmetricKeyDetails?.namedCurve === 'secp384r1' ? 'sha384' : 'sha256';
}

function signatureAlgorithmOf(key: KeyObject): AlgorithmIdentifier {
  // RFC 4055 §5 wants NULL for the parameters of RSA, RFC 5758 §3.2 none for ECDSA.
  return key.asymmetricKeyType === 'rsa'
    ? new AlgorithmIdentifier({
        algorithmId: SIGNATURE_OIDS.rsa[hashFor(key)],
        algorithmParams: new asn1js.Null(),
      })
    : new AlgorithmIdentifier({ algorithmId: SIGNATURE_OIDS.ec[hashFor(key)] });
}

/** The digest for `verify`: of RSA and ECDSA signatures; null for Ed25519, which has its own. */
function digestOf({ algorithmId }: AlgorithmIdentifier): string | null {
  if (algorithmId === OID_ED25519) return null;
  for (const oids of Object.values(SIGNATURE_OIDS)) {
    const found = Object.entries(oids).find(([, oid]) => oid === algorithmId);
    if (found !== undefined) return found[0];
  }
  throw brokenRequest('is signed by an algorithm that is not supported');
}

function publicKeyInfo(publicKey: KeyObject): PublicKeyInfo {
  return new PublicKeyInfo({
    schema: parseAsn1(publicKey.export({ type: 'spki', format: 'der' })),
  });
}

function commonName(text: string): RelativeDistinguishedNames {
  const value = new asn1js.Utf8String({ value: text });
  return new RelativeDistinguishedNames({
    typesAndValues: [new AttributeTypeAndValue({ type: OID_COMMON_NAME, value })],
  });
}

/** The first name is the common name where it fits (CA/B Forum BR §7.1.4.3), for people who read lists. */
function subjectFor([first]: readonly string[]): RelativeDistinguishedNames {
  return first !== undefined && first.length <= MAX_COMMON_NAME_LENGTH
    ? commonName(first)
    : new RelativeDistinguishedNames();
}

function uniqueNames(names: readonly string[]): string[] {
  return [...new Set(names.map((name) => normalisePresentedName(name)))];
}

function extension(extnID: string, critical: boolean, value: { toBER(): ArrayBuffer }): Extension {
  return new Extension({ extnID, critical, extnValue: value.toBER() });
}

function basicConstraints(ca: boolean): Extension {
  const value = new BasicConstraints(ca ? { cA: true, pathLenConstraint: 0 } : {});
  return extension(OID_BASIC_CONSTRAINTS, true, value.toSchema());
}

function keyUsage(bits: number): Extension {
  // DER leaves zero bits at the end out (X.690 §11.2.2).
  const unusedBits = 31 - Math.clz32(bits & -bits);
  const value = new asn1js.BitString({ valueHex: Uint8Array.of(bits), unusedBits });
  return extension(OID_KEY_USAGE, true, value);
}

/** Clients of TLS 1.2 may still choose RSA key exchange, so an RSA certificate allows it. */
function serverUsageOf(publicKey: KeyObject): number {
  return publicKey.asymmetricKeyType === 'rsa'
    ? USAGE.digitalSignature | USAGE.keyEncipherment
    : USAGE.digitalSignature;
}

function extendedKeyUsage(keyPurposes: string[]): Extension {
  return extension(OID_EXTENDED_KEY_USAGE, false, new ExtKeyUsage({ keyPurposes }).toSchema());
}

/** Critical where the subject is empty (RFC 5280 §4.2.1.6). */
function alternativeNames(
  dnsNames: readonly string[],
  uris: readonly string[],
  subject: RelativeDistinguishedNames,
): Extension {
  const value = new AltName({
    altNames: [
      ...dnsNames.map((name) => new GeneralName({ type: 2, value: name })),
      ...uris.map((uri) => new GeneralName({ type: 6, value: uri })),
    ],
  });
  return extension(OID_SUBJECT_ALT_NAME, subject.typesAndValues.length === 0, value.toSchema());
}

/** RFC 7093 §2 method 1: the left 160 bits of SHA-256 over the key's bits. */
function keyIdentifierOf(publicKey: KeyObject): asn1js.OctetString {
  const bits = publicKeyInfo(publicKey).subjectPublicKey.valueBlock.valueHexView;
  const valueHex = createHash('sha256').update(bits).digest().subarray(0, 20);
  return new asn1js.OctetString({ valueHex });
}

function subjectKeyIdentifier(publicKey: KeyObject): Extension {
  return extension(OID_SUBJECT_KEY_IDENTIFIER, false, keyIdentifierOf(publicKey));
}

function authorityKeyIdentifier(issuerKey: KeyObject): Extension {
  const value = new AuthorityKeyIdentifier({ keyIdentifier: keyIdentifierOf(issuerKey) });
  return extension(OID_AUTHORITY_KEY_IDENTIFIER, false, value.toSchema());
}
