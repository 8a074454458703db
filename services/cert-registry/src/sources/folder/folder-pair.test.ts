import { createPrivateKey, X509Certificate } from 'node:crypto';
import { assembleBundle, CertificateError, readBlobs } from '@mail/x509';
import { issue } from '@mail/x509/testing';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Leaf, TestCa } from '../../testing/test-ca.ts';
import { pickPair } from './folder-pair.ts';

let ca: TestCa;
let otherCa: TestCa;
let older: Leaf;
let newer: Leaf;
let elsewhere: Leaf;

beforeAll(() => {
  ca = new TestCa('Public');
  otherCa = new TestCa('Other');
  older = ca.issue({ names: ['a.example'], beginsInDays: -60 });
  newer = ca.issue({ names: ['a.example'], beginsInDays: -1 });
  elsewhere = otherCa.issue({ names: ['b.example'], beginsInDays: -30 });
});

/** The chain that would be served; the codes of what is wrong otherwise. */
async function picked(...texts: string[]): Promise<string> {
  try {
    const material = await readBlobs(texts.map((text) => Buffer.from(text)));
    const { bundle } = assembleBundle(pickPair(material));
    return bundle.chain.join('');
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error;
    return error.checks.map(({ code }) => code).join();
  }
}

describe('what a writer leaves in between', () => {
  test('of links that are replaced in any order is one of both pairs or none', async () => {
    const parts = ({ cert, key, chain }: Leaf) => [cert, key, chain, cert + chain];
    const renewed = otherCa.issue({ names: ['a.example'], beginsInDays: 0 });
    const [before, after] = [parts(older), parts(renewed)];
    const whole = [older, renewed].map(({ cert, chain }) => cert + chain);
    for (let replaced = 0; replaced < 2 ** before.length; replaced += 1) {
      const mixed = before.map((text, part) => ((replaced >> part) & 1 ? after[part] : text) ?? '');
      const outcome = await picked(...mixed);
      expect([...whole, 'key-mismatch', 'chain-incomplete']).toContain(outcome);
      // no key but its own, and the newer certificate as soon as it is seen
      if (outcome === whole[0]) expect(mixed).not.toContain(renewed.cert);
      if (outcome === whole[1]) expect(mixed).toContain(renewed.key);
    }
  });

  test('of a file that is cut off is nothing', async () => {
    const { cert, chain, key } = newer;
    const orders = [
      [cert, chain, key],
      [key, cert, chain],
    ].map((parts) => parts.join(''));
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...orders), fc.nat(), async (text, cut) => {
        // the line end behind the last block may be missing
        const part = text.slice(0, cut % (text.length - 1));
        expect(await picked(part)).toMatch(/^[a-z,-]+$/);
      }),
    );
  });
});

describe('the pair that is meant', () => {
  test('of one renewal after the other, in any order', async () => {
    const [a, b] = [older, newer];
    const wanted = b.cert + b.chain;
    expect(await picked(a.cert, a.key, a.chain, b.cert, b.key, b.chain)).toBe(wanted);
    expect(await picked(b.key, b.chain, b.cert, a.key, a.cert)).toBe(wanted);
  });

  test('leaves out what belongs to other certificates', async () => {
    const extra = [otherCa.rootPem, otherCa.intermediatePem, elsewhere.cert, elsewhere.key];
    const wanted = newer.cert + newer.chain;
    expect(await picked(newer.cert, newer.chain, newer.key, ...extra)).toBe(wanted);
    expect(await picked(newer.cert, newer.chain, newer.key, ca.rootPem)).toBe(wanted);
  });

  test('is not an older one where the key of the newest is missing', async () => {
    expect(await picked(older.cert, older.chain, older.key, newer.cert)).toBe('key-mismatch');
  });

  test('is the one before where only a key was made ahead', async () => {
    const wanted = older.cert + older.chain;
    expect(await picked(older.cert, older.chain, older.key, newer.key)).toBe(wanted);
  });

  test('of one that signed itself and calls itself an authority', async () => {
    const self = issue({ subject: 'a.example', ca: true });
    const key = self.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    expect(await picked(self.certificate.toString(), key)).toBe(self.certificate.toString());
  });

  test.each<[string, () => string[], string]>([
    ['no key', () => [newer.cert, newer.chain], 'key-missing'],
    ['no certificate', () => [newer.key], 'leaf-missing'],
    ['authorities alone', () => [ca.rootPem, newer.key], 'leaf-missing'],
    ['no chain', () => [newer.cert, newer.key], 'chain-incomplete'],
    ['another chain', () => [newer.cert, newer.key, elsewhere.chain], 'chain-incomplete'],
  ])('%s is for the import to refuse', async (_, texts, code) => {
    expect(await picked(...texts())).toContain(code);
  });

  test('keeps one key', () => {
    const keys = [older, newer].map(({ key }) => createPrivateKey(key));
    const certificates = [older, newer].map(({ cert }) => new X509Certificate(cert));
    expect(pickPair({ certificates, privateKeys: keys }).privateKeys).toEqual([keys[1]]);
  });
});
