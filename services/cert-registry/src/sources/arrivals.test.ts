import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { type Source, SourceState } from '@mail/proto';
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { readConfig } from '../config.ts';
import { RegistryDatabase } from '../database.ts';
import { HeldResolver } from '../dns/testing/held-resolver.ts';
import { Sqlite } from '../sqlite.ts';
import {
  call,
  collect,
  refusal,
  rotationIn,
  TestRegistry,
  type TestSettings,
  type TestSubscriber,
} from '../testing/registry-fixture.ts';
import { type Leaf, TestCa } from '../testing/test-ca.ts';

const SOON = { timeout: 10_000, interval: 10 };

let ca: TestCa;
let folder: string;
let registry: TestRegistry;

beforeAll(() => {
  ca = new TestCa('Public');
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'arrivals-'));
});
afterEach(async () => {
  await registry.remove();
  rmSync(folder, { recursive: true, force: true });
});

async function start(settings: TestSettings = {}): Promise<void> {
  registry = await TestRegistry.start({
    FOLDER_PATH: folder,
    FOLDER_INTERVAL: '50ms',
    ...settings,
  });
}

function bring({ cert, chain, key }: Leaf): void {
  writeFileSync(join(folder, 'all.pem'), cert + chain + key);
}

async function source(): Promise<Source | undefined> {
  const operator = registry.operator();
  return (await call(operator, operator.listSources, {})).sources[0];
}

const untilState = (state: SourceState, detail = /./) =>
  vi.waitFor(async () => {
    const found = await source();
    expect(found).toMatchObject({ state, detail: expect.stringMatching(detail) });
    return found;
  }, SOON);

const run = () => collect(registry.operator().runSource({ name: 'folder', force: false }));

/** Refuses every switch. */
async function refuser(): Promise<TestSubscriber> {
  const subscriber = registry.subscriber('imap', 'a', { obedient: false });
  subscriber.stream.on('data', ({ message }) => {
    if (message?.$case !== 'prepare') return;
    const { material, nonce } = message.value;
    const generation = material?.generation ?? 0n;
    subscriber.say('rejected', { generation, nonce, code: 'no', detail: 'not this one' });
  });
  await subscriber.hear('welcome');
  return subscriber;
}

async function rotateByHand(names: readonly string[]): Promise<string> {
  const operator = registry.operator();
  const { cert, chain, key } = ca.issue({ names });
  const { certificate } = await call(operator, operator.importCertificate, {
    blobs: [Buffer.from(cert + chain + key)],
    passphrase: '',
    label: '',
  });
  const certificateId = certificate?.id ?? '';
  const options = { require: { policy: { $case: 'none' as const, value: {} } } };
  const rotate = { certificateId, options: { ...PLAIN, ...options } };
  await collect(operator.rotateCertificate(rotate));
  return certificateId;
}
const PLAIN = {
  allowNameLoss: false,
  allowTlsaMissing: false,
  prepareTimeoutMs: 0,
  drainPrevious: false,
  drainGraceMs: 0,
};

test('a switch that a subscriber refused is tried again, also after a restart', async () => {
  await start();
  const subscriber = await refuser();
  bring(ca.issue({ names: ['localhost'] }));
  const waiting = await untilState(SourceState.SOURCE_STATE_WAITING, /tried again/);
  expect(waiting?.failures).toBe(1);
  const inMs = (waiting?.nextActionAt?.getTime() ?? 0) - Date.now();
  expect(inMs).toBeGreaterThan(0);
  expect(inMs).toBeLessThanOrEqual(36_000);

  const error = await refusal(run());
  expect(error.code).toBe(status.ABORTED);
  expect(rotationIn(error)?.outcomes[0]).toMatchObject({ code: 'no', detail: 'not this one' });
  expect((await source())?.failures).toBe(2);

  subscriber.stream.end();
  await registry.stop();
  await registry.start();
  expect(await source()).toMatchObject({ state: SourceState.SOURCE_STATE_WAITING, failures: 2 });
  await registry.subscriber('imap', 'a').hear('welcome');
  const told = await run();
  expect(told.at(-1)?.rotation?.actor).toBe('spiffe://concert/source/folder');
  expect(await source()).toMatchObject({ state: SourceState.SOURCE_STATE_IDLE, failures: 0 });
});

describe('a full disk', () => {
  const SETTING = 'source/folder/arrival';
  const full = () => Object.assign(new Error('database or disk is full'), { errcode: 13 });
  let isFull: boolean;
  let died: unknown;

  beforeEach(async () => {
    isFull = false;
    died = undefined;
    await start({ FOLDER_POLICY: 'stage' });
    bring(ca.issue({ names: ['localhost'] }));
    await untilState(SourceState.SOURCE_STATE_STAGED);
    await registry.stop();
    const write = RegistryDatabase.prototype.setSetting;
    vi.spyOn(RegistryDatabase.prototype, 'setSetting').mockImplementation(function (
      this: RegistryDatabase,
      name,
      value,
    ) {
      if (isFull) throw full();
      write.call(this, name, value);
    });
  });
  afterEach(() => {
    expect(died).toBeUndefined();
    vi.restoreAllMocks();
  });

  async function goOn(onSwitched: () => void): Promise<void> {
    registry = new TestRegistry({ ...registry.settings, FOLDER_POLICY: 'rotate' }, registry.folder);
    await registry.start({ onStep: (step) => step === 'finished' && onSwitched() });
    registry.failed?.catch((error) => {
      died = error;
    });
  }

  test('ends nothing while an arrival waits, which goes on once there is room', async () => {
    const insert = vi.spyOn(RegistryDatabase.prototype, 'insertRotation');
    insert.mockImplementation(() => {
      isFull = true;
      throw full();
    });
    await goOn(() => {});
    await untilState(SourceState.SOURCE_STATE_WAITING, /disk .* is full.*; tried again/);
    const refused = await refusal(run());
    expect(refused.code).toBe(status.RESOURCE_EXHAUSTED);
    expect((await source())?.failures).toBe(2);
    isFull = false;
    insert.mockRestore();
    await run();
    expect(await source()).toMatchObject({ state: SourceState.SOURCE_STATE_IDLE, failures: 0 });
  });

  test('that comes with the switch ends nothing either, and what came of it is written later', async () => {
    const written = vi.spyOn(RegistryDatabase.prototype, 'setSetting');
    await goOn(() => {
      isFull = true;
    });
    await vi.waitFor(
      () => expect(written).toHaveBeenCalledWith(SETTING, expect.stringContaining('"acted":true')),
      SOON,
    );
    await untilState(SourceState.SOURCE_STATE_IDLE, /is in force/);
    isFull = false;
    await registry.stop();
    const kept = RegistryDatabase.open(readConfig({ CONCERT_DATA: registry.folder }));
    expect(kept.setting(SETTING)).toContain('"acted":true');
    kept.close();
  });
});

test('what an operator rotates to meanwhile stays, and the arrival is staged', async () => {
  await start();
  await refuser();
  bring(ca.issue({ names: ['localhost'] }));
  await untilState(SourceState.SOURCE_STATE_WAITING);
  await rotateByHand(['localhost']);
  const staged = await untilState(SourceState.SOURCE_STATE_STAGED, /another certificate/);
  await run();
  expect(await source()).toEqual(staged);
});

test('what comes while an operator’s rotation is checked waits for it, and that is no failure', async () => {
  const resolver = await HeldResolver.start();
  try {
    await start({ DANE_NAMES: 'localhost', DANE_RESOLVER: resolver.address });
    const byHand = refusal(rotateByHand(['localhost']));
    await resolver.asked();
    bring(ca.issue({ names: ['localhost'] }));
    const waiting = await untilState(SourceState.SOURCE_STATE_WAITING, /another rotation/);
    expect(waiting).toMatchObject({ failures: 0, lastFailureAt: undefined });
    resolver.letGo();
    expect((await byHand).code).toBe(status.FAILED_PRECONDITION);
    await untilState(SourceState.SOURCE_STATE_WAITING, /TLSA/);
  } finally {
    resolver.stop();
  }
});

test('what comes while the one before is being switched to follows it', async () => {
  await start({ FOLDER_POLICY: 'stage' });
  await registry.subscriber('imap', 'a').hear('welcome');
  bring(ca.issue({ names: ['localhost'], beginsInDays: -2 }));
  const first = await untilState(SourceState.SOURCE_STATE_STAGED);
  const { settings } = registry;
  await registry.stop();
  // the switch that this begins waits for the subscriber to come back
  registry = new TestRegistry({ ...settings, FOLDER_POLICY: 'rotate' }, registry.folder);
  await registry.start();
  await untilState(SourceState.SOURCE_STATE_WORKING, /switching/);
  bring(ca.issue({ names: ['localhost'], beginsInDays: -1 }));
  const second = await vi.waitFor(async () => {
    const { certificateId = '' } = (await source()) ?? {};
    expect(certificateId).not.toBe(first?.certificateId);
    return certificateId;
  }, SOON);
  const subscriber = registry.subscriber('imap', 'a');
  await subscriber.hear('prepare', ({ material }) => material?.certificateId === second);
  await untilState(SourceState.SOURCE_STATE_IDLE, /is in force/);
});

test('a certificate that is not valid yet waits until it is', async () => {
  await start();
  bring(ca.issue({ names: ['localhost'], beginsInDays: 1 }));
  const waiting = await untilState(SourceState.SOURCE_STATE_WAITING, /tried again/);
  expect(waiting?.failures).toBe(0);
  expect(waiting?.checks.map(({ code }) => code)).toContain('not-yet-valid');
  const inMs = (waiting?.nextActionAt?.getTime() ?? 0) - Date.now();
  expect(Math.abs(inMs - 86_400_000)).toBeLessThan(60_000);
});

test('a refusal by the checks is tried again by itself once the required names have changed', async () => {
  await start();
  const operator = registry.operator();
  const names = ['localhost', 'mail.example.org'];
  await call(operator, operator.setRequiredNames, { names, force: true });
  bring(ca.issue({ names: ['localhost'] }));
  const failed = await untilState(SourceState.SOURCE_STATE_FAILED, /mail\.example\.org/);
  expect(failed?.checks.map(({ code }) => code)).toContain('required-name-missing');
  await call(operator, operator.setRequiredNames, { names: ['localhost'], force: false });
  await untilState(SourceState.SOURCE_STATE_IDLE, /in force/);
});

test('an arrival whose certificate was deleted is no more', async () => {
  await start({ FOLDER_POLICY: 'stage' });
  bring(ca.issue({ names: ['localhost'] }));
  const staged = await untilState(SourceState.SOURCE_STATE_STAGED);
  const operator = registry.operator();
  const certificateId = staged?.certificateId ?? '';
  await call(operator, operator.deleteCertificate, { certificateId });
  expect(await source()).toMatchObject({ state: SourceState.SOURCE_STATE_IDLE, certificateId: '' });
});

test('a policy that is changed applies to what waits', async () => {
  await start({ FOLDER_POLICY: 'stage' });
  bring(ca.issue({ names: ['localhost'] }));
  await untilState(SourceState.SOURCE_STATE_STAGED);
  const { settings } = registry;
  await registry.stop();
  registry = new TestRegistry({ ...settings, FOLDER_POLICY: 'rotate' }, registry.folder);
  await registry.start();
  await untilState(SourceState.SOURCE_STATE_IDLE, /in force/);
});

test('the policy window wants a window', async () => {
  registry = new TestRegistry({ FOLDER_PATH: folder, FOLDER_POLICY: 'window' });
  await expect(registry.start()).rejects.toThrow(/CONCERT_MAINTENANCE_WINDOW/);
});

test('a kept arrival that nobody can read is none, and ends nothing', async () => {
  await start({ FOLDER_POLICY: 'stage' });
  bring(ca.issue({ names: ['localhost'] }));
  await untilState(SourceState.SOURCE_STATE_STAGED);
  const { settings } = registry;
  await registry.stop();
  const sqlite = new Sqlite(join(registry.folder, 'registry', 'registry.db'));
  sqlite.execute(`UPDATE setting SET value = '{"key":7' WHERE name LIKE 'source/%'`);
  sqlite.close();
  registry = new TestRegistry(settings, registry.folder);
  await registry.start();
  await untilState(SourceState.SOURCE_STATE_STAGED);
});

test('a source that is not switched on is not found', async () => {
  await start();
  const error = await refusal(
    collect(registry.operator().runSource({ name: 'acme', force: false })),
  );
  expect(error.code).toBe(status.NOT_FOUND);
});
