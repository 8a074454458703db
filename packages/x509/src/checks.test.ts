import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { CertificateBundle } from './chain.ts';
import { type CheckOptions, checkBundle } from './checks.ts';
import {
  daysFromNow,
  ecKey,
  hierarchy,
  type Issued,
  issue,
  NOW,
  type Recipe,
} from './testing/certificate-factory.ts';

const { root, intermediate, leaf } = hierarchy();

function bundleOf(...issued: [Issued, ...Issued[]]): CertificateBundle {
  const chain = issued.map(({ certificate }) => certificate);
  return { leaf: issued[0].certificate, chain, privateKey: issued[0].privateKey };
}

/** Findings as "error code" and "warning code". */
function findings(bundle: CertificateBundle, options: Partial<CheckOptions> = {}): string[] {
  return checkBundle(bundle, { now: NOW, requiredNames: [], ...options }).map(
    ({ severity, code }) => `${severity} ${code}`,
  );
}

const leafWith = (recipe: Partial<Recipe>): CertificateBundle =>
  bundleOf(issue({ subject: 'mail.example.org', issuer: intermediate, ...recipe }), intermediate);

const rsaKey = (modulusLength: number) => generateKeyPairSync('rsa', { modulusLength }).privateKey;

describe('checkBundle', () => {
  it('finds nothing wrong with a good one', () => {
    expect(findings(bundleOf(leaf, intermediate), { requiredNames: ['mail.example.org'] })).toEqual(
      [],
    );
  });

  it.each<[what: string, bundle: CertificateBundle, expected: string[]]>([
    ['expired', leafWith({ notAfter: daysFromNow(-1) }), ['error expired']],
    ['not yet valid', leafWith({ notBefore: daysFromNow(1) }), ['error not-yet-valid']],
    ['its last second', leafWith({ notAfter: NOW }), ['warning expires-soon']],
    ['its first second', leafWith({ notBefore: NOW }), []],
    [
      'an expired intermediate',
      (() => {
        const old = issue({
          subject: 'Old',
          ca: true,
          issuer: root,
          notAfter: daysFromNow(-1),
        });
        return bundleOf(issue({ subject: 'x', issuer: old }), old);
      })(),
      ['error expired'],
    ],
    ['soon to expire', leafWith({ notAfter: daysFromNow(13) }), ['warning expires-soon']],
    ['a while to go', leafWith({ notAfter: daysFromNow(15) }), []],
    [
      'a six-day certificate on its second day',
      leafWith({ notBefore: daysFromNow(-1), notAfter: daysFromNow(5) }),
      [],
    ],
    [
      'a six-day certificate on its fifth day',
      leafWith({ notBefore: daysFromNow(-4.5), notAfter: daysFromNow(1.5) }),
      ['warning expires-soon'],
    ],
    ['RSA 1024', leafWith({ privateKey: rsaKey(1024) }), ['error weak-key']],
    ['RSA 2048', leafWith({ privateKey: rsaKey(2048) }), []],
    ['P-384', leafWith({ privateKey: ecKey('secp384r1') }), []],
    ['P-521', leafWith({ privateKey: ecKey('secp521r1') }), []],
    ['secp256k1', leafWith({ privateKey: ecKey('secp256k1') }), ['error weak-key']],
    [
      'DSA',
      leafWith({
        privateKey: generateKeyPairSync('dsa', { modulusLength: 1024, divisorLength: 160 })
          .privateKey,
      }),
      ['error weak-key'],
    ],
    [
      'Ed25519',
      leafWith({ privateKey: generateKeyPairSync('ed25519').privateKey }),
      ['warning weak-key'],
    ],
    ['SHA-1', leafWith({ signature: 'ecdsa-sha1' }), ['error weak-signature']],
    [
      'SHA-1 under its own key',
      bundleOf(issue({ subject: 'self', signature: 'ecdsa-sha1' })),
      ['warning self-signed'],
    ],
    ['serverAuth', leafWith({ extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'] }), []],
    ['any purpose', leafWith({ extendedKeyUsage: ['2.5.29.37.0'] }), []],
    [
      'clientAuth only',
      leafWith({ extendedKeyUsage: ['1.3.6.1.5.5.7.3.2'] }),
      ['error no-server-auth'],
    ],
    ['digitalSignature', leafWith({ keyUsage: 0x80 }), []],
    ['keyEncipherment only', leafWith({ keyUsage: 0x20 }), ['error no-server-auth']],
    [
      'an intermediate for clients only',
      (() => {
        const clients = issue({
          subject: 'Clients',
          ca: true,
          issuer: root,
          extendedKeyUsage: ['1.3.6.1.5.5.7.3.2'],
        });
        return bundleOf(issue({ subject: 'x', issuer: clients }), clients);
      })(),
      ['error no-server-auth'],
    ],
    ['self-signed', bundleOf(issue({ subject: 'self' })), ['warning self-signed']],
    [
      "another's key",
      { ...bundleOf(leaf, intermediate), privateKey: ecKey() },
      ['error key-mismatch'],
    ],
    ['a chain that does not hold', bundleOf(leaf, root), ['error chain-disorder']],
  ])('%s', (_, bundle, expected) => {
    expect(findings(bundle)).toEqual(expected);
  });

  it('finds an RSA signature by MD5', () => {
    const signer = issue({
      subject: 'RSA Root',
      ca: true,
      privateKey: rsaKey(2048),
      signature: 'rsa-sha256',
    });
    const end = issue({ subject: 'x', issuer: signer, signature: 'rsa-md5' });
    expect(findings(bundleOf(end, signer))).toEqual(['error weak-signature']);
  });

  it('wants every required name, and the active names unless they may be lost', () => {
    const bundle = leafWith({ dnsNames: ['*.example.org', 'bücher.example'] });
    const requiredNames = ['imap.example.org', 'a.b.example.org', 'example.org'];
    const activeNames = ['pop.example.org', 'pop.example.net'];
    expect(findings(bundle, { requiredNames, activeNames })).toEqual([
      'error required-name-missing',
      'error required-name-missing',
      'error name-loss',
    ]);
    expect(findings(bundle, { requiredNames, activeNames, allowNameLoss: true })).toEqual([
      'error required-name-missing',
      'error required-name-missing',
      'warning name-loss',
    ]);
  });

  it('does not take a common name for a name', () => {
    expect(findings(leafWith({}), { requiredNames: ['mail.example.org'] })).toEqual([
      'error required-name-missing',
    ]);
  });

  it('calls the leaf as the caller does, and the others by their subject', () => {
    const old = issue({ subject: 'Old', ca: true, issuer: root, notAfter: daysFromNow(-1) });
    const bundle = bundleOf(issue({ subject: 'x', issuer: old, notAfter: daysFromNow(-1) }), old);
    const checks = checkBundle(bundle, { now: NOW, requiredNames: [], certificate: 'c-123' });
    expect(checks.map(({ certificate }) => certificate)).toEqual(['c-123', 'CN=Old']);
  });
});
