import { createPrivateKey, X509Certificate } from 'node:crypto';
import { assembleBundle, readBlobs } from '@mail/x509';
import { issue } from '@mail/x509/testing';
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

/** The chain that would be served; the code of what is wrong otherwise. */
async function picked(...texts: string[]): Promise<string> {
  const material = await readBlobs(texts.map((text) => Buffer.from(text)));
  try {
    const { bundle } = assembleBundle(pickPair(material));
    return bundle.chain.join('');
  } catch (error) {
    return String((error as { checks?: { code: string }[] }).checks?.map(({ code }) => code));
  }
}

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
