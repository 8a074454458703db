/** What the registry shows and logs of itself: figures after each kind of event, and request ids. */
import { type ClientUnaryCall, type ServiceError as GrpcError, Metadata } from '@grpc/grpc-js';
import { CertRegistryServiceClient, KeyType } from '@mail/proto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { call, collect, TestRegistry } from './testing/registry-fixture.ts';

let registry: TestRegistry;
beforeEach(async () => {
  registry = await TestRegistry.start();
});
afterEach(() => registry.remove());

/** The value of the one sample that begins so; undefined where there is none. */
async function figure(sample: string): Promise<number | undefined> {
  const lines = (await registry.metrics.expose()).split('\n');
  const line = lines.find((candidate) => candidate.startsWith(`${sample} `));
  return line === undefined ? undefined : Number(line.slice(sample.length + 1));
}

async function selfSigned(): Promise<string> {
  const operator = registry.operator();
  const request = { dnsNames: [], keyType: KeyType.KEY_TYPE_UNSPECIFIED, days: 0, label: '' };
  return (await call(operator, operator.createSelfSigned, request)).certificate?.id ?? '';
}

test('shows the fleet by service and state, and who lags', async () => {
  const imap = registry.subscriber('imap', 'a');
  await imap.hear('welcome');
  const connected = 'concert_registry_subscribers{subscriber="imap",state="connected"}';
  const lost = 'concert_registry_subscribers{subscriber="imap",state="lost"}';
  expect([await figure(connected), await figure(lost)]).toEqual([1, 0]);
  // it has said that it serves nothing yet
  expect(await figure('concert_registry_subscribers_lagging{subscriber="imap"}')).toBe(1);
});

test('counts rotations by kind and outcome from 0 on, and shows the last switch', async () => {
  const incomplete = 'concert_registry_rotations_total{kind="rotate",outcome="incomplete"}';
  expect(await figure(incomplete)).toBe(0);
  const before = await figure('concert_registry_last_switch_timestamp_seconds');
  await collect(
    registry
      .operator()
      .rotateCertificate({ certificateId: await selfSigned(), options: undefined }),
  );
  expect(await figure('concert_generation')).toBe(2);
  expect(await figure('concert_registry_certificates')).toBe(2);
  expect(await figure('concert_registry_last_switch_timestamp_seconds')).toBeGreaterThan(
    before ?? 0,
  );
  const lines = (await registry.metrics.expose()).match(/^concert_registry_rotations_total.* 1$/gm);
  expect(lines).toHaveLength(1);
  expect(await figure('concert_registry_rpcs_total{method="RotateCertificate",code="OK"}')).toBe(1);
});

test('shows when certificate and identity began and when they end', async () => {
  const now = Date.now() / 1000;
  for (const what of ['certificate', 'identity']) {
    expect(await figure(`concert_${what}_not_before_timestamp_seconds`)).toBeLessThanOrEqual(now);
    expect(await figure(`concert_${what}_not_after_timestamp_seconds`)).toBeGreaterThan(now);
  }
});

test('counts who is refused for who they are', async () => {
  const service = registry.client(CertRegistryServiceClient, 'service/imap');
  await expect(call(service, service.listCertificates, {})).rejects.toMatchObject({ code: 7 });
  expect(await figure('concert_registry_denials_total{code="PERMISSION_DENIED"}')).toBe(1);
  expect(
    await figure('concert_registry_rpcs_total{method="ListCertificates",code="PERMISSION_DENIED"}'),
  ).toBe(1);
});

/** The request id in the trailers of a call, and its error. */
function trailerId(given?: string): Promise<{ id: string; error: GrpcError | null }> {
  const metadata = new Metadata();
  if (given !== undefined) metadata.set('x-request-id', given);
  return new Promise((resolve) => {
    let error: GrpcError | null = null;
    const ended: ClientUnaryCall = registry
      .operator()
      .getCertificate({ certificateId: 'none' }, metadata, (failed) => {
        error = failed;
      });
    ended.on('status', ({ metadata: trailers }) => {
      setImmediate(() => resolve({ id: String(trailers.get('x-request-id')[0]), error }));
    });
  });
}

test.each([
  ['a sane one is kept', 'deploy-17.rotate', 'deploy-17.rotate'],
  ['none: one is made', undefined, expect.stringMatching(/^[0-9a-f-]{36}$/)],
  ['one that is too long', 'x'.repeat(65), expect.stringMatching(/^[0-9a-f-]{36}$/)],
  ['one that is no id', 'a b{"', expect.stringMatching(/^[0-9a-f-]{36}$/)],
])('request ids come back with the error: %s', async (_, given, id) => {
  const answer = await trailerId(given);
  expect(answer.id).toEqual(id);
  expect(answer.error).toMatchObject({ code: 3 });
});
