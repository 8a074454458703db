/**
 * Whether a bundle may go into service: dates, strength, purpose, names. Each check looks at one thing
 * and answers with findings; none throws.
 */
import type { KeyObject, X509Certificate } from 'node:crypto';
import { fieldsOf } from './certificate-fields.ts';
import type { CertificateBundle } from './chain.ts';
import { certificateLabel, describeKey, NIST_CURVES } from './describe.ts';
import type { Check } from './errors.ts';
import { isIssuedBy, isKeyOf, isSelfSigned } from './issuance.ts';
import { nameCovered, namesLost } from './names.ts';

const DAY_MS = 86_400_000;
/** Time left below which a certificate "expires soon", unless the caller says otherwise. */
const EXPIRES_SOON_DAYS = 14;
/** Certificates that live a few days only are renewed when a third of their life is left. */
const EXPIRES_SOON_FRACTION = 1 / 3;
/** CA/B Forum BR §6.1.5. */
const MIN_RSA_BITS = 2048;
const OID_SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const OID_ANY_PURPOSE = '2.5.29.37.0';

export interface CheckOptions {
  readonly now: Date;
  /** Host names that must be covered. */
  readonly requiredNames: readonly string[];
  /** Names of the active certificate, which the bundle should cover too. */
  readonly activeNames?: readonly string[];
  /** Makes lost names a warning. Required names stay errors. */
  readonly allowNameLoss?: boolean;
  /** How findings call the leaf: its id. The subject by default. */
  readonly certificate?: string;
  readonly expiresSoonDays?: number;
}

/** Everything that speaks against presenting the bundle at the instant `now`. */
export function checkBundle(bundle: CertificateBundle, options: CheckOptions): Check[] {
  const { leaf, chain } = bundle;
  const label = options.certificate ?? certificateLabel(leaf);
  const { dnsNames } = fieldsOf(leaf);
  const labelled = chain.map((certificate): [X509Certificate, string] => [
    certificate,
    certificate === leaf ? label : certificateLabel(certificate),
  ]);
  return [
    ...checkKeyMatch(bundle, label),
    ...checkLinks(chain, label),
    ...labelled.flatMap(([certificate, name]) => [
      ...checkValidity(certificate, options.now, name),
      ...checkKeyStrength(certificate.publicKey, name),
      ...checkSignature(certificate, name),
      ...checkServerAuth(certificate, name),
    ]),
    ...checkExpiresSoon(leaf, options.now, label, options.expiresSoonDays),
    ...checkSelfSigned(leaf, label),
    ...checkRequiredNames(dnsNames, options.requiredNames, label),
    ...checkNameLoss(dnsNames, options.activeNames ?? [], options.allowNameLoss ?? false, label),
  ];
}

export function checkKeyMatch({ leaf, privateKey }: CertificateBundle, label: string): Check[] {
  if (isKeyOf(leaf, privateKey)) return [];
  return [
    {
      code: 'key-mismatch',
      severity: 'error',
      certificate: label,
      message: `The private key is not that of ${label}.`,
      remedy: 'Import the certificate anew together with its own key.',
    },
  ];
}

/** RFC 8446 §4.4.2: each certificate certifies the one before it. */
export function checkLinks(chain: readonly X509Certificate[], label: string): Check[] {
  const holds = chain.every((certificate, index) => {
    const issuer = chain[index + 1];
    return issuer === undefined || isIssuedBy(certificate, issuer);
  });
  if (holds) return [];
  return [
    {
      code: 'chain-disorder',
      severity: 'error',
      certificate: label,
      message: `The chain of ${label} is not in order: one certificate is not issued by the next.`,
      remedy: 'Import the certificate anew.',
    },
  ];
}

/** RFC 5280 §4.1.2.5: both ends of the period belong to it. */
export function checkValidity(certificate: X509Certificate, now: Date, label: string): Check[] {
  const { validFromDate: notBefore, validToDate: notAfter } = certificate;
  if (now < notBefore) {
    return [
      {
        code: 'not-yet-valid',
        severity: 'error',
        certificate: label,
        message: `${label} is not valid before ${formatInstant(notBefore)}.`,
        remedy: "Wait until then, or check this machine's clock.",
      },
    ];
  }
  if (now > notAfter) {
    return [
      {
        code: 'expired',
        severity: 'error',
        certificate: label,
        message: `${label} expired at ${formatInstant(notAfter)}.`,
        remedy: 'Renew it, and import the new one with the chain that comes with it.',
      },
    ];
  }
  return [];
}

/** Whether a life that is not over has less than `days` left, or less than a third of a short one. */
export function expiresSoon(
  { notBefore, notAfter }: { readonly notBefore: Date; readonly notAfter: Date },
  now: Date,
  days: number = EXPIRES_SOON_DAYS,
): boolean {
  const left = notAfter.getTime() - now.getTime();
  const lifetime = notAfter.getTime() - notBefore.getTime();
  return left >= 0 && left < Math.min(days * DAY_MS, lifetime * EXPIRES_SOON_FRACTION);
}

export function checkExpiresSoon(
  certificate: X509Certificate,
  now: Date,
  label: string,
  days?: number,
): Check[] {
  const { validFromDate: notBefore, validToDate: notAfter } = certificate;
  if (!expiresSoon({ notBefore, notAfter }, now, days)) return [];
  return [
    {
      code: 'expires-soon',
      severity: 'warning',
      certificate: label,
      message: `${label} expires at ${formatInstant(notAfter)}.`,
      remedy: 'Renew it.',
    },
  ];
}

export function checkKeyStrength(publicKey: KeyObject, label: string): Check[] {
  const kind = describeKey(publicKey);
  const { modulusLength = 0, namedCurve = '' } = publicKey.asymmetricKeyDetails ?? {};
  switch (publicKey.asymmetricKeyType) {
    case 'rsa':
      if (modulusLength >= MIN_RSA_BITS) return [];
      break;
    case 'ec':
      if (NIST_CURVES.has(namedCurve)) return [];
      break;
    case 'dsa':
      break;
    default:
      return [
        {
          code: 'weak-key',
          severity: 'warning',
          certificate: label,
          message: `${label} has a key of the kind ${kind}, which many mail clients cannot use.`,
          remedy: 'Use ECDSA P-256 or RSA 2048 where all clients shall connect.',
        },
      ];
  }
  return [
    {
      code: 'weak-key',
      severity: 'error',
      certificate: label,
      message: `${label} has a key of the kind ${kind}, which is too weak or not accepted by clients.`,
      remedy: 'Request a certificate for a new key: ECDSA P-256, or RSA with at least 2048 bits.',
    },
  ];
}

/** A self-signed certificate is trusted for what it is, not for its signature. */
export function checkSignature(certificate: X509Certificate, label: string): Check[] {
  const { signatureAlgorithm } = fieldsOf(certificate);
  if (!signatureAlgorithm.weak || isSelfSigned(certificate)) return [];
  return [
    {
      code: 'weak-signature',
      severity: 'error',
      certificate: label,
      message: `${label} is signed by ${signatureAlgorithm.label}, which can be forged.`,
      remedy: 'Ask the CA for a certificate signed with SHA-256 or better.',
    },
  ];
}

/** RFC 5280 §4.2.1.12 and §4.2.1.3, for intermediates too, as clients demand it of them. */
export function checkServerAuth(certificate: X509Certificate, label: string): Check[] {
  const { extendedKeyUsage, maySign } = fieldsOf(certificate);
  const serves = extendedKeyUsage?.some(
    (oid) => oid === OID_SERVER_AUTH || oid === OID_ANY_PURPOSE,
  );
  if (serves === false) {
    return [
      {
        code: 'no-server-auth',
        severity: 'error',
        certificate: label,
        message: `${label} is not made for TLS servers: its extended key usage lacks serverAuth.`,
        remedy: 'Request a certificate for a TLS server.',
      },
    ];
  }
  if (!maySign && !certificate.ca) {
    return [
      {
        code: 'no-server-auth',
        severity: 'error',
        certificate: label,
        message: `${label} cannot take part in a TLS handshake: its key usage lacks digitalSignature.`,
        remedy: 'Request a certificate with the key usage digitalSignature.',
      },
    ];
  }
  return [];
}

export function checkSelfSigned(leaf: X509Certificate, label: string): Check[] {
  if (!isSelfSigned(leaf)) return [];
  return [
    {
      code: 'self-signed',
      severity: 'warning',
      certificate: label,
      message: `${label} is self-signed: clients that do not know it will refuse it or ask.`,
      remedy: 'Use a certificate of a CA that the clients trust.',
    },
  ];
}

/** One finding for each name, so that a list can show them all. */
export function checkRequiredNames(
  dnsNames: readonly string[],
  requiredNames: readonly string[],
  label: string,
): Check[] {
  return requiredNames
    .filter((name) => !nameCovered(name, dnsNames))
    .map((name) => ({
      code: 'required-name-missing',
      severity: 'error',
      certificate: label,
      message: `${label} does not cover ${name}, which is a required name.`,
      remedy: `Request a certificate that covers ${name}, or take it from the required names.`,
    }));
}

export function checkNameLoss(
  dnsNames: readonly string[],
  activeNames: readonly string[],
  allowed: boolean,
  label: string,
): Check[] {
  return namesLost(activeNames, dnsNames).map((name) => ({
    code: 'name-loss',
    severity: allowed ? 'warning' : 'error',
    certificate: label,
    message: `${label} does not cover ${name}, which the active certificate covers.`,
    remedy: `Request a certificate that covers ${name}, or allow names to be lost.`,
  }));
}

function formatInstant(instant: Date): string {
  return instant.toISOString().replace('.000Z', 'Z');
}
