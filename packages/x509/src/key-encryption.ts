/**
 * Opens what a passphrase closed, in encrypted PKCS#8 keys and inside PKCS#12: PBES2 (RFC 8018 §6.2),
 * and the older schemes of RFC 7292 appendix C that Windows and OpenSSL before 3.0 write.
 */
import { createDecipheriv } from 'node:crypto';
import * as asn1js from 'asn1js';
import forge from 'node-forge';
import { type AlgorithmIdentifier, PBES2Params, PBKDF2Params } from 'pkijs';
import { octetsOf } from './asn1.ts';
import { CertificateError, malformed } from './errors.ts';
import {
  deriveByPbkdf2,
  deriveByPkcs12,
  digestFrom,
  PURPOSE,
  type WorkBudget,
} from './key-derivation.ts';

/** The error for a passphrase that does not open the input, or for none where one is needed. */
export function wrongPassphrase(given: boolean, options?: ErrorOptions): CertificateError {
  return new CertificateError(
    [
      {
        code: 'wrong-passphrase',
        severity: 'error',
        certificate: 'input',
        message: given
          ? 'The passphrase does not open the private key.'
          : 'The private key is encrypted and no passphrase was given.',
        remedy: 'Give the passphrase that the file was made with.',
      },
    ],
    options,
  );
}

const OID_PBES2 = '1.2.840.113549.1.5.13';
const OID_PBKDF2 = '1.2.840.113549.1.5.12';
const OID_HMAC_SHA1 = '1.2.840.113549.2.7';

/** Ciphers of PBES2: OpenSSL's name, key and block length in octets. */
const PBES2_CIPHERS: Readonly<Record<string, readonly [string, number, number]>> = {
  '2.16.840.1.101.3.4.1.2': ['aes-128-cbc', 16, 16],
  '2.16.840.1.101.3.4.1.22': ['aes-192-cbc', 24, 16],
  '2.16.840.1.101.3.4.1.42': ['aes-256-cbc', 32, 16],
  '1.2.840.113549.3.7': ['des-ede3-cbc', 24, 8],
};

type Cipher = (key: Buffer, iv: Buffer, ciphertext: Buffer) => Buffer | undefined;

/** Ciphers of RFC 7292 appendix C, with the key's length in octets. */
const PKCS12_CIPHERS: Readonly<Record<string, readonly [Cipher, number]>> = {
  '1.2.840.113549.1.12.1.3': [nodeCipher('des-ede3-cbc'), 24],
  '1.2.840.113549.1.12.1.4': [nodeCipher('des-ede-cbc'), 16],
  '1.2.840.113549.1.12.1.5': [decryptRc2, 16],
  '1.2.840.113549.1.12.1.6': [decryptRc2, 5],
};
const PKCS12_IV_LENGTH = 8;

/**
 * Decrypts octets. Throws `CertificateError`: "wrong-passphrase" where the padding is wrong (which a
 * wrong key can miss, so callers parse what they get), "malformed" for schemes that are unknown or cost
 * too much. A passphrase of null is none at all, as some PKCS#12 files have it.
 */
export async function decrypt(
  algorithm: AlgorithmIdentifier,
  ciphertext: Buffer,
  passphrase: string | null,
  budget: WorkBudget,
): Promise<Buffer> {
  const plaintext =
    algorithm.algorithmId === OID_PBES2
      ? await decryptPbes2(algorithm.algorithmParams, ciphertext, passphrase ?? '', budget)
      : decryptPkcs12(algorithm, ciphertext, passphrase, budget);
  if (plaintext === undefined) throw wrongPassphrase(Boolean(passphrase));
  return plaintext;
}

async function decryptPbes2(
  parameters: unknown,
  ciphertext: Buffer,
  passphrase: string,
  budget: WorkBudget,
): Promise<Buffer | undefined> {
  const { keyDerivationFunc, encryptionScheme } = new PBES2Params({ schema: parameters });
  if (keyDerivationFunc.algorithmId !== OID_PBKDF2) {
    throw unsupported(`key derivation ${keyDerivationFunc.algorithmId}`);
  }
  const cipher = PBES2_CIPHERS[encryptionScheme.algorithmId];
  if (cipher === undefined) throw unsupported(`cipher ${encryptionScheme.algorithmId}`);
  const [name, keyLength, ivLength] = cipher;
  const iv = octetsOf(encryptionScheme.algorithmParams);
  if (iv.length !== ivLength) {
    throw malformed('input', "The cipher's initialisation vector has a wrong length.");
  }
  const { salt, iterationCount, prf } = new PBKDF2Params({
    schema: keyDerivationFunc.algorithmParams,
  });
  const key = await deriveByPbkdf2(
    digestFrom(prf?.algorithmId ?? OID_HMAC_SHA1),
    passphrase,
    octetsOf(salt),
    iterationCount,
    keyLength,
    budget,
  );
  return nodeCipher(name)(key, iv, ciphertext);
}

function decryptPkcs12(
  { algorithmId, algorithmParams }: AlgorithmIdentifier,
  ciphertext: Buffer,
  passphrase: string | null,
  budget: WorkBudget,
): Buffer | undefined {
  const cipher = PKCS12_CIPHERS[algorithmId];
  if (cipher === undefined) throw unsupported(`scheme ${algorithmId}`);
  const [saltValue, roundsValue] =
    algorithmParams instanceof asn1js.Sequence ? algorithmParams.valueBlock.value : [];
  const salt = octetsOf(saltValue);
  const rounds = roundsValue instanceof asn1js.Integer ? roundsValue.valueBlock.valueDec : 0;
  const [decipher, keyLength] = cipher;
  const derive = (purpose: 1 | 2, length: number): Buffer =>
    deriveByPkcs12('sha1', purpose, passphrase, salt, rounds, length, budget);
  return decipher(derive(PURPOSE.key, keyLength), derive(PURPOSE.iv, PKCS12_IV_LENGTH), ciphertext);
}

function nodeCipher(name: string): Cipher {
  return (key, iv, ciphertext) => {
    const decipher = createDecipheriv(name, key, iv);
    try {
      return Buffer.concat([decipher.update(ciphertext), decipher.final()]);
    } catch {
      return undefined;
    }
  };
}

/** RC2 (RFC 2268), which Node's OpenSSL has no more. */
function decryptRc2(key: Buffer, iv: Buffer, ciphertext: Buffer): Buffer | undefined {
  const cipher = forge.rc2.createDecryptionCipher(key.toString('latin1'), key.length * 8);
  cipher.start(iv.toString('latin1'));
  cipher.update(forge.util.createBuffer(ciphertext.toString('latin1')));
  return cipher.finish() ? Buffer.from(cipher.output.getBytes(), 'latin1') : undefined;
}

function unsupported(what: string): CertificateError {
  return malformed(
    'input',
    `The private key's encryption uses the ${what}, which is not supported.`,
    'Encrypt the key anew with PBKDF2 and AES.',
  );
}
