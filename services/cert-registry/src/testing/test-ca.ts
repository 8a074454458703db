/** A public CA as operators meet one, for tests: a root, an intermediate, and leaves right or wrong. */
import type { KeyObject } from 'node:crypto';
import { type CertificateAuthority, createCa, issueIdentity } from '@mail/x509';
import { type Issued, issue, keyPem } from '@mail/x509/testing';

const DAY_MS = 86_400_000;
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';

export interface Leaf {
  readonly cert: string;
  readonly key: string;
  /** The chain behind the leaf, without the root. */
  readonly chain: string;
  readonly privateKey: KeyObject;
}

export interface LeafOptions {
  readonly names: readonly string[];
  /** From now; negative is past. */
  readonly beginsInDays?: number;
  readonly endsInDays?: number;
  readonly usage?: string;
}

function inDays(days: number): Date {
  return new Date(Date.now() + days * DAY_MS);
}

export class TestCa {
  readonly rootPem: string;
  readonly intermediatePem: string;
  readonly #intermediate: Issued;
  readonly #name: string;

  constructor(name: string) {
    const period = { notBefore: inDays(-300), notAfter: inDays(3000) };
    const root = issue({ subject: `${name} Root`, ca: true, ...period });
    const issuer = { subject: `${name} Issuing`, ca: true, issuer: root, ...period };
    this.#intermediate = issue(issuer);
    this.#name = name;
    this.rootPem = root.certificate.toString();
    this.intermediatePem = this.#intermediate.certificate.toString();
  }

  /** The intermediate as another root vouches for it: the same name and key, and so another chain. */
  crossSignedIntermediate(): string {
    const period = { notBefore: inDays(-300), notAfter: inDays(3000) };
    const issuer = issue({ subject: `${this.#name} Other Root`, ca: true, ...period });
    const { privateKey } = this.#intermediate;
    const subject = `${this.#name} Issuing`;
    return issue({ subject, ca: true, issuer, privateKey, ...period }).certificate.toString();
  }

  issue({ names, beginsInDays = -1, endsInDays = 90, usage = SERVER_AUTH }: LeafOptions): Leaf {
    const leaf = issue({
      subject: names[0] ?? 'nameless',
      dnsNames: names,
      issuer: this.#intermediate,
      notBefore: inDays(beginsInDays),
      notAfter: inDays(endsInDays),
      extendedKeyUsage: [usage],
    });
    return {
      cert: leaf.certificate.toString(),
      key: keyPem(leaf),
      chain: this.intermediatePem,
      privateKey: leaf.privateKey,
    };
  }

  /** A leaf for the key of a signing request, under the intermediate. */
  sign(names: readonly string[], publicKey: KeyObject): string {
    const [ca, uri] = [this.#intermediate, 'urn:test'];
    const leaf = issueIdentity({ ca, publicKey, uri, dnsNames: names, days: 90, now: new Date() });
    return leaf.toString();
  }

  /** What a private CA answers to a signing request: a leaf signed by a root, and the root. */
  async answer(names: readonly string[], publicKey: KeyObject): Promise<string[]> {
    const commonName = `${this.#name} Direct`;
    const ca: CertificateAuthority = await createCa({ commonName, days: 300, now: new Date() });
    const uri = 'urn:test';
    const leaf = issueIdentity({ ca, publicKey, uri, dnsNames: names, days: 90, now: new Date() });
    return [ca.certificate.toString(), leaf.toString()];
  }
}
