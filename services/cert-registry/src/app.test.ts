import { type ChildProcess, spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { json } from 'node:stream/consumers';
import { KeyType, RotationKind, RotationOptions, RotationState } from '@mail/proto';
import { afterEach, describe, expect, test } from 'vitest';
import type { SwitchStep } from './conductor.ts';
import { call, collect, refusal, TestRegistry } from './testing/registry-fixture.ts';
import { TestCa } from './testing/test-ca.ts';

let registry: TestRegistry;
afterEach(() => registry.remove());

async function selfSigned(): Promise<string> {
  const operator = registry.operator();
  const request = { dnsNames: [], keyType: KeyType.KEY_TYPE_UNSPECIFIED, days: 0, label: '' };
  const { certificate } = await call(operator, operator.createSelfSigned, request);
  return certificate?.id ?? '';
}

const rotate = (certificateId: string) =>
  collect(registry.operator().rotateCertificate({ certificateId, options: undefined }));

async function fleet() {
  const operator = registry.operator();
  return (await call(operator, operator.getFleet, {})).fleet;
}

async function history() {
  const operator = registry.operator();
  return (await call(operator, operator.listRotations, { limit: 0, beforeId: 0n })).rotations;
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

describe('the first start', () => {
  test('makes generation 1 for the names, and the identities', async () => {
    registry = await TestRegistry.start({
      REGISTRY_NAMES: 'Mail.Example.org, mx.example.org',
      REGISTRY_IDENTITIES: 'service/imap operator/admin operator/alice',
    });
    expect(await fleet()).toMatchObject({
      generation: 1n,
      activeCertificate: {
        dnsNames: ['mail.example.org', 'mx.example.org'],
        selfSigned: true,
        createdBy: 'spiffe://concert/registry',
      },
      subscribers: [],
    });
    const made = filesIn(join(registry.folder, 'identities'));
    expect(made).toHaveLength(9);
    for (const file of made) expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(registry.health.ready).toBe(true);
    expect(await registry.metrics.expose()).toMatch(/^concert_generation 1$/m);
  });

  test.each([
    [{ REGISTRY_NAMES: '10.0.0.1' }, 'bad-setting'],
    [{ REGISTRY_NAMES: ' ' }, 'bad-setting'],
    [{ REGISTRY_HOSTS: 'localhost 10.0.0.1' }, 'bad-setting'],
    [{ REGISTRY_IDENTITIES: 'root/me' }, 'bad-setting'],
    [{ REGISTRY_KEY: 'short' }, 'bad-setting'],
    [{ REGISTRY_LEASE: 'soon' }, 'bad-setting'],
    [{ NOTIFY_WEBHOOK: 'https://user:secret@hooks.example.org/x' }, 'bad-setting'],
    [{ NOTIFY_SMTP: 'smtp://user:secret@mail.example.org' }, 'bad-setting'],
  ])('with %j ends', async (settings: Record<string, string>, code) => {
    registry = new TestRegistry(settings);
    await expect(registry.start()).rejects.toMatchObject({ code });
    // nothing is held on to: the same folder starts with better settings
    await registry.remove();
  });
});

describe('a restart', () => {
  test('keeps certificates, generation, names, history, audit trail and identities', async () => {
    registry = await TestRegistry.start();
    const subscriber = registry.subscriber('imap', 'a');
    const { material } = await subscriber.hear('welcome');
    const certificateId = await selfSigned();
    await rotate(certificateId);
    const prepared = (await subscriber.hear('prepare')).material;
    const before = { history: await history(), key: registry.identityFile('service/imap', 'key') };
    const operator = registry.operator();
    const listed = await call(operator, operator.listCertificates, {});
    await registry.stop();

    await registry.start();
    expect(await fleet()).toMatchObject({
      generation: 2n,
      activeCertificate: { id: certificateId },
      // remembered: a switch waits for it until its lease is out
      subscribers: [{ service: 'imap', instance: 'a' }],
    });
    expect(await history()).toEqual(before.history);
    expect(registry.identityFile('service/imap', 'key')).toEqual(before.key);
    const again = registry.operator();
    expect(await call(again, again.listCertificates, {})).toEqual(listed);
    const back = registry.subscriber('imap', 'a', { generation: 2n });
    const welcome = await back.hear('welcome');
    expect(welcome.material).toEqual(prepared);
    expect(welcome.material?.ticketSeed).not.toEqual(material?.ticketSeed);
  });

  test('tells subscribers to come back', async () => {
    registry = await TestRegistry.start();
    const subscriber = registry.subscriber('imap', 'a');
    await subscriber.hear('welcome');
    const stopping = registry.stop();
    expect((await subscriber.over)?.details).toBe('the registry is stopping');
    await stopping;
  });

  test('with another vault key ends with a line that says so, and changes nothing', async () => {
    registry = await TestRegistry.start();
    await registry.stop();
    const keyFile = join(registry.folder, 'registry/vault.key');
    const right = readFileSync(keyFile);
    writeFileSync(keyFile, Buffer.alloc(32, 7).toString('base64'));
    await expect(registry.start()).rejects.toMatchObject({
      code: 'bad-setting',
      message: expect.stringContaining('is not the one that this registry'),
    });
    rmSync(keyFile);
    await expect(registry.start()).rejects.toMatchObject({
      message: expect.stringContaining('is missing'),
    });
    writeFileSync(keyFile, right);
    await registry.start();
  });

  test('makes an identity anew that is damaged, foreign or close to its end', async () => {
    registry = await TestRegistry.start({ REGISTRY_IDENTITY_DAYS: '3' });
    const folder = join(registry.folder, 'identities/service');
    await registry.stop();
    const [imap, pop] = ['imap', 'pop'].map((name) =>
      registry.identityFile(`service/${name}`, 'cert'),
    );
    writeFileSync(join(folder, 'imap/key.pem'), 'damaged');
    writeFileSync(join(folder, 'smtp/ca.pem'), 'foreign');
    await registry.start();
    expect(registry.identityFile('service/imap', 'cert')).not.toEqual(imap);
    expect(registry.identityFile('service/pop', 'cert')).toEqual(pop);
    expect(registry.identityFile('service/smtp', 'ca')).toEqual(registry.caPem);
    registry.subscriber('imap', 'a');
  });

  test('keeps an identity whose renewal was cut off, and is not held up by a dead one’s lock', async () => {
    registry = await TestRegistry.start();
    const folder = join(registry.folder, 'identities/service');
    await registry.stop();
    const key = registry.identityFile('service/pop', 'key');
    renameSync(join(folder, 'pop/cert.pem'), join(folder, 'pop/cert.pem.next'));
    writeFileSync(join(folder, 'pop/cert.pem'), registry.identityFile('service/imap', 'cert'));
    rmSync(join(folder, 'imap/key.pem'));
    writeFileSync(join(folder, 'imap/renewal.lock'), '');
    await registry.start();
    expect(registry.identityFile('service/pop', 'key')).toEqual(key);
    registry.subscriber('imap', 'a');
  });
});

/** Dies like a killed process as far as the disk can tell: what comes after the step never happens. */
class Killed extends Error {}

describe('a registry that dies in the middle of a switch', () => {
  const deaths: [SwitchStep, RotationState, bigint][] = [
    ['preparing', RotationState.ROTATION_STATE_ABORTED, 1n],
    ['prepare-sent', RotationState.ROTATION_STATE_ABORTED, 1n],
    ['committing', RotationState.ROTATION_STATE_ABORTED, 1n],
    ['committed', RotationState.ROTATION_STATE_INCOMPLETE, 2n],
    ['activating', RotationState.ROTATION_STATE_INCOMPLETE, 2n],
    ['activate-sent', RotationState.ROTATION_STATE_INCOMPLETE, 2n],
    ['finishing', RotationState.ROTATION_STATE_INCOMPLETE, 2n],
    ['finished', RotationState.ROTATION_STATE_VERIFIED, 2n],
  ];
  test.each(deaths)(
    'at "%s" closes the rotation at its next start',
    async (at, state, generation) => {
      registry = new TestRegistry();
      await registry.start({
        onStep: (step) => {
          if (step === at) throw new Killed(step);
        },
      });
      const subscriber = registry.subscriber('imap', 'a');
      await subscriber.hear('welcome');
      const certificateId = await selfSigned();
      const before = (await fleet())?.activeCertificate?.id;
      registry
        .operator()
        .rotateCertificate({ certificateId, options: undefined })
        .on('error', () => {});
      await expect(registry.failed).rejects.toBeInstanceOf(Killed);
      await registry.stop();

      await registry.start();
      const [rotation] = await history();
      expect(rotation).toMatchObject({ id: 1n, state, toCertificateId: certificateId });
      expect(rotation?.failure === '').toBe(state === RotationState.ROTATION_STATE_VERIFIED);
      expect(rotation?.finishedAt).toBeInstanceOf(Date);
      expect(await fleet()).toMatchObject({
        generation,
        activeCertificate: { id: generation === 1n ? before : certificateId },
      });
    },
  );
});

describe('the ticket seed', () => {
  test('changes on its own, as a rotation that rollback passes over', async () => {
    registry = await TestRegistry.start({ REGISTRY_TICKET_SEED_AGE: '300ms' });
    const certificateId = (await fleet())?.activeCertificate?.id;
    const subscriber = registry.subscriber('imap', 'a');
    const { material: first } = await subscriber.hear('welcome');
    const { material: second } = await subscriber.hear('prepare');
    await subscriber.hear('prepare', ({ material }) => (material?.generation ?? 0n) > 2n);
    expect(second?.ticketSeed).not.toEqual(first?.ticketSeed);
    expect(second?.fingerprintSha256).toBe(first?.fingerprintSha256);
    const kept = await history();
    expect(kept.at(-1)).toMatchObject({
      kind: RotationKind.ROTATION_KIND_TICKET_SEED,
      actor: 'spiffe://concert/registry',
      fromCertificateId: certificateId,
      toCertificateId: certificateId,
    });
    const rollback = registry.operator().rollbackCertificate({ options: undefined });
    expect((await refusal(collect(rollback))).details).toMatch(/no other certificate|under way/);
  });
});

describe('as a process', () => {
  let child: ChildProcess | undefined;
  afterEach(() => {
    child?.kill('SIGKILL');
    child = undefined;
  });

  test('no secret is in a log or on the disk in the clear', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'registry-'));
    registry = new TestRegistry({}, folder);
    const main = new URL('./main.ts', import.meta.url).pathname;
    child = spawn(process.execPath, [main], {
      env: {
        ...process.env,
        CONCERT_DATA: folder,
        CONCERT_REGISTRY_LISTEN: '127.0.0.1:0',
        CONCERT_LOG_LEVEL: 'trace',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const { stdout, stderr } = child;
    if (stdout === null || stderr === null) throw new Error('no pipes');
    const said: string[] = [];
    for (const stream of [stdout, stderr]) stream.on('data', (chunk) => said.push(String(chunk)));
    const exited = once(child, 'close');
    registry.adopt(await portIn(stdout));

    const leaf = new TestCa('Public').issue({ names: ['localhost'] });
    const operator = registry.operator();
    const { certificate } = await call(operator, operator.importCertificate, {
      blobs: [Buffer.from(leaf.cert + leaf.chain + leaf.key)],
      passphrase: 'open sesame',
      label: '',
    });
    const subscriber = registry.subscriber('imap', 'a');
    const { material } = await subscriber.hear('welcome');
    await rotate(certificate?.id ?? '');
    await refusal(rotate('ffff'));
    const { material: next } = await subscriber.hear('prepare');
    child.kill('SIGTERM');
    await exited;
    const output = said.join('');
    expect(output).toContain('"msg":"stopped"');

    const secrets = [
      'PRIVATE KEY',
      'open sesame',
      bodyOf(leaf.key),
      bodyOf(material?.privateKeyPem ?? ''),
      ...[material, next].flatMap((one) => {
        const seed = Buffer.from(one?.ticketSeed ?? []);
        return [seed.toString('base64'), seed.toString('hex'), seed.toString('latin1')];
      }),
    ];
    expect(secrets.filter((secret) => secret.length < 8)).toEqual([]);
    const places = new Map([['the log', output]]);
    for (const file of filesIn(folder)) {
      if (!file.includes('/identities/') || !file.endsWith('key.pem')) {
        places.set(file, readFileSync(file, 'latin1'));
      }
    }
    expect(places.size).toBeGreaterThan(9);
    for (const [place, content] of places) {
      const found = secrets.filter((secret) => content.includes(secret));
      expect(found, place).toEqual([]);
    }
    expect(new X509Certificate(registry.caPem).ca).toBe(true);
  });

  /** The first line of a key's base64. */
  function bodyOf(pem: string): string {
    return pem.split('\n')[1] ?? '';
  }

  /** From the line that says where it listens. */
  function portIn(log: Readable): Promise<number> {
    return new Promise((resolve, reject) => {
      let seen = '';
      log.on('data', (chunk) => {
        seen += chunk;
        const port = /"address":"127\.0\.0\.1:(\d+)"/.exec(seen)?.[1];
        if (port !== undefined) resolve(Number(port));
      });
      log.once('end', () => reject(new Error(`the registry did not start: ${seen}`)));
    });
  }
});

test('what the fleet warns of goes to the webhook', async () => {
  const posts: unknown[] = [];
  const hook = createServer(async (request, response) => {
    posts.push(await json(request));
    response.end();
  }).listen(0, '127.0.0.1');
  await once(hook, 'listening');
  const { port } = hook.address() as AddressInfo;
  registry = await TestRegistry.start({
    NOTIFY_WEBHOOK: `http://127.0.0.1:${port}/`,
    NOTIFY_DELAY: '100ms',
  });
  try {
    await registry.subscriber('imap', 'slow', { obedient: false }).hear('welcome');
    const certificateId = await selfSigned();
    const options = RotationOptions.fromPartial({
      require: { policy: { $case: 'none', value: {} } },
      prepareTimeoutMs: 100,
    });
    await collect(registry.operator().rotateCertificate({ certificateId, options }));
    await expect
      .poll(() => posts, { timeout: 10_000 })
      .toMatchObject([{ text: 'not on the active generation: imap slow' }]);
  } finally {
    hook.close();
  }
});
