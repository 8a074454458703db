/** A certificate authority with an intermediate, as public ones have it: made for each test run. */
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

const EC = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;

type Keys = webcrypto.CryptoKeyPair;

export interface Issued {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

export interface LeafOptions {
  readonly names: readonly string[];
  readonly fromDays?: number;
  readonly toDays?: number;
  /** The extended key usages; serverAuth when left out. */
  readonly usages?: readonly string[];
}

const newKeys = (): Promise<Keys> =>
  webcrypto.subtle.generateKey(EC, true, ['sign', 'verify']) as Promise<Keys>;
const serial = (): string =>
  Buffer.from(webcrypto.getRandomValues(new Uint8Array(12))).toString('hex');
const inDays = (days: number): Date => new Date(Date.now() + days * DAY_MS);

async function keyPem(keys: Keys): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN PRIVATE KEY-----\n${lines.join('\n')}\n-----END PRIVATE KEY-----\n`;
}

export class TestPki {
  readonly rootPem: string;
  readonly intermediatePem: string;
  readonly #intermediate: x509.X509Certificate;
  readonly #keys: Keys;

  private constructor(root: x509.X509Certificate, intermediate: x509.X509Certificate, keys: Keys) {
    this.rootPem = `${root.toString('pem')}\n`;
    this.intermediatePem = `${intermediate.toString('pem')}\n`;
    this.#intermediate = intermediate;
    this.#keys = keys;
  }

  static async make(name = 'Test'): Promise<TestPki> {
    const [rootKeys, keys] = await Promise.all([newKeys(), newKeys()]);
    const common = { notBefore: inDays(-1), notAfter: inDays(3650), signingAlgorithm: EC };
    const authority = [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
        true,
      ),
    ];
    const root = await x509.X509CertificateGenerator.createSelfSigned({
      ...common,
      serialNumber: serial(),
      name: `CN=${name} Root`,
      keys: rootKeys,
      extensions: authority,
    });
    const intermediate = await x509.X509CertificateGenerator.create({
      ...common,
      serialNumber: serial(),
      subject: `CN=${name} Intermediate`,
      issuer: root.subject,
      publicKey: keys.publicKey,
      signingKey: rootKeys.privateKey,
      extensions: authority,
    });
    return new TestPki(root, intermediate, keys);
  }

  /** A leaf signed by the intermediate. Days are from now, negative for the past. */
  async issue({
    names,
    fromDays = -1,
    toDays = 60,
    usages = [x509.ExtendedKeyUsage.serverAuth],
  }: LeafOptions): Promise<Issued> {
    const keys = await newKeys();
    const leaf = await x509.X509CertificateGenerator.create({
      serialNumber: serial(),
      subject: `CN=${names[0]}`,
      issuer: this.#intermediate.subject,
      notBefore: inDays(fromDays),
      notAfter: inDays(toDays),
      signingAlgorithm: EC,
      publicKey: keys.publicKey,
      signingKey: this.#keys.privateKey,
      extensions: [
        new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: 'dns', value }))),
        new x509.ExtendedKeyUsageExtension([...usages]),
      ],
    });
    return { certificatePem: `${leaf.toString('pem')}\n`, privateKeyPem: await keyPem(keys) };
  }
}
