/** DANE in a whole registry, with records that our own updates put into a BIND. */
import { randomBytes } from 'node:crypto';
import {
  type CertRegistryServiceClient,
  CheckSeverity,
  KeyType,
  RotationKind,
  type RotationOptions,
  TlsaUse,
} from '@mail/proto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Named, namedIsMissing, startNamed } from '../dns/testing/named.ts';
import { tsigKey } from '../dns/tsig.ts';
import { updateZone } from '../dns/update.ts';
import { call, checksIn, collect, refusal, TestRegistry } from '../testing/registry-fixture.ts';

const ZONE = 'example.org';
const HOST = `mail.${ZONE}`;
const OWNER = `_25._tcp.${HOST}`;
const SECRET = randomBytes(32).toString('base64');
const KEY = tsigKey('updates', 'hmac-sha256', SECRET);
const PATIENT = { timeout: 20_000, interval: 250 };

let registry: TestRegistry;
let operator: CertRegistryServiceClient;

async function start(settings: Record<string, string>): Promise<void> {
  registry = await TestRegistry.start({ DANE_NAMES: HOST, REGISTRY_NAMES: HOST, ...settings });
  operator = registry.operator();
}
afterEach(() => registry.remove());

const options = (changes: Partial<RotationOptions> = {}): RotationOptions => ({
  require: undefined,
  allowNameLoss: false,
  drainPrevious: false,
  prepareTimeoutMs: 0,
  drainGraceMs: 0,
  allowTlsaMissing: false,
  ...changes,
});

async function selfSigned(): Promise<{ id: string; spkiSha256: string }> {
  const request = { dnsNames: [HOST], keyType: KeyType.KEY_TYPE_UNSPECIFIED, days: 0, label: '' };
  const { certificate } = await call(operator, operator.createSelfSigned, request);
  return { id: certificate?.id ?? '', spkiSha256: certificate?.spkiSha256 ?? '' };
}
const preview = (certificateId: string, changes?: Partial<RotationOptions>) =>
  call(operator, operator.previewRotation, { certificateId, options: options(changes) });
const rotate = (certificateId: string, changes?: Partial<RotationOptions>) =>
  collect(operator.rotateCertificate({ certificateId, options: options(changes) }));
const rollback = (changes?: Partial<RotationOptions>) =>
  collect(operator.rollbackCertificate({ options: options(changes) }));
const records = async () => (await call(operator, operator.listTlsaRecords, {})).records;
const generation = async () => (await call(operator, operator.getFleet, {})).fleet?.generation;

describe.skipIf(namedIsMissing)('with records in a BIND', () => {
  let named: Named;
  beforeAll(async () => {
    const algorithm = 'hmac-sha256';
    named = await startNamed({ zone: ZONE, keyName: 'updates.', algorithm, secret: SECRET });
  });
  afterAll(() => named?.stop());

  const publish = (spkiSha256: string, action: 'add' | 'remove' = 'add') =>
    updateZone({
      server: { host: '127.0.0.1', port: named.port },
      zone: ZONE,
      key: KEY,
      changes: [
        {
          action,
          record: {
            type: 'TLSA',
            name: OWNER,
            ttl: 1,
            ...{ usage: 3, selector: 1, matchingType: 1 },
            data: Buffer.from(spkiSha256, 'hex'),
          },
        },
      ],
    });

  test('a switch waits until every cache has the record of the key, or is forced', async () => {
    await start({ DANE_RESOLVER: `127.0.0.1:${named.port}` });
    const { id, spkiSha256 } = await selfSigned();

    const refused = await refusal(rotate(id));
    expect(checksIn(refused)).toContain('tlsa-not-visible');
    expect(refused.message).toMatch(
      /There is no TLSA record at .*: switch with --allow-tlsa-missing/,
    );
    const { allowed, checks } = await preview(id);
    expect(allowed).toBe(false);
    expect(checks.find(({ code }) => code === 'tlsa-not-visible')?.remedy).toContain(
      `${OWNER}. 3600 IN TLSA 3 1 1 ${spkiSha256}`,
    );
    const forced = await preview(id, { allowTlsaMissing: true });
    expect(forced.allowed).toBe(true);
    expect(forced.checks).toContainEqual(
      expect.objectContaining({
        code: 'tlsa-not-visible',
        severity: CheckSeverity.CHECK_SEVERITY_WARNING,
      }),
    );

    await publish(spkiSha256);
    // the first time that it is seen, caches may still be without it
    const early = await expect
      .poll(async () => (await refusal(rotate(id))).message, PATIENT)
      .toContain('has been visible only since')
      .then(() => records());
    expect(early).toContainEqual(
      expect.objectContaining({ spkiSha256, settled: false, visibleSince: expect.any(Date) }),
    );
    expect(await generation()).toBe(1n);

    await expect
      .poll(
        () =>
          rotate(id).then(
            () => 'switched',
            () => 'refused',
          ),
        PATIENT,
      )
      .toBe('switched');
    const [settled] = await records();
    expect(settled).toMatchObject({
      owner: OWNER,
      spkiSha256,
      use: TlsaUse.TLSA_USE_ACTIVE,
      certificateId: id,
      ttlSeconds: 1,
      settled: true,
      authenticated: false,
      problem: '',
    });

    // back to a key without a record: only by force
    expect(checksIn(await refusal(rollback()))).toContain('tlsa-not-visible');
    expect(await generation()).toBe(2n);

    // a restart forgets nothing
    await registry.stop();
    await registry.start();
    operator = registry.operator();
    expect((await records())[0]?.visibleSince).toEqual(settled?.visibleSince);

    await rollback({ allowTlsaMissing: true });
    expect(await generation()).toBe(3n);
    const { fleet } = await call(operator, operator.getFleet, {});
    expect(fleet?.warnings.join()).toContain('vouches for the active key');
    await publish(spkiSha256, 'remove');
  });
});

test('a resolver that does not answer is neither presence nor absence; ticket seeds go on', async () => {
  await start({ DANE_RESOLVER: '127.0.0.1:1', REGISTRY_TICKET_SEED_AGE: '1s' });
  const { id } = await selfSigned();
  const seeds = async () => {
    const { rotations } = await call(operator, operator.listRotations, { limit: 0, beforeId: 0n });
    return rotations.filter(({ kind }) => kind === RotationKind.ROTATION_KIND_TICKET_SEED).length;
  };
  // a ticket seed that is changing at this moment comes first
  const refused = async () => (await refusal(rotate(id))).message;
  await expect.poll(refused, PATIENT).toMatch(/is not known: .*127\.0\.0\.1:1/);
  await expect.poll(seeds, PATIENT).toBeGreaterThan(0);
  const [active] = await records();
  expect(active).toMatchObject({ use: TlsaUse.TLSA_USE_ACTIVE, settled: false });
  expect(active?.problem).toContain('cannot reach the DNS server');
});
