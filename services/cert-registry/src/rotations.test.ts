import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { status } from '@grpc/grpc-js';
import {
  type CertRegistryServiceClient,
  KeyType,
  type RequirePolicy,
  type RotateCertificateResponse,
  RotationKind,
  type RotationOptions,
  RotationState,
  SubscriberPhase,
} from '@mail/proto';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { SWITCH_STEPS, type SwitchStep } from './conductor.ts';
import { RegistryDatabase } from './database.ts';
import { HeldResolver } from './dns/testing/held-resolver.ts';
import { Sqlite } from './sqlite.ts';
import {
  call,
  checksIn,
  collect,
  refusal,
  rotationIn,
  TestRegistry,
  type TestSettings,
} from './testing/registry-fixture.ts';
import { TestCa } from './testing/test-ca.ts';

let registry: TestRegistry;
let operator: CertRegistryServiceClient;
let steps: SwitchStep[];
const ca = new TestCa('Public');

beforeEach(async () => {
  steps = [];
  await start({ REGISTRY_LEASE: '1h' });
});
afterEach(() => registry.remove());

async function start(settings: TestSettings): Promise<void> {
  registry = await TestRegistry.start(settings, { onStep: (step) => steps.push(step) });
  operator = registry.operator();
}

const options = (changes: Partial<RotationOptions> = {}): RotationOptions => ({
  require: undefined,
  allowNameLoss: false,
  drainPrevious: false,
  prepareTimeoutMs: 0,
  drainGraceMs: 0,
  allowTlsaMissing: false,
  ...changes,
});

async function selfSigned(...dnsNames: string[]): Promise<string> {
  const request = { dnsNames, keyType: KeyType.KEY_TYPE_UNSPECIFIED, days: 0, label: '' };
  const { certificate } = await call(operator, operator.createSelfSigned, request);
  return certificate?.id ?? '';
}

const rotate = (certificateId: string, changes?: Partial<RotationOptions>) =>
  collect(operator.rotateCertificate({ certificateId, options: options(changes) }));
const rollback = (changes?: Partial<RotationOptions>) =>
  collect(operator.rollbackCertificate({ options: options(changes) }));
const fleet = async () => (await call(operator, operator.getFleet, {})).fleet;
const history = async () =>
  (await call(operator, operator.listRotations, { limit: 0, beforeId: 0n })).rotations;

async function joined(service: string, instance: string, obedient = true) {
  const subscriber = registry.subscriber(service, instance, { obedient });
  await subscriber.hear('welcome');
  return subscriber;
}

describe('a rotation', () => {
  test('shows each subscriber turning ready, active and verified', async () => {
    await joined('imap', 'a');
    await joined('smtp', 'b');
    const certificateId = await selfSigned('localhost');
    const messages = await rotate(certificateId);
    const phases = messages.flatMap(({ rotation }) =>
      (rotation?.outcomes ?? [])
        .filter(({ service }) => service === 'imap')
        .map(({ phase }) => phase),
    );
    expect([...new Set(phases)]).toEqual([
      SubscriberPhase.SUBSCRIBER_PHASE_PREPARING,
      SubscriberPhase.SUBSCRIBER_PHASE_READY,
      SubscriberPhase.SUBSCRIBER_PHASE_ACTIVE,
      SubscriberPhase.SUBSCRIBER_PHASE_VERIFIED,
    ]);
    const last = messages.at(-1)?.rotation;
    expect(last).toMatchObject({
      kind: RotationKind.ROTATION_KIND_ROTATE,
      state: RotationState.ROTATION_STATE_VERIFIED,
      fromGeneration: 1n,
      toGeneration: 2n,
      toCertificateId: certificateId,
      actor: 'spiffe://concert/operator/admin',
      skewMs: 0,
      failure: '',
    });
    expect(last?.verifiedMs).toBeGreaterThanOrEqual(last?.commitMs ?? Number.NaN);
    expect(await fleet()).toMatchObject({
      generation: 2n,
      activeCertificate: { id: certificateId },
      rotation: undefined,
      subscribers: [
        { service: 'imap', instance: 'a', generation: 2n, lagging: false },
        { service: 'smtp', instance: 'b', generation: 2n, lagging: false },
      ],
    });
    expect(await history()).toEqual([last]);
    expect(steps).toEqual(SWITCH_STEPS.filter((step) => step !== 'aborting'));
  });

  test('brings a fresh ticket seed and the new key', async () => {
    const subscriber = await joined('imap', 'a');
    const { material: before } = await subscriber.hear('welcome');
    await rotate(await selfSigned('localhost'));
    const { material: after } = await subscriber.hear('prepare');
    expect(after?.generation).toBe(2n);
    expect(after?.ticketSeed.equals(before?.ticketSeed ?? Buffer.alloc(0))).toBe(false);
    expect(after?.privateKeyPem).not.toBe(before?.privateKeyPem);
  });

  test('works without any subscriber', async () => {
    const [last] = (await rotate(await selfSigned('localhost'))).slice(-1);
    expect(last?.rotation?.toGeneration).toBe(2n);
  });

  test('that is rejected switches nothing and says who and why', async () => {
    const good = await joined('smtp', 'good');
    const bad = await joined('imap', 'bad', false);
    const outcome = refusal(rotate(await selfSigned('localhost')));
    const { material, nonce } = await bad.hear('prepare');
    bad.say('rejected', {
      generation: material?.generation ?? 0n,
      nonce,
      code: 'unusable-material',
      detail: 'no curve in common',
    });
    const error = await outcome;
    expect(error.code).toBe(status.ABORTED);
    expect(error.details).toContain('imap bad');
    const outcomes = rotationIn(error)?.outcomes;
    expect(outcomes).toContainEqual(
      expect.objectContaining({
        instance: 'bad',
        phase: SubscriberPhase.SUBSCRIBER_PHASE_REJECTED,
        code: 'unusable-material',
        detail: 'no curve in common',
      }),
    );
    await good.hear('abort');
    expect(await fleet()).toMatchObject({ generation: 1n });
    const [kept] = await history();
    expect(kept).toEqual(rotationIn(error));
    expect(steps).not.toContain('committing');
  });

  test('that one is late for switches nothing', async () => {
    await joined('imap', 'slow', false);
    const error = await refusal(rotate(await selfSigned('localhost'), { prepareTimeoutMs: 100 }));
    expect(error.code).toBe(status.ABORTED);
    expect(rotationIn(error)).toMatchObject({
      state: RotationState.ROTATION_STATE_ABORTED,
      toGeneration: 0n,
      outcomes: [{ phase: SubscriberPhase.SUBSCRIBER_PHASE_LATE }],
    });
  });

  test('does not begin without one that is lost while its lease runs', async () => {
    const lost = await joined('imap', 'lost');
    await joined('smtp', 'b');
    lost.stream.cancel();
    await lost.over;
    const error = await refusal(rotate(await selfSigned('localhost'), { prepareTimeoutMs: 100 }));
    expect(error.code).toBe(status.ABORTED);
    expect(error.details).toContain('imap lost');
  });

  test('waits for one that is lost, and goes on once its lease is out', async () => {
    await registry.remove();
    await start({ REGISTRY_LEASE: '1s' });
    const lost = await joined('imap', 'lost');
    lost.stream.cancel();
    await lost.over;
    const messages = await rotate(await selfSigned('localhost'), { prepareTimeoutMs: 60_000 });
    expect(messages.at(-1)?.rotation).toMatchObject({
      toGeneration: 2n,
      outcomes: [{ phase: SubscriberPhase.SUBSCRIBER_PHASE_LOST, required: false }],
    });
    const { subscribers, warnings } = (await fleet()) ?? {};
    expect(subscribers).toEqual([]);
    expect(warnings).toContainEqual(expect.stringMatching(/^lost for a whole lease.*: imap lost$/));
    // and the next ones say so too
    const next = await rotate(await selfSigned('localhost'));
    expect(next.at(-1)?.rotation).toMatchObject({
      state: RotationState.ROTATION_STATE_VERIFIED,
      outcomes: [{ instance: 'lost', code: 'lease-expired', required: false }],
    });
  });

  const policies: [string, RequirePolicy['policy']][] = [
    ['nobody', { $case: 'none', value: {} }],
    ['others', { $case: 'services', value: { services: ['smtp'] } }],
  ];
  test.each(policies)('leaves a late one behind where it requires %s', async (_, policy) => {
    await joined('smtp', 'b');
    const slow = await joined('imap', 'slow', false);
    const messages = await rotate(await selfSigned('localhost'), {
      require: { policy },
      prepareTimeoutMs: 100,
    });
    expect(messages.at(-1)?.rotation).toMatchObject({
      toGeneration: 2n,
      state: RotationState.ROTATION_STATE_INCOMPLETE,
    });
    // it hears of the committed generation all the same
    await slow.hear('welcome', ({ material }) => material?.generation === 2n);
    expect((await fleet())?.warnings).toEqual(['not on the active generation: imap slow']);
  });

  test('drains the previous generation when told to, also those who come later', async () => {
    const subscriber = await joined('imap', 'a');
    await rotate(await selfSigned('localhost'), { drainPrevious: true, drainGraceMs: 7 });
    expect(await subscriber.hear('drain')).toEqual({ belowGeneration: 2n, graceMs: 7 });
    await registry.stop();
    await registry.start();
    operator = registry.operator();
    const later = registry.subscriber('imap', 'later', { generation: 2n });
    expect(await later.hear('drain')).toEqual({ belowGeneration: 2n, graceMs: 7 });
  });

  test('lets nobody add required names that its certificate was not checked for', async () => {
    await rotate(await selfSigned('localhost', 'extra.example.org'));
    const slow = await joined('imap', 'slow', false);
    const next = await selfSigned('localhost');
    const rotation = rotate(next, { allowNameLoss: true });
    const { material, nonce } = await slow.hear('prepare');
    const set = (...names: string[]) =>
      call(operator, operator.setRequiredNames, { names, force: false });
    const refused = await refusal(set('localhost', 'extra.example.org'));
    expect(refused.code).toBe(status.FAILED_PRECONDITION);
    expect(refused.details).toContain(`rotation to certificate ${next} is under way`);
    slow.say('ready', { generation: material?.generation ?? 0n, nonce });
    // committed: from here on the names are judged by the new certificate
    await slow.hear('activate');
    const uncovered = await refusal(set('localhost', 'extra.example.org'));
    expect(checksIn(uncovered)).toEqual(['required-name-missing']);
    expect((await set('localhost')).names).toEqual(['localhost']);
    slow.stream.cancel();
    await rotation;
  });

  test('goes on when its caller goes away', async () => {
    const slow = await joined('imap', 'slow', false);
    const certificateId = await selfSigned('localhost');
    const stream = operator.rotateCertificate({ certificateId, options: options() });
    const { material, nonce } = await slow.hear('prepare');
    const gone = once(stream, 'error');
    stream.cancel();
    await gone;
    slow.say('ready', { generation: material?.generation ?? 0n, nonce });
    expect(await slow.hear('activate')).toMatchObject({ generation: 2n });
    slow.stream.end();
    await slow.over;
    const { activeCertificate } = (await fleet()) ?? {};
    expect(activeCertificate?.id).toBe(certificateId);
  });
});

describe('a rotation is refused', () => {
  test('while another is under way, with no trace in the history', async () => {
    const slow = await joined('imap', 'slow', false);
    const first = await selfSigned('localhost');
    const second = await selfSigned('localhost');
    const running: RotateCertificateResponse[] = [];
    const end = collect(
      operator.rotateCertificate({ certificateId: first, options: options() }),
      running,
    );
    const { material, nonce } = await slow.hear('prepare');
    for (const attempt of [rotate(second), rollback(), rotate(first)]) {
      const error = await refusal(attempt);
      expect(error.code).toBe(status.FAILED_PRECONDITION);
    }
    const inUse = await refusal(
      call(operator, operator.deleteCertificate, { certificateId: first }),
    );
    expect(inUse).toMatchObject({ code: status.FAILED_PRECONDITION });
    expect((await fleet())?.rotation).toMatchObject({ toCertificateId: first });
    slow.say('ready', { generation: material?.generation ?? 0n, nonce });
    const { atNs } = await slow.hear('activate');
    const fingerprintSha256 = material?.fingerprintSha256 ?? '';
    slow.say('activated', { generation: 2n, fingerprintSha256, atNs });
    slow.say('verified', {
      generation: 2n,
      ports: [{ listener: 'x', fingerprintSha256, error: '' }],
    });
    await end;
    expect(await history()).toHaveLength(1);
  });

  test('for a certificate that fails a check, and preview says the same', async () => {
    const leaf = ca.issue({ names: ['other.example.org'] });
    const { certificate } = await call(operator, operator.importCertificate, {
      blobs: [Buffer.from(leaf.cert + leaf.chain + leaf.key)],
      passphrase: '',
      label: '',
    });
    const certificateId = certificate?.id ?? '';
    await joined('imap', 'a');
    const preview = await call(operator, operator.previewRotation, {
      certificateId,
      options: options(),
    });
    expect(preview).toMatchObject({
      allowed: false,
      namesGained: ['other.example.org'],
      namesLost: ['localhost'],
      participants: [{ service: 'imap', instance: 'a', required: true }],
    });
    const error = await refusal(rotate(certificateId));
    expect(error.code).toBe(status.FAILED_PRECONDITION);
    expect(checksIn(error)).toEqual(preview.checks.map(({ code }) => code));
    expect(checksIn(error)).toEqual(expect.arrayContaining(['required-name-missing', 'name-loss']));
    expect(await history()).toEqual([]);
  });

  test('for names lost, unless they may be; never for required ones', async () => {
    await rotate(await selfSigned('localhost', 'old.example.org'));
    const next = await selfSigned('localhost', 'new.example.org');
    expect(checksIn(await refusal(rotate(next)))).toContain('name-loss');
    const messages = await rotate(next, { allowNameLoss: true });
    expect(messages.at(-1)?.rotation?.toGeneration).toBe(3n);
    const without = await selfSigned('new.example.org');
    const error = await refusal(rotate(without, { allowNameLoss: true }));
    expect(checksIn(error)).toContain('required-name-missing');
  });

  const unreadable: [string, Partial<RotationOptions>, status][] = [
    ['a time-out of hours', { prepareTimeoutMs: 400_000 }, status.INVALID_ARGUMENT],
    [
      'an endless drain',
      { drainPrevious: true, drainGraceMs: 2 ** 32 - 1 },
      status.INVALID_ARGUMENT,
    ],
    [
      'no service at all',
      { require: { policy: { $case: 'services', value: { services: [] } } } },
      status.INVALID_ARGUMENT,
    ],
    [
      'a service that is not there',
      { require: { policy: { $case: 'services', value: { services: ['pop'] } } } },
      status.FAILED_PRECONDITION,
    ],
  ];
  test.each(unreadable)('for %s', async (_, changes, code) => {
    expect((await refusal(rotate(await selfSigned('localhost'), changes))).code).toBe(code);
    expect((await fleet())?.generation).toBe(1n);
  });

  test('for a certificate that is not there', async () => {
    const error = await refusal(rotate(randomBytes(8).toString('hex')));
    expect(error.code).toBe(status.NOT_FOUND);
  });
});

test('no other rotation begins from the checks of one on', async () => {
  const resolver = await HeldResolver.start();
  try {
    await registry.remove();
    await start({ DANE_NAMES: 'localhost', DANE_RESOLVER: resolver.address });
    const [first, second] = [await selfSigned('localhost'), await selfSigned('localhost')];
    const refused = refusal(rotate(first));
    await resolver.asked();
    const underWay = new RegExp(`a rotation to certificate ${first} is under way`);
    expect((await refusal(rotate(second))).details).toMatch(underWay);
    const remove = call(operator, operator.deleteCertificate, { certificateId: first });
    expect((await refusal(remove)).details).toMatch(underWay);
    resolver.letGo();
    expect(checksIn(await refused)).toContain('tlsa-not-visible');
    // and what was refused is in nobody's way
    const [last] = (await rotate(second, { allowTlsaMissing: true })).slice(-1);
    expect(last?.rotation?.toGeneration).toBe(2n);
  } finally {
    resolver.stop();
  }
});

describe('a rollback', () => {
  test('goes to the certificate before, and back again, each a new generation', async () => {
    const none = await refusal(rollback());
    expect(none.code).toBe(status.FAILED_PRECONDITION);
    const first = (await fleet())?.activeCertificate?.id;
    const second = await selfSigned('localhost');
    await rotate(second);
    const back = (await rollback()).at(-1)?.rotation;
    expect(back).toMatchObject({
      kind: RotationKind.ROTATION_KIND_ROLLBACK,
      fromCertificateId: second,
      toCertificateId: first,
      toGeneration: 3n,
    });
    const forth = (await rollback()).at(-1)?.rotation;
    expect(forth).toMatchObject({ toCertificateId: second, toGeneration: 4n });
  });

  test('is refused when that certificate has been deleted', async () => {
    const certificateId = (await fleet())?.activeCertificate?.id ?? '';
    await rotate(await selfSigned('localhost'));
    await call(operator, operator.deleteCertificate, { certificateId });
    const error = await refusal(rollback());
    expect(error.code).toBe(status.FAILED_PRECONDITION);
    expect(error.details).toContain(certificateId);
  });

  test('is held to the checks of any rotation', async () => {
    await rotate(await selfSigned('localhost', 'new.example.org'));
    expect(checksIn(await refusal(rollback()))).toContain('name-loss');
    const messages = await rollback({ allowNameLoss: true });
    expect(messages.at(-1)?.rotation?.toGeneration).toBe(3n);
  });
});

describe('the history', () => {
  test('comes in pages, newest first', async () => {
    await rotate(await selfSigned('localhost'));
    await rollback();
    const page = { limit: 1, beforeId: 0n };
    const [newest] = (await call(operator, operator.listRotations, page)).rotations;
    expect(newest?.toGeneration).toBe(3n);
    const next = { limit: 1, beforeId: newest?.id ?? 0n };
    const [older] = (await call(operator, operator.listRotations, next)).rotations;
    expect(older?.toGeneration).toBe(2n);
  });
});

describe('a full disk', () => {
  test('refuses rotations in plain words, and the registry serves on', async () => {
    const opened = vi.spyOn(Sqlite.prototype, 'pragma');
    await registry.remove();
    await start({ REGISTRY_LEASE: '1h' });
    const sqlite = opened.mock.contexts.at(-1) as Sqlite<unknown> | undefined;
    opened.mockRestore();
    let died: unknown;
    registry.failed?.catch((error) => {
      died = error;
    });
    const ids = [await selfSigned('localhost'), await selfSigned('localhost')];
    const pages = Number(sqlite?.pragma('page_count'));
    sqlite?.execute(`PRAGMA max_page_count = ${pages}`);
    // what is written goes into pages that have room left, and sooner or later none has
    let refused: Error | undefined;
    for (let round = 0; round < 100 && refused === undefined; round += 1) {
      await rotate(ids[round % 2] ?? '').catch((error) => {
        refused = error;
      });
    }
    expect(refused?.message).toMatch(/the disk that holds the registry’s database is full/);
    const imports = Promise.all(Array.from({ length: 10 }, () => selfSigned('localhost')));
    expect((await refusal(imports)).code).toBe(status.RESOURCE_EXHAUSTED);
    const remember = vi.spyOn(RegistryDatabase.prototype, 'rememberSubscriber');
    remember.mockImplementationOnce(() => {
      throw Object.assign(new Error('database or disk is full'), { errcode: 13 });
    });
    const subscriber = await joined('imap', 'newcomer');
    expect(remember).toHaveBeenCalled();
    expect(died).toBeUndefined();

    sqlite?.execute(`PRAGMA max_page_count = ${pages + 1_000}`);
    const [last] = (await rotate(ids[0] ?? '')).slice(-1);
    expect(last?.rotation?.outcomes).toMatchObject([{ service: 'imap', instance: 'newcomer' }]);
    await subscriber.hear('activate');
    const open = (await history()).filter(({ finishedAt }) => finishedAt === undefined);
    expect(open).toEqual([]);
  });
});
