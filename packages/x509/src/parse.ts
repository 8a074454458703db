/**
 * From an operator's files to certificates and keys: any mix of PEM and DER, told apart by content.
 * Whether they belong together is chain.ts's question.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import * as asn1js from 'asn1js';
import { Certificate, ContentInfo, PKCS8ShroudedKeyBag, SignedData } from 'pkijs';
import { type Asn1Value, octetsOf, parseAsn1 } from './asn1.ts';
import { fieldsOf } from './certificate-fields.ts';
import { CertificateError, malformed } from './errors.ts';
import { WorkBudget } from './key-derivation.ts';
import { decrypt, wrongPassphrase } from './key-encryption.ts';
import { looksLikePem, type PemBlock, readPem } from './pem.ts';
import { readPkcs12 } from './pkcs12.ts';

/** Blobs in one call. */
export const MAX_BLOBS = 16;
/** Bytes in all blobs together. */
export const MAX_INPUT_BYTES = 256 * 1024;
/** Certificates, and likewise keys, in all blobs together, copies not counted. */
export const MAX_CERTIFICATES = 32;
/** UTF-16 units. */
const MAX_PASSPHRASE_LENGTH = 512;

/** What was found, in the input's order and each once. */
export interface Material {
  readonly certificates: readonly X509Certificate[];
  readonly privateKeys: readonly KeyObject[];
}

/**
 * Reads certificates and private keys out of blobs, each of which is PEM (blocks in any order, other
 * text between them) or one DER value: a certificate, a key, PKCS#12 or PKCS#7. Keys are PKCS#8, SEC 1
 * or PKCS#1, encrypted or not; the one passphrase opens all that is encrypted. Throws
 * `CertificateError` ("malformed", "wrong-passphrase") and nothing else.
 */
export async function readBlobs(
  blobs: readonly Uint8Array[],
  passphrase?: string,
): Promise<Material> {
  const size = blobs.reduce((sum, blob) => sum + blob.byteLength, 0);
  if (blobs.length > MAX_BLOBS || size > MAX_INPUT_BYTES) {
    throw malformed(
      'input',
      `The input is larger than ${MAX_BLOBS} files of ${MAX_INPUT_BYTES / 1024} KiB together.`,
      'Give only the certificate, its chain and its key.',
    );
  }
  if (passphrase !== undefined && passphrase.length > MAX_PASSPHRASE_LENGTH) {
    throw wrongPassphrase(true);
  }
  const collector = new Collector(passphrase);
  for (const [index, blob] of blobs.entries()) {
    await locatingErrors(`input ${index + 1}`, () => collector.readBlob(blob));
  }
  const { certificates, privateKeys } = collector;
  if (certificates.length === 0 && privateKeys.length === 0) {
    throw malformed(
      'input',
      'The input holds neither a certificate nor a private key.',
      'Give the certificate, its chain and its key as PEM, DER or PKCS#12.',
    );
  }
  return { certificates, privateKeys };
}

/**
 * Findings below do not know which blob they are in, and the libraries answer broken structures with
 * errors of many kinds: both are put right here.
 */
async function locatingErrors(what: string, read: () => Promise<void>): Promise<void> {
  try {
    await read();
  } catch (cause) {
    if (!(cause instanceof CertificateError)) {
      throw malformed(what, 'The data has a structure that cannot be read.', undefined, { cause });
    }
    const [first, ...rest] = cause.checks.map((check) => ({ ...check, certificate: what }));
    throw first === undefined ? cause : new CertificateError([first, ...rest], { cause });
  }
}

/** The certificate in a DER value. Throws `CertificateError` ("malformed"). */
export function certificateFromDer(der: Uint8Array): X509Certificate {
  try {
    const certificate = new X509Certificate(der);
    // Both are read lazily, and all who come later take them for granted.
    fieldsOf(certificate);
    certificate.publicKey;
    return certificate;
  } catch (cause) {
    throw malformed('input', 'A certificate cannot be read.', undefined, { cause });
  }
}

/** The certificates in a PEM text, other blocks passed over. Throws `CertificateError` ("malformed"). */
export function certificatesFromPem(pem: string): X509Certificate[] {
  return readPem(pem)
    .filter((block) => block.label === 'CERTIFICATE')
    .map((block) => certificateFromDer(block.der));
}

/** Other blocks are passed over: the curve in front of a SEC 1 key, Diffie-Hellman groups, requests. */
const READABLE_LABELS: ReadonlySet<string> = new Set([
  'CERTIFICATE',
  'X509 CERTIFICATE',
  'PRIVATE KEY',
  'ENCRYPTED PRIVATE KEY',
  'RSA PRIVATE KEY',
  'EC PRIVATE KEY',
  'PKCS7',
  'CMS',
  'PKCS12',
]);

/** The ciphers of RFC 1421 keys that are still to be had. */
const LEGACY_CIPHERS: ReadonlySet<string> = new Set([
  'AES-128-CBC',
  'AES-192-CBC',
  'AES-256-CBC',
  'DES-EDE3-CBC',
]);

class Collector {
  readonly certificates: X509Certificate[] = [];
  readonly privateKeys: KeyObject[] = [];
  readonly #passphrase: string | undefined;
  readonly #budget = new WorkBudget();

  constructor(passphrase: string | undefined) {
    this.#passphrase = passphrase;
  }

  async readBlob(blob: Uint8Array): Promise<void> {
    if (!looksLikePem(blob)) {
      await this.#readDer(blob);
      return;
    }
    for (const block of readPem(Buffer.from(blob).toString('latin1'))) await this.#readBlock(block);
  }

  async #readBlock(block: PemBlock): Promise<void> {
    if (block.headers.has('DEK-Info')) {
      this.#readLegacyKey(block);
    } else if (READABLE_LABELS.has(block.label)) {
      await this.#readDer(block.der);
    } else if (block.label.endsWith('PRIVATE KEY')) {
      throw malformed(
        'input',
        `A private key in the form ${block.label} cannot be read.`,
        'Convert the key to PKCS#8.',
      );
    }
  }

  /** RFC 1421 as OpenSSL does it: one round of MD5, so no work to bound. */
  #readLegacyKey(block: PemBlock): void {
    const [cipher = ''] = (block.headers.get('DEK-Info') ?? '').split(',');
    if (!LEGACY_CIPHERS.has(cipher)) {
      throw malformed(
        'input',
        `The private key is encrypted with ${cipher.slice(0, 32)}, which is not supported.`,
        'Encrypt the key anew with AES.',
      );
    }
    const passphrase = this.#passphrase ?? '';
    if (passphrase === '') throw wrongPassphrase(false);
    let key: KeyObject;
    try {
      key = createPrivateKey({ key: block.text, format: 'pem', passphrase });
    } catch (cause) {
      throw wrongPassphrase(true, { cause });
    }
    this.#addKey(key);
  }

  /** Each structure is known by the types of its first parts. */
  async #readDer(der: Uint8Array): Promise<void> {
    const root = parseAsn1(der);
    const [first, second, third] = root instanceof asn1js.Sequence ? root.valueBlock.value : [];
    if (first instanceof asn1js.Integer) {
      if (second instanceof asn1js.OctetString) this.#addKeyFrom(der, 'sec1');
      else if (second instanceof asn1js.Integer) this.#addKeyFrom(der, 'pkcs1');
      else if (third instanceof asn1js.OctetString) this.#addKeyFrom(der, 'pkcs8');
      else await this.#readPkcs12(root);
    } else if (first instanceof asn1js.ObjectIdentifier) {
      this.#readPkcs7(root);
    } else if (first instanceof asn1js.Sequence) {
      if (second instanceof asn1js.OctetString) await this.#readEncryptedKey(root);
      else this.#addCertificate(der);
    } else {
      throw malformed('input', 'The input is neither a certificate nor a private key.');
    }
  }

  /** EncryptedPrivateKeyInfo (RFC 5958 §3), which PKCS#12 calls a shrouded key. */
  async #readEncryptedKey(value: Asn1Value): Promise<void> {
    const passphrase = this.#passphrase ?? '';
    if (passphrase === '') throw wrongPassphrase(false);
    const { encryptionAlgorithm, encryptedData } = new PKCS8ShroudedKeyBag({ schema: value });
    const encrypted = octetsOf(encryptedData);
    const key = await decrypt(encryptionAlgorithm, encrypted, passphrase, this.#budget);
    try {
      parseAsn1(key);
    } catch (cause) {
      // One wrong key in 256 has a padding that looks right.
      throw wrongPassphrase(true, { cause });
    }
    this.#addKeyFrom(key, 'pkcs8');
  }

  async #readPkcs12(pfx: Asn1Value): Promise<void> {
    const content = await readPkcs12(pfx, this.#passphrase, this.#budget);
    for (const der of content.certificates) this.#addCertificate(der);
    for (const der of content.privateKeys) this.#addKeyFrom(der, 'pkcs8');
  }

  /** The bag of certificates that CAs answer with: a SignedData that nobody signed (RFC 5652 §5.1). */
  #readPkcs7(value: Asn1Value): void {
    const { contentType, content } = new ContentInfo({ schema: value });
    if (contentType !== ContentInfo.SIGNED_DATA) {
      throw malformed('input', 'The PKCS#7 file holds no certificates in the clear.');
    }
    for (const certificate of new SignedData({ schema: content }).certificates ?? []) {
      if (certificate instanceof Certificate) {
        this.#addCertificate(new Uint8Array(certificate.toSchema().toBER()));
      }
    }
  }

  #addCertificate(der: Uint8Array): void {
    const certificate = certificateFromDer(der);
    if (this.certificates.some((known) => known.raw.equals(certificate.raw))) return;
    this.certificates.push(certificate);
    refuseTooMany(this.certificates);
  }

  #addKeyFrom(der: Uint8Array, type: 'pkcs1' | 'pkcs8' | 'sec1'): void {
    let key: KeyObject;
    try {
      key = createPrivateKey({ key: Buffer.from(der), format: 'der', type });
    } catch (cause) {
      throw malformed('input', 'A private key cannot be read.', undefined, { cause });
    }
    this.#addKey(key);
  }

  #addKey(key: KeyObject): void {
    if (this.privateKeys.some((known) => known.equals(key))) return;
    this.privateKeys.push(key);
    refuseTooMany(this.privateKeys);
  }
}

function refuseTooMany(found: readonly unknown[]): void {
  if (found.length > MAX_CERTIFICATES) {
    throw malformed(
      'input',
      `The input holds more than ${MAX_CERTIFICATES} certificates or keys.`,
      'Give only the certificate, its chain and its key.',
    );
  }
}
