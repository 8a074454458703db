import { createPublicKey, generateKeyPairSync, type X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type TLSSocket } from 'node:tls';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bundleFromPem, bundleToPem } from './bundle-pem.ts';
import { checkBundle } from './checks.ts';
import {
  createCa,
  createSelfSigned,
  createSigningRequest,
  generateKey,
  issueIdentity,
  type KeyType,
  readSigningRequest,
  type SigningRequest,
} from './create.ts';
import { describeCertificate } from './describe.ts';
import { CertificateError } from './errors.ts';
import { isSelfSigned } from './issuance.ts';
import { NameError } from './names.ts';
import { readPem, writePem } from './pem.ts';
import { NOW } from './testing/certificate-factory.ts';

describe('createSelfSigned', () => {
  it.each<[KeyType, string, string]>([
    ['ecdsa-p256', 'ECDSA P-256', 'ECDSA with SHA-256'],
    ['ecdsa-p384', 'ECDSA P-384', 'ECDSA with SHA-384'],
    ['rsa-2048', 'RSA 2048', 'RSA with SHA-256'],
  ])('makes a server certificate with %s', async (keyType, key, signature) => {
    const names = ['Localhost', '*.bücher.example', 'localhost'];
    const bundle = await createSelfSigned({ names, days: 90, now: NOW, keyType });
    expect(describeCertificate(bundle.leaf)).toMatchObject({
      subject: 'CN=localhost',
      issuer: 'CN=localhost',
      dnsNames: ['localhost', '*.xn--bcher-kva.example'],
      notBefore: new Date(NOW.getTime() - 5 * 60_000),
      notAfter: new Date(NOW.getTime() + 90 * 86_400_000),
      keyType: key,
      signatureAlgorithm: signature,
      selfSigned: true,
    });
    const requiredNames = ['localhost', 'x.bücher.example'];
    const checks = checkBundle(bundle, { now: NOW, requiredNames });
    expect(checks.map(({ code }) => code)).toEqual(['self-signed']);
  });

  it('keeps a name that is too long for a common name out of the subject', async () => {
    const name = `${'a'.repeat(60)}.example.org`;
    const { leaf } = await createSelfSigned({ names: [name], days: 1, now: NOW });
    expect(describeCertificate(leaf)).toMatchObject({ subject: '', dnsNames: [name] });
  });

  it('writes dates of 2050 and later', async () => {
    const { leaf } = await createSelfSigned({ names: ['a.example'], days: 36_500, now: NOW });
    expect(leaf.validToDate).toEqual(new Date(NOW.getTime() + 36_500 * 86_400_000));
  });

  it('refuses what is no name, and no name', async () => {
    const options = { days: 1, now: NOW };
    await expect(createSelfSigned({ ...options, names: ['a b'] })).rejects.toThrow(NameError);
    await expect(createSelfSigned({ ...options, names: [] })).rejects.toThrow(RangeError);
  });

  it('survives the way through PEM', async () => {
    const bundle = await createSelfSigned({ names: ['a.example'], days: 1, now: NOW });
    const again = bundleFromPem(bundleToPem(bundle));
    expect(again.chain.map(({ fingerprint256 }) => fingerprint256)).toEqual([
      bundle.leaf.fingerprint256,
    ]);
    expect(again.privateKey.equals(bundle.privateKey)).toBe(true);
    expect(() => bundleFromPem({ chainPem: '', privateKeyPem: '' })).toThrow(CertificateError);
    const { chainPem } = bundleToPem(bundle);
    expect(() => bundleFromPem({ chainPem, privateKeyPem: 'x' })).toThrow(CertificateError);
  });

  it('is accepted in a handshake by a client that trusts it', async () => {
    const bundle = await createSelfSigned({ names: ['localhost'], days: 1, now: new Date() });
    const { chainPem, privateKeyPem } = bundleToPem(bundle);
    await handshake(
      { cert: chainPem, key: privateKeyPem },
      { ca: chainPem, servername: 'localhost' },
    );
  });
});

/** Throws unless the client accepts the server. */
async function handshake(server: object, client: object): Promise<X509Certificate | undefined> {
  const listener = createServer(server).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const accepted = once(listener, 'secureConnection');
  const { port } = listener.address() as AddressInfo;
  const socket = connect({ ...client, port, host: '127.0.0.1' });
  try {
    await once(socket, 'secureConnect');
    const [peer] = (await accepted) as [TLSSocket];
    const certificate = peer.getPeerX509Certificate();
    peer.destroy();
    return certificate;
  } finally {
    socket.destroy();
    listener.close();
  }
}

describe('signing requests', () => {
  it.each<KeyType>(['ecdsa-p256', 'ecdsa-p384', 'rsa-2048'])(
    'go both ways with %s',
    async (type) => {
      const privateKey = await generateKey(type);
      const pem = createSigningRequest({
        names: ['Mail.example.org', '*.example.org'],
        privateKey,
      });
      const request = readSigningRequest(pem);
      expect(request.names).toEqual(['mail.example.org', '*.example.org']);
      expect(request.publicKey.equals(createPublicKey(privateKey))).toBe(true);
    },
  );

  it('need no names', async () => {
    const pem = createSigningRequest({ names: [], privateKey: await generateKey('ecdsa-p256') });
    expect(readSigningRequest(pem).names).toEqual([]);
  });

  it('never say anything that was not signed', async () => {
    const privateKey = await generateKey('ecdsa-p256');
    const [block] = readPem(createSigningRequest({ names: ['a.example'], privateKey }));
    const der = block?.der ?? Buffer.alloc(0);
    fc.assert(
      fc.property(fc.nat(der.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const changed = Buffer.from(der);
        changed[at] = (changed[at] ?? 0) ^ change;
        // asn1js forgives some lengths outside the signed part; nothing that counts may differ.
        let request: SigningRequest;
        try {
          request = readSigningRequest(writePem('CERTIFICATE REQUEST', changed));
        } catch (error) {
          expect(error).toBeInstanceOf(CertificateError);
          return;
        }
        expect(request.names).toEqual(['a.example']);
        expect(request.publicKey.equals(createPublicKey(privateKey))).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it.each([
    '',
    'x',
    '-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----',
  ])('are not %j', (text) => {
    expect(() => readSigningRequest(text)).toThrow(CertificateError);
  });
});

describe('the internal CA', () => {
  it('issues identities for mutual TLS', async () => {
    const now = new Date();
    const ca = await createCa({ commonName: 'Concert', days: 3650, now });
    const privateKey = await generateKey('ecdsa-p256');
    const uri = 'spiffe://concert/service/imap';
    const certificate = issueIdentity({
      ca,
      publicKey: createPublicKey(privateKey),
      uri,
      dnsNames: ['localhost'],
      days: 30,
      now,
    });
    expect(isSelfSigned(ca.certificate)).toBe(true);
    expect(describeCertificate(certificate)).toMatchObject({
      subject: '',
      issuer: 'CN=Concert',
      dnsNames: ['localhost'],
      uris: [uri],
    });
    const identity = {
      cert: certificate.toString(),
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
      ca: ca.certificate.toString(),
    };
    const peer = await handshake(
      { ...identity, requestCert: true, rejectUnauthorized: true },
      { ...identity, servername: 'localhost' },
    );
    expect(peer?.subjectAltName).toContain(uri);
  });

  it('issues nothing that outlives it', async () => {
    const ca = await createCa({ commonName: 'Short', days: 2, now: NOW });
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    const issued = issueIdentity({ ca, publicKey, uri: 'spiffe://x/y', days: 30, now: NOW });
    expect(issued.validToDate).toEqual(ca.certificate.validToDate);
  });
});
