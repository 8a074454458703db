import { createHash, X509Certificate } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TestCa } from '../testing/test-ca.ts';
import { associationOf, type KeyHolder, vouches } from './association.ts';

const HOST = 'mail.example.org';
const ca = new TestCa('Example');
const leaf = ca.issue({ names: [HOST] });
const spkiOf = (pem: string) =>
  new X509Certificate(pem).publicKey.export({ type: 'spki', format: 'der' });
const hash = (algorithm: string, bytes: Buffer) =>
  createHash(algorithm).update(bytes).digest('hex');

const holder: KeyHolder = {
  spkiSha256: hash('sha256', spkiOf(leaf.cert)),
  dnsNames: [HOST],
  chainPem: `${leaf.cert}\n${leaf.chain}`,
};

/** Data by selector and matching type. */
function dataOf(pem: string, selector: number, matchingType: number): string {
  const bytes = selector === 0 ? new X509Certificate(pem).raw : spkiOf(pem);
  if (matchingType === 0) return bytes.toString('hex');
  return hash(matchingType === 1 ? 'sha256' : 'sha512', bytes);
}

describe.each([0, 1])('selector %i', (selector) => {
  test.each([0, 1, 2])('matching type %i', (matchingType) => {
    const over = (pem: string, usage: number) => ({
      usage,
      selector,
      matchingType,
      data: dataOf(pem, selector, matchingType),
    });
    const intermediate = ca.intermediatePem;
    expect(vouches(over(leaf.cert, 3), holder, HOST)).toBe(true);
    expect(vouches(over(intermediate, 3), holder, HOST)).toBe(false);
    expect(vouches(over(intermediate, 2), holder, HOST)).toBe(true);
    // the root is not served, and the leaf is no authority
    expect(vouches(over(ca.rootPem, 2), holder, HOST)).toBe(false);
    expect(vouches(over(leaf.cert, 2), holder, HOST)).toBe(false);
    // an authority vouches for the names in the certificate alone, a key for itself
    expect(vouches(over(intermediate, 2), holder, 'other.example.org')).toBe(false);
    expect(vouches(over(leaf.cert, 3), holder, 'other.example.org')).toBe(true);
    // PKIX usages are not for SMTP
    expect(vouches(over(leaf.cert, 1), holder, HOST)).toBe(false);
    expect(vouches(over(intermediate, 0), holder, HOST)).toBe(false);
  });
});

test('a key without a certificate goes by "3 1 1" alone', () => {
  const key = { ...holder, dnsNames: [], chainPem: '' };
  expect(vouches(associationOf(holder.spkiSha256), key, HOST)).toBe(true);
  const sha512 = { usage: 3, selector: 1, matchingType: 2, data: dataOf(leaf.cert, 1, 2) };
  expect(vouches(sha512, key, HOST)).toBe(false);
});

test('no other record vouches', () => {
  const byte = fc.nat(255);
  const data = fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes).toString('hex'));
  fc.assert(
    fc.property(
      fc.record({ usage: byte, selector: fc.nat(3), matchingType: fc.nat(4), data }),
      (association) => {
        expect(vouches(association, holder, HOST)).toBe(false);
      },
    ),
  );
});
