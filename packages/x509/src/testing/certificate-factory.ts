/**
 * Certificates of every kind for tests, right and wrong ones: hierarchies, cross-signs, odd dates,
 * keys, hashes and usages. What create.ts makes is right always, so it does not do for these.
 */
import {
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto';
import * as asn1js from 'asn1js';
import {
  AlgorithmIdentifier,
  AltName,
  AttributeTypeAndValue,
  BasicConstraints,
  Certificate,
  Extension,
  ExtKeyUsage,
  GeneralName,
  PublicKeyInfo,
  RelativeDistinguishedNames,
  Time,
} from 'pkijs';

/** The instant at which certificates of the factory are valid, unless told otherwise. */
export const NOW = new Date('2030-06-15T12:00:00Z');
const DAY_MS = 86_400_000;

export function daysFromNow(days: number): Date {
  return new Date(NOW.getTime() + days * DAY_MS);
}

export function ecKey(namedCurve = 'prime256v1'): KeyObject {
  return generateKeyPairSync('ec', { namedCurve }).privateKey;
}

export interface Issued {
  readonly certificate: X509Certificate;
  readonly privateKey: KeyObject;
}

export interface Recipe {
  /** [type, value] pairs in the order of the certificate; a text is a common name. */
  readonly subject: string | readonly (readonly [oid: string, value: string])[];
  /** Self-signed without one. */
  readonly issuer?: Issued;
  readonly privateKey?: KeyObject;
  readonly ca?: boolean;
  readonly dnsNames?: readonly string[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  readonly extendedKeyUsage?: string[];
  /** First octet of KeyUsage. */
  readonly keyUsage?: number;
  readonly signature?: 'ecdsa-sha256' | 'ecdsa-sha1' | 'ed25519' | 'rsa-sha256' | 'rsa-md5';
}

const SIGNATURES = {
  'ecdsa-sha256': ['1.2.840.10045.4.3.2', 'sha256'],
  'ecdsa-sha1': ['1.2.840.10045.4.1', 'sha1'],
  'rsa-sha256': ['1.2.840.113549.1.1.11', 'sha256'],
  'rsa-md5': ['1.2.840.113549.1.1.4', 'md5'],
  ed25519: ['1.3.101.112', null],
} as const;

function nameOf(subject: Recipe['subject']): RelativeDistinguishedNames {
  const parts = typeof subject === 'string' ? [['2.5.4.3', subject] as const] : subject;
  return new RelativeDistinguishedNames({
    typesAndValues: parts.map(
      ([type, value]) =>
        new AttributeTypeAndValue({ type, value: new asn1js.Utf8String({ value }) }),
    ),
  });
}

export function issue(recipe: Recipe): Issued {
  const privateKey = recipe.privateKey ?? ecKey();
  const signer = recipe.issuer?.privateKey ?? privateKey;
  const subject = nameOf(recipe.subject);
  const [algorithmId, hash] = SIGNATURES[recipe.signature ?? 'ecdsa-sha256'];
  const signature = new AlgorithmIdentifier({ algorithmId });
  const extension = (extnID: string, value: { toBER(): ArrayBuffer }): Extension =>
    new Extension({ extnID, critical: false, extnValue: value.toBER() });
  const { dnsNames, extendedKeyUsage, keyUsage } = recipe;
  const certificate = new Certificate({
    version: 2,
    serialNumber: new asn1js.Integer({
      valueHex: Buffer.concat([Uint8Array.of(1), randomBytes(8)]),
    }),
    signature,
    issuer: recipe.issuer ? Certificate.fromBER(recipe.issuer.certificate.raw).subject : subject,
    subject,
    notBefore: new Time({ type: 0, value: recipe.notBefore ?? daysFromNow(-30) }),
    notAfter: new Time({ type: 0, value: recipe.notAfter ?? daysFromNow(60) }),
    subjectPublicKeyInfo: PublicKeyInfo.fromBER(
      createPublicKey(privateKey).export({ type: 'spki', format: 'der' }),
    ),
    extensions: [
      extension('2.5.29.19', new BasicConstraints({ cA: recipe.ca ?? false }).toSchema()),
      ...(keyUsage === undefined
        ? []
        : [extension('2.5.29.15', new asn1js.BitString({ valueHex: Uint8Array.of(keyUsage) }))]),
      ...(extendedKeyUsage === undefined
        ? []
        : [extension('2.5.29.37', new ExtKeyUsage({ keyPurposes: extendedKeyUsage }).toSchema())]),
      ...(dnsNames === undefined
        ? []
        : [
            extension(
              '2.5.29.17',
              new AltName({
                altNames: dnsNames.map((value) => new GeneralName({ type: 2, value })),
              }).toSchema(),
            ),
          ]),
    ],
  });
  const tbs = certificate.encodeTBS();
  const outer = new asn1js.Sequence({
    value: [
      tbs,
      signature.toSchema(),
      new asn1js.BitString({ valueHex: sign(hash, new Uint8Array(tbs.toBER()), signer) }),
    ],
  });
  return { certificate: new X509Certificate(new Uint8Array(outer.toBER())), privateKey };
}

export interface Hierarchy {
  readonly root: Issued;
  readonly intermediate: Issued;
  readonly leaf: Issued;
}

export function hierarchy(leaf: Partial<Recipe> = {}, label = 'Test'): Hierarchy {
  const root = issue({ subject: `${label} Root`, ca: true });
  const intermediate = issue({ subject: `${label} Intermediate`, ca: true, issuer: root });
  const end = issue({
    subject: 'mail.example.org',
    dnsNames: ['mail.example.org'],
    issuer: intermediate,
    ...leaf,
  });
  return { root, intermediate, leaf: end };
}

export function keyPem({ privateKey }: Issued): string {
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}
