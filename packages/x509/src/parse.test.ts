import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as asn1js from 'asn1js';
import fc from 'fast-check';
import {
  AlgorithmIdentifier,
  ContentInfo,
  DigestInfo,
  MacData,
  PBES2Params,
  PBKDF2Params,
  PFX,
  PKCS8ShroudedKeyBag,
} from 'pkijs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { assembleBundle } from './chain.ts';
import { describeCertificate } from './describe.ts';
import { CertificateError, type CheckCode } from './errors.ts';
import { MAX_INPUT_BYTES, readBlobs } from './parse.ts';
import { writePem } from './pem.ts';
import { ecKey, hierarchy, issue, keyPem } from './testing/certificate-factory.ts';

const { root, intermediate, leaf } = hierarchy();
const chainPem = [leaf, intermediate, root]
  .map(({ certificate }) => certificate.toString())
  .join('');
const utf8 = (text: string): Uint8Array => Buffer.from(text);

async function codeOf(blobs: Uint8Array[], passphrase?: string): Promise<CheckCode | 'none'> {
  try {
    await readBlobs(blobs, passphrase);
    return 'none';
  } catch (error) {
    if (error instanceof CertificateError) return error.code;
    throw error;
  }
}

describe('readBlobs', () => {
  it('takes PEM in any order, with other text between, in one or more blobs', async () => {
    const junk = 'Bag Attributes\n    localKeyID: 01\nsubject=CN = x\n';
    for (const blobs of [
      [keyPem(leaf) + chainPem],
      [`${junk}${chainPem}${junk}${keyPem(leaf)}${junk}`],
      [chainPem, keyPem(leaf)],
      [(keyPem(leaf) + chainPem).replaceAll('\n', '\r\n')],
      [`\ufeff${chainPem}`, keyPem(leaf), chainPem],
    ]) {
      const { certificates, privateKeys } = await readBlobs(blobs.map(utf8));
      expect(certificates).toHaveLength(3);
      expect(privateKeys.map((key) => key.equals(leaf.privateKey))).toEqual([true]);
    }
  });

  it('takes DER, told apart by content', async () => {
    for (const type of ['pkcs8', 'sec1'] as const) {
      const key = leaf.privateKey.export({ type, format: 'der' });
      const { certificates, privateKeys } = await readBlobs([leaf.certificate.raw, key]);
      expect(certificates[0]?.raw).toEqual(leaf.certificate.raw);
      expect(privateKeys[0]?.equals(leaf.privateKey)).toBe(true);
    }
  });

  it('passes over blocks that it has no use for', async () => {
    const curve = writePem('EC PARAMETERS', Buffer.from('06082a8648ce3d030107', 'hex'));
    const sec1 = leaf.privateKey.export({ type: 'sec1', format: 'pem' }).toString();
    const { privateKeys } = await readBlobs([utf8(curve + sec1)]);
    expect(privateKeys).toHaveLength(1);
  });

  it.each<[what: string, blobs: (string | Uint8Array)[]]>([
    ['nothing', []],
    ['an empty file', ['']],
    ['text', ['hello']],
    ['a web page', ['<html></html>']],
    ['a certificate cut off', [chainPem.slice(0, 300)]],
    ['DER cut off', [leaf.certificate.raw.subarray(0, 200)]],
    ['DER that goes on', [Buffer.concat([leaf.certificate.raw, Buffer.from('x')])]],
    ['a certificate that is none', [writePem('CERTIFICATE', Buffer.from('3003020101', 'hex'))]],
    ['a key that is none', [writePem('PRIVATE KEY', Buffer.from('3003020100', 'hex'))]],
    ['an OpenSSH key', [writePem('OPENSSH PRIVATE KEY', Buffer.from('x'))]],
    ['a request only', [writePem('CERTIFICATE REQUEST', Buffer.from('x'))]],
    ['too much', [new Uint8Array(MAX_INPUT_BYTES + 1)]],
    ['too many', Array.from({ length: 17 }, () => chainPem)],
    [
      'too many certificates',
      [Array.from({ length: 33 }, (_, i) => issue({ subject: `${i}` }).certificate).join('')],
    ],
  ])('refuses %s', async (_, blobs) => {
    const bytes = blobs.map((blob) => (typeof blob === 'string' ? utf8(blob) : blob));
    expect(await codeOf(bytes)).toBe('malformed');
  });

  it('says which input is broken', async () => {
    await expect(readBlobs([utf8(chainPem), utf8('x')])).rejects.toMatchObject({
      checks: [{ certificate: 'input 2' }],
    });
  });

  it('refuses a deep nesting', async () => {
    expect(await codeOf([Buffer.alloc(60_000, 0x30)])).toBe('malformed');
    const indefinite = Buffer.alloc(60_000, Buffer.from('3080', 'hex'));
    expect(await codeOf([indefinite])).toBe('malformed');
  });

  it('does not work without end for an encrypted key', async () => {
    const algorithm = (algorithmId: string, algorithmParams: unknown): AlgorithmIdentifier =>
      new AlgorithmIdentifier({ algorithmId, algorithmParams });
    const salt = new asn1js.OctetString({ valueHex: new Uint8Array(16) });
    const derivation = new PBKDF2Params({ salt, iterationCount: 2 ** 31 - 1 });
    const scheme = new PBES2Params({
      keyDerivationFunc: algorithm('1.2.840.113549.1.5.12', derivation.toSchema()),
      encryptionScheme: algorithm('2.16.840.1.101.3.4.1.42', salt),
    });
    const key = new PKCS8ShroudedKeyBag({
      encryptionAlgorithm: algorithm('1.2.840.113549.1.5.13', scheme.toSchema()),
      encryptedData: new asn1js.OctetString({ valueHex: new Uint8Array(64) }),
    });
    const hostile = new Uint8Array(key.toSchema().toBER());
    await expect(readBlobs([hostile], 'secret')).rejects.toThrow(/rounds/);

    const pfx = new PFX({
      authSafe: new ContentInfo({ contentType: ContentInfo.DATA, content: salt }),
      macData: new MacData({
        mac: new DigestInfo({
          digestAlgorithm: algorithm('2.16.840.1.101.3.4.2.1', new asn1js.Null()),
          digest: salt,
        }),
        macSalt: salt,
        iterations: 1_000_001,
      }),
    });
    const slow = new Uint8Array(pfx.toSchema().toBER());
    await expect(readBlobs([slow], 'secret')).rejects.toThrow(/rounds/);
  });
});

const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

describe.skipIf(!hasOpenssl)('files of the openssl command', () => {
  const directory = mkdtempSync(join(tmpdir(), 'x509-'));
  const path = (name: string): string => join(directory, name);
  const openssl = (...args: string[]): Uint8Array => {
    execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' });
    return readFileSync(path(args[args.indexOf('-out') + 1] ?? ''));
  };
  const hasLegacy =
    spawnSync('openssl', ['list', '-providers', '-provider', 'legacy']).status === 0;
  const PASSPHRASE = 'Zürich 8×5 €';

  beforeAll(() => {
    writeFileSync(path('ec.pem'), keyPem(leaf), { mode: 0o600 });
    writeFileSync(path('leaf.pem'), leaf.certificate.toString());
    writeFileSync(path('chain.pem'), `${intermediate.certificate}${root.certificate}`);
    writeFileSync(path('pass.txt'), PASSPHRASE, { mode: 0o600 });
    openssl('genrsa', '-out', 'rsa.pem', '2048');
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  const PKCS12 = ['-export', '-inkey', 'ec.pem', '-in', 'leaf.pem', '-certfile', 'chain.pem'];
  const PASSOUT = ['-passout', 'file:pass.txt'];

  it.each<[what: string, options: string[], needsLegacy: boolean]>([
    ['today', [], false],
    ['OpenSSL before 3.0 and Windows', ['-legacy'], true],
    ['RC2-128', ['-legacy', '-certpbe', 'PBE-SHA1-RC2-128', '-keypbe', 'PBE-SHA1-RC2-40'], true],
    ['two-key 3DES', ['-legacy', '-certpbe', 'PBE-SHA1-2DES', '-keypbe', 'PBE-SHA1-2DES'], true],
    ['3DES', ['-certpbe', 'PBE-SHA1-3DES', '-keypbe', 'PBE-SHA1-3DES'], false],
    ['AES-128', ['-certpbe', 'AES-128-CBC', '-keypbe', 'AES-128-CBC', '-macalg', 'sha1'], false],
    ['SHA-512', ['-macalg', 'sha512', '-iter', '10000'], false],
    ['certificates in the clear', ['-certpbe', 'NONE'], false],
    ['a key in the clear', ['-keypbe', 'NONE'], false],
    ['no MAC', ['-nomac'], false],
  ])('PKCS#12 of %s', async (_, options, needsLegacy) => {
    if (needsLegacy && !hasLegacy) return;
    const file = openssl('pkcs12', ...PKCS12, ...PASSOUT, ...options, '-out', 'out.p12');
    const material = await readBlobs([file], PASSPHRASE);
    const { bundle } = assembleBundle(material);
    expect(bundle.chain.map(({ subject }) => subject)).toEqual([
      'CN=mail.example.org',
      'CN=Test Intermediate',
    ]);
    expect(bundle.leaf.raw).toEqual(leaf.certificate.raw);
    if (!options.includes('NONE')) {
      expect(await codeOf([file], 'wrong')).toBe('wrong-passphrase');
      expect(await codeOf([file])).toBe('wrong-passphrase');
    }
  });

  it('PKCS#12 without a passphrase', async () => {
    const file = openssl('pkcs12', ...PKCS12, '-passout', 'pass:', '-out', 'empty.p12');
    expect((await readBlobs([file])).privateKeys).toHaveLength(1);
    expect((await readBlobs([file], '')).privateKeys).toHaveLength(1);
    expect(await codeOf([file], 'x')).toBe('wrong-passphrase');
  });

  it('PKCS#12 in BER, its content in pieces of unknown length', async () => {
    const pfx = PFX.fromBER(openssl('pkcs12', ...PKCS12, ...PASSOUT, '-out', 'der.p12'));
    const content = Buffer.from(pfx.authSafe.content.getValue());
    pfx.authSafe.content = new asn1js.OctetString({
      isConstructed: true,
      isIndefiniteForm: true,
      value: [content.subarray(0, 500), content.subarray(500)].map(
        (piece) => new asn1js.OctetString({ valueHex: piece }),
      ),
    });
    const ber = new Uint8Array(pfx.toSchema().toBER());
    expect(Buffer.from(ber).includes(Buffer.from('2480', 'hex'))).toBe(true);
    expect((await readBlobs([ber], PASSPHRASE)).certificates).toHaveLength(3);
  });

  it('PKCS#12 beside PEM', async () => {
    const file = openssl(
      'pkcs12',
      '-export',
      '-inkey',
      'ec.pem',
      '-in',
      'leaf.pem',
      ...PASSOUT,
      '-out',
      'leaf.p12',
    );
    const material = await readBlobs([file, utf8(chainPem)], PASSPHRASE);
    expect(material.certificates).toHaveLength(3);
  });

  it('PKCS#12 with a change anywhere is refused, or as good as before', async () => {
    const file = Buffer.from(
      openssl('pkcs12', ...PKCS12, ...PASSOUT, '-iter', '1', '-out', 'one.p12'),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.nat(file.length - 1),
        fc.integer({ min: 1, max: 255 }),
        async (at, change) => {
          const changed = Buffer.from(file);
          changed[at] = (changed[at] ?? 0) ^ change;
          expect(['malformed', 'wrong-passphrase', 'none']).toContain(
            await codeOf([changed], PASSPHRASE),
          );
        },
      ),
      { numRuns: 300 },
    );
  });

  it.each<[what: string, args: string[]]>([
    ['PKCS#8, AES-256', ['pkcs8', '-topk8']],
    [
      'PKCS#8, AES-128 and SHA-1',
      ['pkcs8', '-topk8', '-v2', 'aes-128-cbc', '-v2prf', 'hmacWithSHA1'],
    ],
    ['PKCS#8, SHA-512', ['pkcs8', '-topk8', '-v2', 'aes-192-cbc', '-v2prf', 'hmacWithSHA512']],
    ['PKCS#8, 3DES in PBES2', ['pkcs8', '-topk8', '-v2', 'des3']],
    ['PKCS#8, 3DES as in PKCS#12', ['pkcs8', '-topk8', '-v1', 'PBE-SHA1-3DES']],
    ['SEC 1 with headers', ['ec', '-aes256']],
    ['SEC 1 with headers, 3DES', ['ec', '-des3']],
  ])('encrypted keys: %s', async (_, args) => {
    const file = openssl(...args, '-in', 'ec.pem', ...PASSOUT, '-out', 'key.pem');
    const { privateKeys } = await readBlobs([file], PASSPHRASE);
    expect(privateKeys[0]?.equals(leaf.privateKey)).toBe(true);
    expect(await codeOf([file], 'wrong')).toBe('wrong-passphrase');
    expect(await codeOf([file], '')).toBe('wrong-passphrase');
    expect(await codeOf([file])).toBe('wrong-passphrase');
  });

  it('encrypted keys as DER', async () => {
    const file = openssl(
      'pkcs8',
      '-topk8',
      '-in',
      'ec.pem',
      ...PASSOUT,
      '-outform',
      'DER',
      '-out',
      'key.der',
    );
    expect((await readBlobs([file], PASSPHRASE)).privateKeys).toHaveLength(1);
  });

  it('encrypted keys that are not supported', async () => {
    const file = openssl(
      'pkcs8',
      '-topk8',
      '-scrypt',
      '-in',
      'ec.pem',
      ...PASSOUT,
      '-out',
      'scrypt.pem',
    );
    await expect(readBlobs([file], PASSPHRASE)).rejects.toThrow(/not supported/);
  });

  it('PKCS#1 keys, in the clear and with headers', async () => {
    const clear = openssl('rsa', '-in', 'rsa.pem', '-traditional', '-out', 'pkcs1.pem');
    const der = openssl(
      'rsa',
      '-in',
      'rsa.pem',
      '-traditional',
      '-outform',
      'DER',
      '-out',
      'pkcs1.der',
    );
    const closed = openssl(
      'rsa',
      '-in',
      'rsa.pem',
      '-traditional',
      '-aes128',
      ...PASSOUT,
      '-out',
      'rsa-aes.pem',
    );
    const { privateKeys } = await readBlobs([clear, der, closed], PASSPHRASE);
    expect(privateKeys.map((key) => key.asymmetricKeyType)).toEqual(['rsa']);
  });

  it('a key behind its curve', async () => {
    const file = openssl('ecparam', '-name', 'prime256v1', '-genkey', '-out', 'curve.pem');
    expect(Buffer.from(file).toString()).toContain('EC PARAMETERS');
    expect((await readBlobs([file])).privateKeys).toHaveLength(1);
  });

  it.each(['PEM', 'DER'])('PKCS#7 as %s', async (form) => {
    const file = openssl(
      'crl2pkcs7',
      '-nocrl',
      '-certfile',
      'chain.pem',
      '-certfile',
      'leaf.pem',
      '-outform',
      form,
      '-out',
      'chain.p7b',
    );
    const { certificates } = await readBlobs([file, utf8(keyPem(leaf))]);
    expect(certificates.map(({ subject }) => subject).sort()).toEqual([
      'CN=Test Intermediate',
      'CN=Test Root',
      'CN=mail.example.org',
    ]);
  });

  it('a key digest that agrees with ours', () => {
    const spki = openssl('ec', '-in', 'ec.pem', '-pubout', '-outform', 'DER', '-out', 'spki.der');
    const digest = openssl('dgst', '-sha256', '-r', '-out', 'digest.txt', 'spki.der');
    expect(spki.length).toBeGreaterThan(0);
    expect(Buffer.from(digest).toString()).toContain(
      describeCertificate(leaf.certificate).spkiSha256,
    );
  });

  it('an RSA-PSS certificate', async () => {
    const file = openssl(
      'req',
      '-x509',
      '-key',
      'rsa.pem',
      '-subj',
      '/CN=pss',
      '-days',
      '1',
      '-sigopt',
      'rsa_padding_mode:pss',
      '-sha384',
      '-out',
      'pss.pem',
    );
    const [certificate] = (await readBlobs([file])).certificates;
    expect(certificate && describeCertificate(certificate).signatureAlgorithm).toBe(
      'RSA-PSS with SHA-384',
    );
  });
});

describe('readBlobs on hostile bytes', () => {
  const passphrase = fc.option(fc.string(), { nil: undefined });
  const answers = ['malformed', 'wrong-passphrase', 'none'];

  it('throws CertificateError and nothing else for random bytes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array(), { maxLength: 3 }),
        passphrase,
        async (blobs, secret) => {
          expect(answers).toContain(await codeOf(blobs, secret));
        },
      ),
    );
  });

  it('throws CertificateError and nothing else for changed PEM and DER', async () => {
    const key = ecKey();
    const seeds = [
      Buffer.from(chainPem + keyPem(leaf)),
      leaf.certificate.raw,
      key.export({ type: 'pkcs8', format: 'der' }),
      key.export({ type: 'sec1', format: 'der' }),
      Buffer.from(
        key.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' }),
      ),
    ];
    const change = fc.record({
      at: fc.nat(),
      remove: fc.nat(8),
      insert: fc.uint8Array({ maxLength: 8 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...seeds),
        fc.array(change, { minLength: 1, maxLength: 4 }),
        async (seed, changes) => {
          let bytes = Buffer.from(seed);
          for (const { at, remove, insert } of changes) {
            const from = at % bytes.length;
            bytes = Buffer.concat([bytes.subarray(0, from), insert, bytes.subarray(from + remove)]);
          }
          expect(answers).toContain(await codeOf([bytes], 'secret'));
        },
      ),
      { numRuns: 500 },
    );
  });
});
