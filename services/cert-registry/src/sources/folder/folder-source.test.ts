import {
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type AuditEvent,
  type Rotation,
  RotationKind,
  type Source,
  SourcePolicy,
  SourceState,
} from '@mail/proto';
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { CertbotFolder, SecretFolder } from '../../testing/certificate-folders.ts';
import {
  call,
  checksIn,
  collect,
  refusal,
  TestRegistry,
  type TestSettings,
} from '../../testing/registry-fixture.ts';
import { type Leaf, TestCa } from '../../testing/test-ca.ts';

const NAMES = ['localhost'];
const SOON = { timeout: 10_000, interval: 10 };

let ca: TestCa;
let folder: string;
let registry: TestRegistry;

beforeAll(() => {
  ca = new TestCa('Public');
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'folder-'));
});
afterEach(async () => {
  await registry.remove();
  rmSync(folder, { recursive: true, force: true });
});

async function watchFolder(settings: TestSettings = {}, path = folder): Promise<void> {
  registry = await TestRegistry.start({
    FOLDER_PATH: path,
    FOLDER_INTERVAL: '50ms',
    ...settings,
  });
}

const newLeaf = (beginsInDays = -1) => ca.issue({ names: NAMES, beginsInDays });
const write = (name: string, text: string | Buffer) => writeFileSync(join(folder, name), text);
const writePair = ({ cert, chain, key }: Leaf) => {
  write('tls.crt', cert + chain);
  write('tls.key', key);
};

async function source(): Promise<Source> {
  const operator = registry.operator();
  const { sources } = await call(operator, operator.listSources, {});
  const [only] = sources;
  if (only === undefined) throw new Error('no source is switched on');
  return only;
}

async function rotations(): Promise<Rotation[]> {
  const operator = registry.operator();
  const { rotations: all } = await call(operator, operator.listRotations, {
    limit: 0,
    beforeId: 0n,
  });
  return all.filter(({ kind }) => kind !== RotationKind.ROTATION_KIND_TICKET_SEED).toReversed();
}

async function audits(): Promise<AuditEvent[]> {
  const operator = registry.operator();
  const { events } = await call(operator, operator.listAuditEvents, { limit: 0, beforeId: 0n });
  return events.filter(({ actor }) => actor === 'spiffe://concert/source/folder').toReversed();
}

async function activeChain(): Promise<string> {
  const operator = registry.operator();
  const { fleet } = await call(operator, operator.getFleet, {});
  const certificateId = fleet?.activeCertificate?.id ?? '';
  const { certificate } = await call(operator, operator.getCertificate, { certificateId });
  return certificate?.chainPem ?? '';
}

const run = (force = false) => {
  const stream = registry.operator().runSource({ name: 'folder', force });
  return collect(stream);
};

const untilState = (state: SourceState, detail: RegExp = /./) =>
  vi.waitFor(async () => {
    const found = await source();
    expect(found.state).toBe(state);
    expect(found.detail).toMatch(detail);
    return found;
  }, SOON);

const untilInForce = ({ cert, chain }: Leaf) =>
  vi.waitFor(async () => {
    expect(await activeChain()).toBe(cert + chain);
    expect((await source()).state).toBe(SourceState.SOURCE_STATE_IDLE);
  }, SOON);

describe('the three ways of writing', () => {
  test('certbot: links that are replaced one by one', async () => {
    const [first, second] = [newLeaf(-2), newLeaf(-1)];
    const certbot = new CertbotFolder(folder);
    certbot.archive(first, 1);
    certbot.linkAll(1);
    await watchFolder({}, certbot.live);
    await untilInForce(first);

    certbot.archive(second, 2);
    certbot.link('cert', 2);
    // the key of the new leaf is not there yet
    await untilState(SourceState.SOURCE_STATE_WORKING, /waits for what is missing/);
    for (const part of ['privkey', 'chain', 'fullchain'] as const) certbot.link(part, 2);
    await untilInForce(second);
    expect(await rotations()).toHaveLength(2);
    expect((await audits()).map(({ outcome }) => outcome)).toEqual(['ok', 'ok', 'ok', 'ok']);
  });

  test('a mounted Secret whose ..data is swapped', async () => {
    const [first, second] = [newLeaf(-2), newLeaf(-1)];
    const secret = new SecretFolder(folder);
    secret.publish(first, ca.rootPem);
    await watchFolder();
    await untilInForce(first);
    // as cert-manager writes it for an authority that everybody knows
    secret.publish(second, '');
    await untilInForce(second);
    expect(await rotations()).toHaveLength(2);
  });

  test('files written one by one, one of them by halves', async () => {
    const [first, second] = [newLeaf(-2), newLeaf(-1)];
    await watchFolder();
    await untilState(SourceState.SOURCE_STATE_IDLE, /holds no certificate yet/);
    write('tls.key', first.key);
    await untilState(SourceState.SOURCE_STATE_WORKING, /holds no certificate/);
    write('tls.crt', first.cert.slice(0, 300));
    await untilState(SourceState.SOURCE_STATE_WORKING, /tls\.crt: .*cut off/);
    write('tls.crt', first.cert);
    await untilState(SourceState.SOURCE_STATE_WORKING, /waits for what is missing/);
    write('tls.crt', first.cert + first.chain);
    await untilInForce(first);

    // other names beside the old, by write and rename, with what editors leave
    write('.next.pem.swp', 'x');
    write('next.pem.tmp', second.cert + second.chain + second.key);
    write('next.pem~', 'x');
    renameSync(join(folder, 'next.pem.tmp'), join(folder, 'next.pem'));
    await untilInForce(second);
    expect(await rotations()).toHaveLength(2);
    expect((await audits()).map(({ outcome }) => outcome)).toEqual(['ok', 'ok', 'ok', 'ok']);
  });
});

describe('what changes nothing', () => {
  test('touched files, and a restart', async () => {
    const leaf = newLeaf();
    writePair(leaf);
    await watchFolder();
    await untilInForce(leaf);
    utimesSync(join(folder, 'tls.crt'), new Date(), new Date());
    await run();
    await registry.stop();
    await registry.start();
    await run();
    expect(await rotations()).toHaveLength(1);
    expect(await source()).toMatchObject({
      state: SourceState.SOURCE_STATE_IDLE,
      policy: SourcePolicy.SOURCE_POLICY_ROTATE,
      location: folder,
      failures: 0,
      lastSuccessAt: expect.any(Date),
    });
  });

  test('an operator’s rollback stands, until the source is told to act again', async () => {
    const leaf = newLeaf();
    writePair(leaf);
    await watchFolder();
    await untilInForce(leaf);
    await collect(registry.operator().rollbackCertificate({ options: undefined }));
    await run();
    await registry.stop();
    await registry.start();
    await run();
    expect(await activeChain()).not.toBe(leaf.cert + leaf.chain);
    expect((await source()).detail).toMatch(/has been in force/);
    const told = await run(true);
    expect(told.at(-1)?.source?.state).toBe(SourceState.SOURCE_STATE_IDLE);
    expect(told.some(({ rotation }) => rotation !== undefined)).toBe(true);
    expect(await activeChain()).toBe(leaf.cert + leaf.chain);
  });
});

describe('what does not fit', () => {
  test('is reported once, not activated, and not tried again until it changes', async () => {
    const [first, second] = [newLeaf(-2), newLeaf(-1)];
    writePair(first);
    await watchFolder();
    await untilInForce(first);
    write('tls.crt', second.cert + second.chain);
    const failed = await untilState(SourceState.SOURCE_STATE_FAILED, /private key/);
    expect(failed).toMatchObject({ failures: 1, lastFailureAt: expect.any(Date) });
    expect(failed.checks.map(({ code }) => code)).toEqual(['key-mismatch']);
    utimesSync(join(folder, 'tls.crt'), new Date(), new Date());
    expect(checksIn(await refusal(run()))).toEqual(['key-mismatch']);
    await registry.stop();
    await registry.start();
    expect(checksIn(await refusal(run()))).toEqual(['key-mismatch']);
    expect(await source()).toMatchObject({ state: SourceState.SOURCE_STATE_FAILED, failures: 1 });
    const refusals = (await audits()).filter(({ outcome }) => outcome !== 'ok');
    expect(refusals.map(({ action, target }) => [action, target])).toEqual([
      ['ImportCertificate', folder],
    ]);
    expect(await rotations()).toHaveLength(1);
    const failing = 'concert_certificate_source_failing{source="folder"}';
    expect(await registry.metrics.expose()).toContain(`${failing} 1`);

    write('tls.key', second.key);
    await untilInForce(second);
    expect(await source()).toMatchObject({ failures: 0, checks: [] });
    expect(await registry.metrics.expose()).toContain(`${failing} 0`);
  });

  test('is refused at once where somebody asks', async () => {
    const [first, second] = [newLeaf(-2), newLeaf(-1)];
    // patience is 30 s then
    await watchFolder({ FOLDER_INTERVAL: '2s' });
    write('all.pem', first.cert + first.chain + second.key);
    expect(checksIn(await refusal(run()))).toEqual(['key-mismatch']);
    expect((await source()).state).toBe(SourceState.SOURCE_STATE_FAILED);
  });

  test('is forgotten when what was there before is put back', async () => {
    const [first, second] = [newLeaf(-2), newLeaf(-1)];
    writePair(first);
    await watchFolder();
    await untilInForce(first);
    write('tls.key', second.key);
    await untilState(SourceState.SOURCE_STATE_FAILED);
    write('tls.key', first.key);
    await untilInForce(first);
    expect(await rotations()).toHaveLength(1);
  });

  test('a folder that goes away and comes back with the same files', async () => {
    const leaf = newLeaf();
    const inner = join(folder, 'mounted');
    mkdirSync(inner);
    writeFileSync(join(inner, 'all.pem'), leaf.cert + leaf.chain + leaf.key);
    await watchFolder({}, inner);
    await untilInForce(leaf);
    renameSync(inner, join(folder, 'elsewhere'));
    await untilState(SourceState.SOURCE_STATE_FAILED, /does not exist/);
    expect((await refusal(run())).details).toMatch(/does not exist/);
    renameSync(join(folder, 'elsewhere'), inner);
    await untilInForce(leaf);
    expect(await rotations()).toHaveLength(1);
  });

  test('a certificate without the required names is held and waits for them', async () => {
    const leaf = ca.issue({ names: ['mail.example.org'] });
    writePair(leaf);
    await watchFolder();
    const failed = await untilState(SourceState.SOURCE_STATE_FAILED, /localhost/);
    expect(failed.checks.map(({ code }) => code)).toContain('required-name-missing');
    const before = (await audits()).length;
    expect(checksIn(await refusal(run()))).toContain('required-name-missing');
    expect(await audits()).toHaveLength(before);
    // the certificate of the first start holds no names: what an operator requires is what counts
    const operator = registry.operator();
    await call(operator, operator.setRequiredNames, { names: ['mail.example.org'], force: true });
    await untilInForce(leaf);
  });

  test('a name that is lost keeps it waiting until the active certificate has ended', async () => {
    const endsInDays = 6 / 86_400;
    const short = ca.issue({ names: ['localhost', 'old.example.org'], endsInDays });
    writePair(short);
    await watchFolder();
    await untilInForce(short);
    const leaf = newLeaf();
    writePair(leaf);
    await untilState(SourceState.SOURCE_STATE_FAILED, /old\.example\.org/);
    expect(await activeChain()).toBe(short.cert + short.chain);
    await untilInForce(leaf);
  });

  test('a passphrase that is missing is told, and one that was set is tried', async () => {
    const leaf = newLeaf();
    const sealed = leaf.privateKey.export({
      type: 'pkcs8',
      format: 'pem',
      cipher: 'aes-256-cbc',
      passphrase: 'open sesame',
    });
    write('all.pem', `${leaf.cert}${leaf.chain}${sealed}`);
    await watchFolder({ FOLDER_PASSPHRASE: 'wrong' });
    const failed = await untilState(SourceState.SOURCE_STATE_FAILED, /all\.pem: /);
    expect(failed.checks).toMatchObject([{ code: 'wrong-passphrase', certificate: 'all.pem' }]);
    const { settings } = registry;
    await registry.stop();
    registry = new TestRegistry({ ...settings, FOLDER_PASSPHRASE: 'open sesame' }, registry.folder);
    await registry.start();
    await untilInForce(leaf);
  });
});

describe('other policies', () => {
  test('stage holds it and leaves the switch to an operator', async () => {
    const leaf = newLeaf();
    writePair(leaf);
    await watchFolder({ FOLDER_POLICY: 'stage' });
    const { certificateId } = await untilState(SourceState.SOURCE_STATE_STAGED, /cert rotate/);
    expect(await rotations()).toEqual([]);
    await collect(registry.operator().rotateCertificate({ certificateId, options: undefined }));
    await untilInForce(leaf);
  });

  test('window waits for it, but not behind what the registry made at its first start', async () => {
    const [first, second] = [newLeaf(-2), newLeaf(-1)];
    const day = new Date(Date.now() + 3 * 86_400_000).toUTCString().slice(0, 3);
    writePair(first);
    await watchFolder({
      FOLDER_POLICY: 'window',
      MAINTENANCE_WINDOW: `${day} 02:00-04:00`,
    });
    await untilInForce(first);
    writePair(second);
    const waiting = await untilState(SourceState.SOURCE_STATE_WAITING, /maintenance window opens/);
    expect(waiting.nextActionAt?.getUTCHours()).toBe(2);
    expect(waiting.failures).toBe(0);
    await run();
    expect(await rotations()).toHaveLength(1);
    await collect(
      registry.operator().rotateCertificate({
        certificateId: waiting.certificateId,
        options: undefined,
      }),
    );
    await untilInForce(second);
  });
});

test('the same leaf with another chain is another certificate', async () => {
  const leaf = newLeaf();
  writePair(leaf);
  await watchFolder();
  await untilInForce(leaf);
  const other = { ...leaf, chain: ca.crossSignedIntermediate() };
  unlinkSync(join(folder, 'tls.crt'));
  write('tls.crt', other.cert + other.chain);
  await untilInForce(other);
});
