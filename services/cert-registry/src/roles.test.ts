import { Client, credentials, status } from '@grpc/grpc-js';
import { CertRegistryServiceService, IdentityServiceService } from '@mail/proto';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { RegistryError } from './errors.ts';
import { authorise, identityOf, parseIdentity, REGISTRY_IDENTITY, ROLES } from './roles.ts';
import { call, refusal, TestRegistry } from './testing/registry-fixture.ts';

test.each(['service/Imap', 'root/x', 'service/imap/x', ''])('"%s" is no identity', (text) => {
  expect(() => parseIdentity(text)).toThrow(RegistryError);
});

test('what is not in the table nobody may call', () => {
  const forEver = { expiresAt: Number.POSITIVE_INFINITY };
  const operator = { ...parseIdentity('operator/alice'), ...forEver };
  for (const caller of [operator, { ...REGISTRY_IDENTITY, ...forEver }, undefined]) {
    expect(() => authorise('/mail.certs.v1.CertRegistryService/Shutdown', caller, 0)).toThrow(
      expect.objectContaining({ code: 'forbidden' }),
    );
  }
});

test('an identity counts until its certificate ends, and not at that instant', () => {
  const peer = (valid_to: string) =>
    identityOf({
      sslPeerCertificate: { subjectaltname: 'URI:spiffe://concert/operator/alice', valid_to },
    });
  const { path } = CertRegistryServiceService.getFleet;
  const end = Date.UTC(2030, 0, 2, 3, 4, 5);
  const alice = peer('Jan  2 03:04:05 2030 GMT');
  expect(authorise(path, alice, end - 1)).toEqual({
    ...parseIdentity('operator/alice'),
    expiresAt: end,
  });
  for (const caller of [alice, peer('nonsense')]) {
    expect(() => authorise(path, caller, end)).toThrow(
      expect.objectContaining({
        code: 'unauthenticated',
        message: expect.stringContaining('spiffe://concert/operator/alice expired'),
      }),
    );
  }
});

describe('over the wire', () => {
  test('an identity that ends while its connection stays is refused from then on', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const registry = await TestRegistry.start();
    const operator = registry.operator();
    await call(operator, operator.getFleet, {});
    vi.setSystemTime(Date.now() + 91 * 86_400_000);
    const error = await refusal(call(operator, operator.getFleet, {}));
    vi.useRealTimers();
    expect(error.code).toBe(status.UNAUTHENTICATED);
    expect(error.details).toMatch(/operator\/admin expired .*; connect with a renewed one/);
    await registry.remove();
  });

  let registry: TestRegistry;
  let service: Client;
  let operator: Client;
  beforeAll(async () => {
    registry = await TestRegistry.start();
    service = registry.client(Client, 'service/imap');
    operator = registry.client(Client, 'operator/admin');
  });
  afterAll(() => registry.remove());

  const callRaw = (client: Client, path: string) =>
    refusal(
      new Promise((resolve, reject) => {
        const stream = client.makeBidiStreamRequest(
          path,
          (message: Buffer) => message,
          (message: Buffer) => message,
        );
        stream.on('data', () => {});
        stream.on('end', resolve);
        stream.on('error', reject);
        stream.end();
      }),
    );

  const operatorsOnly = [
    ...Object.values(CertRegistryServiceService).map(({ path }) => path),
    IdentityServiceService.issueIdentity.path,
  ];

  test('the table names every method', () => {
    expect(operatorsOnly.every((path) => ROLES.get(path)?.join() === 'operator')).toBe(true);
  });

  test.each(operatorsOnly)(
    'a service may not call %s, and it is in the audit trail',
    async (path) => {
      const error = await callRaw(service, path);
      expect(error.code).toBe(status.PERMISSION_DENIED);
      expect(error.details).toBe(
        `spiffe://concert/service/imap may not call ${path.split('/').at(-1)}; it takes spiffe://concert/operator/NAME`,
      );
      const client = registry.operator();
      const { events } = await call(client, client.listAuditEvents, { limit: 1, beforeId: 0n });
      expect(events).toMatchObject([
        { actor: 'spiffe://concert/service/imap', action: path.split('/').at(-1) },
      ]);
      client.close();
    },
  );

  test('an operator may not subscribe', async () => {
    const error = await callRaw(operator, '/mail.certs.v1.CertSubscriptionService/Subscribe');
    expect(error.code).toBe(status.PERMISSION_DENIED);
  });

  test('a method that is not there is refused, not found out', async () => {
    const error = await callRaw(operator, '/mail.certs.v1.CertRegistryService/Shutdown');
    expect([status.PERMISSION_DENIED, status.UNIMPLEMENTED]).toContain(error.code);
  });

  test('a client without a certificate of this registry fails in TLS', async () => {
    const stranger = await TestRegistry.start();
    const ca = registry.caPem;
    const clients = [
      registry.client(Client, credentials.createSsl(ca)),
      registry.client(Client, stranger.credentials('operator/admin', ca)),
    ];
    for (const client of clients) {
      const error = await callRaw(client, CertRegistryServiceService.getFleet.path);
      expect(error.code).toBe(status.UNAVAILABLE);
    }
    await stranger.remove();
  });
});
