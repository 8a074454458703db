/**
 * Reads PKCS#12 (RFC 7292) in password integrity mode: checks the MAC, opens the safes, and hands out
 * the DER of certificates and PKCS#8 keys. Friendly names and other attributes are passed over.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import {
  AuthenticatedSafe,
  CertBag,
  ContentInfo,
  EncryptedData,
  type MacData,
  PFX,
  PKCS8ShroudedKeyBag,
  PrivateKeyInfo,
  SafeContents,
} from 'pkijs';
import { type Asn1Value, octetsOf, parseAsn1 } from './asn1.ts';
import { malformed } from './errors.ts';
import { deriveByPkcs12, digestFrom, PURPOSE, type WorkBudget } from './key-derivation.ts';
import { decrypt, wrongPassphrase } from './key-encryption.ts';

const OID_X509_CERTIFICATE = '1.2.840.113549.1.9.22.1';

export interface Pkcs12Content {
  /** DER certificates, in the file's order. */
  readonly certificates: Buffer[];
  /** PKCS#8 keys, decrypted. */
  readonly privateKeys: Buffer[];
}

/** Throws `CertificateError`: "wrong-passphrase" or "malformed"; pkijs' own errors for broken structures. */
export async function readPkcs12(
  pfxValue: Asn1Value,
  passphrase: string | undefined,
  budget: WorkBudget,
): Promise<Pkcs12Content> {
  const { authSafe, macData } = new PFX({ schema: pfxValue });
  if (authSafe.contentType !== ContentInfo.DATA) {
    throw malformed('input', 'The PKCS#12 file is protected by a public key, not by a passphrase.');
  }
  const safes = octetsOf(authSafe.content);
  const opener =
    macData === undefined ? (passphrase ?? '') : verifyMac(macData, safes, passphrase, budget);

  const found: Pkcs12Content = { certificates: [], privateKeys: [] };
  for (const safe of new AuthenticatedSafe({ schema: parseAsn1(safes) }).safeContents) {
    const contents = await openSafe(safe, opener, budget);
    await collectBags(new SafeContents({ schema: parseAsn1(contents) }), found, opener, budget);
  }
  return found;
}

/**
 * Gives the form of the passphrase under which the MAC is right (RFC 7292 §5.1): an empty one is
 * written as an empty string by some programs and as none at all by others.
 */
function verifyMac(
  { mac, macSalt, iterations }: MacData,
  content: Buffer,
  passphrase: string | undefined,
  budget: WorkBudget,
): string | null {
  const digest = digestFrom(mac.digestAlgorithm.algorithmId);
  const expected = octetsOf(mac.digest);
  for (const candidate of passphrase ? [passphrase] : ['', null]) {
    const key = deriveByPkcs12(
      digest,
      PURPOSE.mac,
      candidate,
      octetsOf(macSalt),
      iterations ?? 1,
      createHmac(digest, '').digest().length,
      budget,
    );
    const actual = createHmac(digest, key).update(content).digest();
    if (actual.length === expected.length && timingSafeEqual(actual, expected)) return candidate;
  }
  throw wrongPassphrase(Boolean(passphrase));
}

/** The DER of the SafeContents in one part of the AuthenticatedSafe (RFC 7292 §4.1). */
async function openSafe(
  { contentType, content }: ContentInfo,
  passphrase: string | null,
  budget: WorkBudget,
): Promise<Buffer> {
  switch (contentType) {
    case ContentInfo.DATA:
      return octetsOf(content);
    case ContentInfo.ENCRYPTED_DATA: {
      const { encryptedContentInfo } = new EncryptedData({ schema: content });
      return decrypt(
        encryptedContentInfo.contentEncryptionAlgorithm,
        Buffer.from(encryptedContentInfo.getEncryptedContent()),
        passphrase,
        budget,
      );
    }
    default:
      throw malformed('input', 'The PKCS#12 file holds a part that only a public key opens.');
  }
}

async function collectBags(
  contents: SafeContents,
  found: Pkcs12Content,
  passphrase: string | null,
  budget: WorkBudget,
): Promise<void> {
  for (const { bagValue } of contents.safeBags) {
    if (bagValue instanceof PrivateKeyInfo) {
      found.privateKeys.push(Buffer.from(bagValue.toSchema().toBER()));
    } else if (bagValue instanceof PKCS8ShroudedKeyBag) {
      const { encryptionAlgorithm, encryptedData } = bagValue;
      const encrypted = octetsOf(encryptedData);
      found.privateKeys.push(await decrypt(encryptionAlgorithm, encrypted, passphrase, budget));
    } else if (bagValue instanceof CertBag) {
      if (bagValue.certId === OID_X509_CERTIFICATE) {
        found.certificates.push(octetsOf(bagValue.certValue));
      }
    } else if (bagValue instanceof SafeContents) {
      await collectBags(bagValue, found, passphrase, budget);
    }
    // CRLs and secrets are none of our business.
  }
}
