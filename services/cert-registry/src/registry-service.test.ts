import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import {
  CertificateState,
  type CertRegistryServiceClient,
  type ImportCertificateResponse,
  KeyType,
} from '@mail/proto';
import { createSigningRequest, generateKey, readSigningRequest } from '@mail/x509';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { call, checksIn, refusal, TestRegistry } from './testing/registry-fixture.ts';
import { type Leaf, type LeafOptions, TestCa } from './testing/test-ca.ts';

let registry: TestRegistry;
let operator: CertRegistryServiceClient;
let ca: TestCa;

beforeAll(async () => {
  registry = await TestRegistry.start();
  operator = registry.operator();
  ca = new TestCa('Public');
});
afterAll(() => registry.remove());

const whole = ({ key, cert, chain }: Leaf) => [Buffer.from(`${cert}${chain}${key}`)];

function importBlobs(
  blobs: Buffer[],
  options: { passphrase?: string; label?: string } = {},
): Promise<ImportCertificateResponse> {
  return call(operator, operator.importCertificate, {
    blobs,
    passphrase: '',
    label: '',
    ...options,
  });
}

describe('ImportCertificate', () => {
  test('takes a whole chain and tells what it is', async () => {
    const leaf = ca.issue({ names: ['localhost', 'mail.example.org', '*.example.org'] });
    const { certificate, checks, alreadyPresent } = await importBlobs(whole(leaf), {
      label: 'spring',
    });
    expect(certificate).toMatchObject({
      label: 'spring',
      state: CertificateState.CERTIFICATE_STATE_AVAILABLE,
      dnsNames: ['localhost', 'mail.example.org', '*.example.org'],
      keyType: 'ECDSA P-256',
      selfSigned: false,
      createdBy: 'spiffe://concert/operator/admin',
      chainPem: new X509Certificate(leaf.cert).toString() + new X509Certificate(leaf.chain),
      fingerprintSha256: new X509Certificate(leaf.cert).fingerprint256
        .replaceAll(':', '')
        .toLowerCase(),
    });
    expect(alreadyPresent).toBe(false);
    expect(checks.filter(({ code }) => code === 'required-name-missing')).toEqual([]);
  });

  test('sorts what is shuffled over several blobs and leaves the root out', async () => {
    const leaf = ca.issue({ names: ['localhost'] });
    const { certificate } = await importBlobs(
      [ca.rootPem, leaf.key, leaf.chain, leaf.cert].map((text) => Buffer.from(text)),
    );
    expect(certificate?.chainPem.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
    expect(certificate?.chainPem.startsWith(new X509Certificate(leaf.cert).toString())).toBe(true);
  });

  test('opens an encrypted key with its passphrase', async () => {
    const leaf = ca.issue({ names: ['localhost'] });
    const key = leaf.privateKey.export({
      type: 'pkcs8',
      format: 'pem',
      cipher: 'aes-256-cbc',
      passphrase: 'open sesame',
    });
    const blobs = [Buffer.from(`${leaf.cert}${leaf.chain}${key}`)];
    const wrong = await refusal(importBlobs(blobs, { passphrase: 'wrong' }));
    expect(wrong.code).toBe(status.INVALID_ARGUMENT);
    expect(checksIn(wrong)).toEqual(['wrong-passphrase']);
    expect(checksIn(await refusal(importBlobs(blobs)))).toEqual(['wrong-passphrase']);
    const { certificate } = await importBlobs(blobs, { passphrase: 'open sesame' });
    expect(certificate?.dnsNames).toEqual(['localhost']);
  });

  test('what a chain lacks is told at the import, and whenever it is asked for', async () => {
    const leaf = ca.issue({ names: ['localhost'] });
    const codes = (of: { checks: { code: string }[] }) => of.checks.map(({ code }) => code);
    const ask = async ({ certificate }: ImportCertificateResponse) => {
      const certificateId = certificate?.id ?? '';
      return [
        await call(operator, operator.getCertificate, { certificateId }),
        await call(operator, operator.previewRotation, { certificateId, options: undefined }),
      ];
    };
    const lacking = await importBlobs(whole(leaf));
    expect(codes(lacking)).toContain('chain-incomplete');
    for (const answer of await ask(lacking)) expect(codes(answer)).toContain('chain-incomplete');
    const rooted = await importBlobs([
      ...whole(ca.issue({ names: ['localhost'] })),
      Buffer.from(ca.rootPem),
    ]);
    expect(codes(rooted)).not.toContain('chain-incomplete');
    for (const answer of await ask(rooted)) {
      expect(codes(answer)).not.toContain('chain-incomplete');
    }
  });

  test('gives the same id for the same leaf and key', async () => {
    const leaf = ca.issue({ names: ['localhost'] });
    const first = await importBlobs(whole(leaf), { label: 'first' });
    const second = await importBlobs(whole(leaf).toReversed(), { label: 'second' });
    expect(second.alreadyPresent).toBe(true);
    expect(second.certificate).toEqual(first.certificate);
  });

  test('keeps the same leaf with another chain beside the first, and says so', async () => {
    const leaf = ca.issue({ names: ['localhost'] });
    const first = await importBlobs(whole(leaf), { label: 'first' });
    const better = whole({ ...leaf, chain: ca.crossSignedIntermediate() });
    const second = await importBlobs(better, { label: 'second' });
    expect(second.alreadyPresent).toBe(false);
    expect(second.certificate?.id).not.toBe(first.certificate?.id);
    expect(second.certificate?.fingerprintSha256).toBe(first.certificate?.fingerprintSha256);
    expect(second.certificate?.chainPem).not.toBe(first.certificate?.chainPem);
    expect(second.checks.at(0)).toMatchObject({
      code: 'leaf-held-already',
      message: expect.stringContaining(first.certificate?.id ?? 'no id'),
    });
    // each is found again by its own chain
    for (const [blobs, { certificate }] of [
      [whole(leaf), first],
      [better, second],
    ] as const) {
      const again = await importBlobs(blobs);
      expect(again).toMatchObject({ alreadyPresent: true, certificate: { id: certificate?.id } });
    }
    const certificateId = second.certificate?.id ?? '';
    const preview = await call(operator, operator.previewRotation, {
      certificateId,
      options: undefined,
    });
    expect(preview.allowed).toBe(true);
  });

  test('keeps one that waits for its time or lacks a name, and says so', async () => {
    const leaf = ca.issue({ names: ['other.example.org'], beginsInDays: 2 });
    const { checks } = await importBlobs(whole(leaf));
    const codes = checks.map(({ code }) => code);
    expect(codes).toContain('not-yet-valid');
    expect(codes).toContain('required-name-missing');
    expect(codes).toContain('name-loss');
  });

  type Blobs = (leaf: Leaf, other: Leaf, foreign: TestCa) => string[];
  const refused: [string, LeafOptions, Blobs, string][] = [
    [
      'another key',
      {} as LeafOptions,
      (leaf, other) => [leaf.cert, leaf.chain, other.key],
      'key-mismatch',
    ],
    ['no key', {} as LeafOptions, (leaf) => [leaf.cert, leaf.chain], 'key-missing'],
    ['no certificate', {} as LeafOptions, (leaf) => [leaf.key], 'leaf-missing'],
    ['no intermediate', {} as LeafOptions, (leaf) => [leaf.cert, leaf.key], 'chain-incomplete'],
    [
      'a foreign intermediate',
      {} as LeafOptions,
      (leaf, _, foreign) => [leaf.cert, leaf.chain, leaf.key, foreign.intermediatePem],
      'unrelated-certificate',
    ],
    [
      'its end past',
      { names: ['localhost'], beginsInDays: -9, endsInDays: -1 },
      (leaf) => [leaf.cert, leaf.chain, leaf.key],
      'expired',
    ],
    [
      'a use for clients only',
      { names: ['localhost'], usage: '1.3.6.1.5.5.7.3.2' },
      (leaf) => [leaf.cert, leaf.chain, leaf.key],
      'no-server-auth',
    ],
    [
      'half of the leaf',
      {} as LeafOptions,
      (leaf) => [`${leaf.cert.slice(0, 300)}\n${leaf.key}`],
      'malformed',
    ],
    ['nothing in it', {} as LeafOptions, () => ['hello'], 'malformed'],
    ['no blob', {} as LeafOptions, () => [], 'malformed'],
  ];
  test.each(refused)('refuses one with %s', async (_, recipe, blobs, code) => {
    const leaf = ca.issue({ ...{ names: ['localhost'] }, ...recipe });
    const other = ca.issue({ names: ['localhost'] });
    const foreign = new TestCa('Foreign');
    const before = await call(operator, operator.listCertificates, {});
    const given = blobs(leaf, other, foreign).map((text) => Buffer.from(text));
    const error = await refusal(importBlobs(given));
    const unreadable = code === 'malformed';
    expect(error.code).toBe(unreadable ? status.INVALID_ARGUMENT : status.FAILED_PRECONDITION);
    expect(checksIn(error)).toContain(code);
    expect(error.details).not.toContain('PRIVATE');
    expect(await call(operator, operator.listCertificates, {})).toEqual(before);
  });

  test('refuses a label that is no label', async () => {
    const leaf = ca.issue({ names: ['localhost'] });
    for (const label of ['a\nb', 'x'.repeat(201)]) {
      const error = await refusal(importBlobs(whole(leaf), { label }));
      expect(error.code).toBe(status.INVALID_ARGUMENT);
    }
  });

  test('refuses more than it takes', async () => {
    const big = await refusal(importBlobs([Buffer.alloc(300 * 1024)]));
    expect(big.code).toBe(status.INVALID_ARGUMENT);
    const huge = await refusal(importBlobs([Buffer.alloc(2 * 1024 * 1024)]));
    expect(huge.code).toBe(status.RESOURCE_EXHAUSTED);
  });
});

describe('signing requests', () => {
  const create = (dnsNames: string[], keyType: KeyType = KeyType.KEY_TYPE_ECDSA_P256) =>
    call(operator, operator.createSigningRequest, { dnsNames, keyType, label: 'csr' });

  test('are completed by the answer of the CA', async () => {
    const { certificate, signingRequestPem } = await create(['localhost', 'MX.Example.org.']);
    expect(certificate).toMatchObject({
      state: CertificateState.CERTIFICATE_STATE_PENDING,
      dnsNames: ['localhost', 'mx.example.org'],
      chainPem: '',
      signingRequestPem,
    });
    const { names, publicKey } = readSigningRequest(signingRequestPem);
    expect(names).toEqual(['localhost', 'mx.example.org']);
    const certificateId = certificate?.id ?? '';

    const pending = await refusal(
      call(operator, operator.previewRotation, { certificateId, options: undefined }),
    );
    expect(pending.code).toBe(status.FAILED_PRECONDITION);

    const wrong = ca.issue({ names: ['localhost'] });
    const mismatch = await refusal(
      call(operator, operator.completeSigningRequest, {
        certificateId,
        blobs: [Buffer.from(wrong.cert + wrong.chain + wrong.key)],
      }),
    );
    expect(checksIn(mismatch)).toContain('key-mismatch');

    const blobs = (await ca.answer(names, publicKey)).map((pem) => Buffer.from(pem));
    const done = await call(operator, operator.completeSigningRequest, { certificateId, blobs });
    expect(done.certificate).toMatchObject({
      id: certificateId,
      state: CertificateState.CERTIFICATE_STATE_AVAILABLE,
      spkiSha256: certificate?.spkiSha256,
      issuer: 'CN=Public Direct',
    });
    const again = await call(operator, operator.completeSigningRequest, { certificateId, blobs });
    expect(again.certificate).toEqual(done.certificate);
    const preview = await call(operator, operator.previewRotation, {
      certificateId,
      options: undefined,
    });
    expect(preview.allowed).toBe(true);
  });

  test('are completed again where the CA has another chain', async () => {
    const { certificate, signingRequestPem } = await create(['localhost']);
    const { names, publicKey } = readSigningRequest(signingRequestPem);
    const leaf = ca.sign(names, publicKey);
    const complete = (...chain: string[]) =>
      call(operator, operator.completeSigningRequest, {
        certificateId: certificate?.id ?? '',
        blobs: [leaf, ...chain].map((pem) => Buffer.from(pem)),
      });
    const first = await complete(ca.intermediatePem);
    expect(first.certificate?.id).toBe(certificate?.id);
    const second = await complete(ca.crossSignedIntermediate());
    expect(second.certificate?.id).not.toBe(certificate?.id);
    expect(second.certificate?.spkiSha256).toBe(first.certificate?.spkiSha256);
    expect(second.checks.map(({ code }) => code)).toContain('leaf-held-already');
  });

  test('take the required names, and any kind of key', async () => {
    const { certificate } = await create([], KeyType.KEY_TYPE_ECDSA_P384);
    expect(certificate).toMatchObject({ dnsNames: ['localhost'], keyType: 'ECDSA P-384' });
  });

  test.each([
    ['an address', ['192.0.2.1']],
    ['too many names', Array.from({ length: 101 }, (_, index) => `n${index}.example.org`)],
  ])('are refused for %s', async (_, names) => {
    expect((await refusal(create(names))).code).toBe(status.INVALID_ARGUMENT);
  });

  test('are refused for a key that nobody knows', async () => {
    const error = await refusal(create(['localhost'], 77 as KeyType));
    expect(error.code).toBe(status.INVALID_ARGUMENT);
  });

  test('can only be completed where there is one', async () => {
    const request = { certificateId: 'ffffffffffffffff', blobs: [] };
    const error = await refusal(call(operator, operator.completeSigningRequest, request));
    expect(error).toMatchObject({ code: status.NOT_FOUND });
    expect(error.details).toContain('ffffffffffffffff');
  });
});

describe('CreateSelfSigned', () => {
  const create = (days: number) =>
    call(operator, operator.createSelfSigned, {
      dnsNames: ['localhost', 'a.example.org'],
      keyType: KeyType.KEY_TYPE_UNSPECIFIED,
      days,
      label: '',
    });

  test('makes one for the days asked for, with a warning', async () => {
    const { certificate, checks } = await create(0);
    expect(certificate).toMatchObject({
      selfSigned: true,
      dnsNames: ['localhost', 'a.example.org'],
    });
    const days = ((certificate?.notAfter?.getTime() ?? 0) - Date.now()) / 86_400_000;
    expect(Math.round(days)).toBe(90);
    expect(checks.map(({ code }) => code)).toContain('self-signed');
  });

  test('refuses more than 825 days', async () => {
    expect((await refusal(create(826))).code).toBe(status.INVALID_ARGUMENT);
  });
});

describe('the certificates held', () => {
  test('are listed newest first, without chains', async () => {
    const { certificates } = await call(operator, operator.listCertificates, {});
    const times = certificates.map(({ createdAt }) => createdAt?.getTime() ?? 0);
    expect(times).toEqual(times.toSorted((a, b) => b - a));
    expect(certificates.every(({ chainPem }) => chainPem === '')).toBe(true);
    const active = certificates.filter(
      ({ state }) => state === CertificateState.CERTIFICATE_STATE_ACTIVE,
    );
    expect(active).toMatchObject([{ dnsNames: ['localhost'], selfSigned: true }]);
  });

  test('are found by the beginning of an id', async () => {
    const { certificates } = await call(operator, operator.listCertificates, {});
    const id = certificates[0]?.id ?? '';
    const { certificate } = await call(operator, operator.getCertificate, {
      certificateId: id.slice(0, 8),
    });
    expect(certificate?.id).toBe(id);
  });

  test.each([
    ['abc', status.INVALID_ARGUMENT],
    ['', status.INVALID_ARGUMENT],
    ["' OR 1=1", status.INVALID_ARGUMENT],
    ['0000000000000000', status.NOT_FOUND],
  ])('"%s" is no id', async (certificateId, code) => {
    const error = await refusal(call(operator, operator.getCertificate, { certificateId }));
    expect(error.code).toBe(code);
  });

  test('can be deleted, but not the active one', async () => {
    const leaf = ca.issue({ names: ['localhost'] });
    const { certificate } = await importBlobs(whole(leaf));
    const certificateId = certificate?.id ?? '';
    await call(operator, operator.deleteCertificate, { certificateId });
    const gone = await refusal(call(operator, operator.getCertificate, { certificateId }));
    expect(gone.code).toBe(status.NOT_FOUND);
    expect((await importBlobs(whole(leaf))).certificate?.id).not.toBe(certificateId);

    const { fleet } = await call(operator, operator.getFleet, {});
    const active = { certificateId: fleet?.activeCertificate?.id ?? '' };
    const error = await refusal(call(operator, operator.deleteCertificate, active));
    expect(error.code).toBe(status.FAILED_PRECONDITION);
  });
});

describe('required names', () => {
  test('are refused where the active certificate does not cover one, unless forced', async () => {
    const names = ['localhost', 'Mail.Example.Org'];
    const error = await refusal(call(operator, operator.setRequiredNames, { names, force: false }));
    expect(error.code).toBe(status.FAILED_PRECONDITION);
    expect(checksIn(error)).toEqual(['required-name-missing']);
    expect(await call(operator, operator.getRequiredNames, {})).toEqual({ names: ['localhost'] });

    const forced = await call(operator, operator.setRequiredNames, { names, force: true });
    expect(forced.names).toEqual(['localhost', 'mail.example.org']);
    const back = { names: ['localhost', 'LOCALHOST'], force: false };
    expect((await call(operator, operator.setRequiredNames, back)).names).toEqual(['localhost']);
  });

  test.each(['*.example.org', '10.0.0.1', 'a b', ''])('"%s" is none', async (name) => {
    const request = { names: [name], force: true };
    const error = await refusal(call(operator, operator.setRequiredNames, request));
    expect(error.code).toBe(status.INVALID_ARGUMENT);
  });
});

describe('the audit trail', () => {
  test('has what was done and what was refused, newest first', async () => {
    const names = ['not.covered.example'];
    await refusal(call(operator, operator.setRequiredNames, { names, force: false }));
    await call(operator, operator.setRequiredNames, { names: ['localhost'], force: false });
    const { events } = await call(operator, operator.listAuditEvents, { limit: 2, beforeId: 0n });
    const actor = 'spiffe://concert/operator/admin';
    expect(events).toMatchObject([
      { actor, action: 'SetRequiredNames', target: 'localhost', outcome: 'ok' },
      { actor, action: 'SetRequiredNames', target: names[0] },
    ]);
    expect(events[1]?.outcome).toMatch(/^FAILED_PRECONDITION: /);
    const beforeId = events[1]?.id ?? 0n;
    const older = await call(operator, operator.listAuditEvents, { limit: 1000, beforeId });
    expect(older.events.every(({ id }) => id < beforeId)).toBe(true);
    expect(older.events.at(-1)).toMatchObject({ action: 'start', target: 'generation 1' });
  });

  test.each([
    ['too long', 1001, ''],
    ['from nowhere', 0, '1152921504606846976'],
  ])('refuses a page %s', async (_, limit, before) => {
    const page = { limit, beforeId: BigInt(before) };
    const error = await refusal(call(operator, operator.listAuditEvents, page));
    expect(error.code).toBe(status.INVALID_ARGUMENT);
  });
});

describe('identities', () => {
  const request = async () => {
    const privateKey = await generateKey('ecdsa-p256');
    return { privateKey, signingRequestPem: createSigningRequest({ names: [], privateKey }) };
  };

  test('renew themselves under the name they have proved', async () => {
    const client = registry.identities('service/imap');
    const { privateKey, signingRequestPem } = await request();
    const { chainPem } = await call(client, client.renewIdentity, { signingRequestPem });
    const certificate = new X509Certificate(chainPem);
    expect(certificate.subjectAltName).toBe('URI:spiffe://concert/service/imap');
    expect(
      certificate.checkPrivateKey(
        createPrivateKey(privateKey.export({ type: 'pkcs8', format: 'pem' })),
      ),
    ).toBe(true);
    expect(certificate.publicKey.equals(createPublicKey(privateKey))).toBe(true);
    expect(certificate.ca).toBe(false);
  });

  test('are issued by an operator', async () => {
    const client = registry.identities();
    const { signingRequestPem } = await request();
    const issue = (identity: string) =>
      call(client, client.issueIdentity, { identity, signingRequestPem });
    const { chainPem, caPem } = await issue('operator/alice');
    const certificate = new X509Certificate(chainPem);
    expect(certificate.subjectAltName).toBe('URI:spiffe://concert/operator/alice');
    expect(certificate.verify(new X509Certificate(caPem).publicKey)).toBe(true);
    for (const identity of ['registry', 'operator/', 'root/x', 'service/a/b', 'service/A', '']) {
      expect((await refusal(issue(identity))).code).toBe(status.INVALID_ARGUMENT);
    }
  });

  test.each([
    '',
    'no PEM at all',
    '-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----',
  ])('are not given for %j', async (signingRequestPem) => {
    const client = registry.identities('service/imap');
    const error = await refusal(call(client, client.renewIdentity, { signingRequestPem }));
    expect(error.code).toBe(status.INVALID_ARGUMENT);
    expect(checksIn(error)).toEqual(['malformed']);
  });
});
