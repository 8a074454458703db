import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { certificateLabel, describeCertificate, describeKey } from './describe.ts';
import { ecKey, issue } from './testing/certificate-factory.ts';

describe('describeCertificate', () => {
  it('writes names as RFC 4514 has them', () => {
    const { certificate } = issue({
      subject: [
        ['2.5.4.6', 'CH'],
        ['2.5.4.10', ' Smith, Jones + "Co" '],
        ['1.2.3.4', 'x'],
        ['2.5.4.3', '#a\u001b[31m'],
      ],
    });
    expect(describeCertificate(certificate).subject).toBe(
      'CN=\\#a\\1b[31m,1.2.3.4=#0c0178,O=\\ Smith\\, Jones \\+ \\"Co\\"\\ ,C=CH',
    );
  });

  it('gives the facts in the terms of the contract', () => {
    const root = issue({ subject: 'Root', ca: true });
    const { certificate } = issue({
      subject: 'mail.example.org',
      issuer: root,
      dnsNames: ['Mail.Example.org', 'mail.example.org', '*.example.org'],
    });
    expect(describeCertificate(certificate)).toEqual({
      fingerprintSha256: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
      subject: 'CN=mail.example.org',
      issuer: 'CN=Root',
      serialNumber: certificate.serialNumber.toLowerCase(),
      dnsNames: ['mail.example.org', '*.example.org'],
      uris: [],
      notBefore: certificate.validFromDate,
      notAfter: certificate.validToDate,
      keyType: 'ECDSA P-256',
      signatureAlgorithm: 'ECDSA with SHA-256',
      spkiSha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      selfSigned: false,
    });
    expect(describeCertificate(root.certificate).selfSigned).toBe(true);
  });

  it.each([
    ['ECDSA P-384', ecKey('secp384r1')],
    ['ECDSA brainpoolP256r1', ecKey('brainpoolP256r1')],
    ['RSA 2048', generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey],
    ['Ed25519', generateKeyPairSync('ed25519').privateKey],
  ])('calls a key %s', (expected, key) => {
    expect(describeKey(key)).toBe(expected);
  });

  it('finds something to call a certificate without subject', () => {
    const named = issue({ subject: [], dnsNames: ['a.example'] }).certificate;
    expect(certificateLabel(named)).toBe('a.example');
    const nameless = issue({ subject: [] }).certificate;
    expect(certificateLabel(nameless)).toBe(`serial ${nameless.serialNumber.toLowerCase()}`);
  });
});
