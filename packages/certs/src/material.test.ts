import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:tls';
import type { Material as MaterialMessage } from '@mail/proto';
import { describe, expect, it } from 'vitest';
import { buildMaterial, refuseExpired } from './material.ts';
import { deriveTicketKeys, secureContextOptions } from './secure-context.ts';
import { makeTestMaterial } from './testing/self-signed.ts';

describe('buildMaterial', () => {
  it.each(['ecdsa-p256', 'ecdsa-p384', 'rsa-2048'] as const)(
    'builds and proves %s',
    async (keyType) => {
      const message = await makeTestMaterial({ generation: 7, keyType });
      const material = await buildMaterial(message, 'imap');
      expect(material).toMatchObject({
        generation: 7,
        certificateId: message.certificateId,
        fingerprintSha256: message.fingerprintSha256,
        chainPem: message.chainPem,
      });
      expect(material.notAfter.getTime()).toBeGreaterThan(Date.now());
      expect(Object.isFrozen(material)).toBe(true);
      expect(JSON.stringify(material)).not.toContain('PRIVATE');
    },
  );

  const unusable: [string, (good: MaterialMessage) => Promise<Partial<MaterialMessage>>][] = [
    ['no chain', async () => ({ chainPem: '' })],
    ['a chain that is no PEM', async () => ({ chainPem: 'nonsense' })],
    ['a key that is no PEM', async () => ({ privateKeyPem: 'nonsense' })],
    ['another key', async () => ({ privateKeyPem: (await makeTestMaterial()).privateKeyPem })],
    ['another leaf than announced', async () => ({ fingerprintSha256: 'ab'.repeat(32) })],
    ['a short ticket seed', async () => ({ ticketSeed: randomBytes(31) })],
    [
      'garbage behind the leaf',
      async ({ chainPem }) => ({
        chainPem: `${chainPem}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`,
      }),
    ],
  ];
  it.each(unusable)('refuses %s', async (_, spoil) => {
    const good = await makeTestMaterial();
    const refusal = buildMaterial({ ...good, ...(await spoil(good)) }, 'imap');
    await expect(refusal).rejects.toMatchObject({ name: 'CertsError', code: 'unusable-material' });
    await expect(refusal).rejects.not.toThrow(/PRIVATE|MII/);
  });
});

it('builds what has expired, and lets whoever does not serve it yet refuse it', async () => {
  const madeAt = new Date(Date.now() - 91 * 86_400_000);
  const old = await buildMaterial(await makeTestMaterial({ madeAt }), 'imap');
  expect(() => refuseExpired(old)).toThrow(expect.objectContaining({ code: 'unusable-material' }));
  const fresh = await buildMaterial(await makeTestMaterial(), 'imap');
  expect(() => refuseExpired(fresh)).not.toThrow();
});

describe('the handshake in memory', () => {
  it('finds what no look at the parts does: a curve that no TLS 1.3 client takes', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'secp256k1' });
    const refusal = buildMaterial(await makeTestMaterial({ privateKey }), 'imap');
    await expect(refusal).rejects.toMatchObject({ code: 'self-handshake-failed' });
    await expect(refusal).rejects.toThrow(/^TLSv1\.3 in memory: /);
  });
});

describe('secureContextOptions', () => {
  it('is whole for whatever material: nothing is left to defaults that could change', async () => {
    const first = secureContextOptions(await makeTestMaterial(), 'imap');
    const second = secureContextOptions(await makeTestMaterial({ keyType: 'rsa-2048' }), 'smtp');
    const names = [
      'ca', 'cert', 'ciphers', 'ecdhCurve', 'honorCipherOrder', 'key', 'maxVersion', 'minVersion',
      'secureOptions', 'sessionIdContext', 'sessionTimeout', 'ticketKeys',
    ]; // biome-ignore format: a list
    for (const options of [first, second]) {
      expect(Object.keys(options).toSorted()).toEqual(names);
      for (const value of Object.values(options)) expect(value).toBeDefined();
      expect(options.minVersion).toBe('TLSv1.2');
    }
    expect(first.sessionIdContext).not.toBe(second.sessionIdContext);
  });

  it('gives each service its own ticket keys from one seed', () => {
    const seed = randomBytes(32);
    expect(deriveTicketKeys(seed, 'imap')).toHaveLength(48);
    expect(deriveTicketKeys(seed, 'imap')).toEqual(deriveTicketKeys(Buffer.from(seed), 'imap'));
    expect(deriveTicketKeys(seed, 'imap')).not.toEqual(deriveTicketKeys(seed, 'pop3'));
    expect(deriveTicketKeys(seed, 'imap')).not.toEqual(deriveTicketKeys(randomBytes(32), 'imap'));
  });

  it('refuses TLS 1.1 and TLS 1.2 without forward secrecy', async () => {
    const server = createServer(secureContextOptions(await makeTestMaterial(), 'imap'));
    server.on('tlsClientError', () => {});
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    for (const offer of [
      { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' },
      { maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256' },
      { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA' },
    ] as const) {
      const client = connect({ port, rejectUnauthorized: false, ...offer });
      const [error] = await once(client, 'error');
      expect(error.code).toMatch(/^ERR_SSL|ECONNRESET/);
    }
    server.close();
  });
});
