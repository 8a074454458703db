/**
 * Keys from passphrases: PBKDF2 (RFC 8018) by node:crypto, PKCS#12's own derivation (RFC 7292
 * appendix B) by node-forge. A file chooses how much work that is, so all work on one input comes out
 * of one budget, which is asked before the work begins.
 */
import { pbkdf2 } from 'node:crypto';
import { promisify } from 'node:util';
import forge from 'node-forge';
import { malformed } from './errors.ts';

const derivePbkdf2 = promisify(pbkdf2);

/** Rounds of PBKDF2 that one input may cost: a few seconds. Real files have 600,000 at most. */
const WORK_LIMIT = 10_000_000;
/** A round of PKCS#12's derivation runs in JavaScript and costs that many of PBKDF2's. */
const PKCS12_ROUND_COST = 10;

/** The work that remains for one input. */
export class WorkBudget {
  #left = WORK_LIMIT;

  /**
   * Throws `CertificateError` ("malformed") when the input asks for no rounds or more than remain. asn1js
   * reads numbers above three octets as 0, so those count as too many as well.
   */
  spend(rounds: number, cost: number): void {
    this.#left -= rounds * cost;
    if (rounds >= 1 && this.#left >= 0) return;
    throw malformed(
      'input',
      'The encryption asks for no rounds of key derivation, or for more than are allowed.',
      'Encrypt the key anew with at most 600,000 rounds.',
    );
  }
}

export type DigestName = 'sha1' | 'sha256' | 'sha384' | 'sha512';

/** The hash that the object identifier of a digest or of an HMAC names. */
export function digestFrom(oid: string): DigestName {
  switch (oid) {
    case '1.3.14.3.2.26':
    case '1.2.840.113549.2.7':
      return 'sha1';
    case '2.16.840.1.101.3.4.2.1':
    case '1.2.840.113549.2.9':
      return 'sha256';
    case '2.16.840.1.101.3.4.2.2':
    case '1.2.840.113549.2.10':
      return 'sha384';
    case '2.16.840.1.101.3.4.2.3':
    case '1.2.840.113549.2.11':
      return 'sha512';
    default:
      throw malformed('input', `The encryption uses a hash that is not supported (${oid}).`);
  }
}

/** RFC 8018 §5.2; `length` in octets. */
export async function deriveByPbkdf2(
  digest: DigestName,
  passphrase: string,
  salt: Buffer,
  rounds: number,
  length: number,
  budget: WorkBudget,
): Promise<Buffer> {
  budget.spend(rounds, 1);
  return derivePbkdf2(passphrase, salt, rounds, length, digest);
}

/** What a derived value is for: the "ID" of RFC 7292 §B.3. */
export const PURPOSE = { key: 1, iv: 2, mac: 3 } as const;

/** RFC 7292 §B.2; no passphrase (null) is another one than an empty one. */
export function deriveByPkcs12(
  digest: DigestName,
  purpose: (typeof PURPOSE)[keyof typeof PURPOSE],
  passphrase: string | null,
  salt: Buffer,
  rounds: number,
  length: number,
  budget: WorkBudget,
): Buffer {
  budget.spend(rounds, PKCS12_ROUND_COST);
  const derived = forge.pkcs12.generateKey(
    passphrase,
    forge.util.createBuffer(salt.toString('latin1')),
    purpose,
    rounds,
    length,
    forge.md[digest].create(),
  );
  return Buffer.from(derived.getBytes(), 'latin1');
}
