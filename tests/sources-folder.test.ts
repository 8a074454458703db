/** Renewals that arrive in a folder, on real processes: the fleet follows by itself and nobody notices. */
import { type ChildProcess, fork } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CertbotFolder, type Leaf, SecretFolder, TestCa } from '@mail/cert-registry/testing';
import type { CertRegistryServiceClient } from '@mail/proto';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { handshake } from './testing/handshakes.ts';
import type { LoadOrder, LoadResult } from './testing/load-process.ts';
import { getFleet, operatorClient } from './testing/operator.ts';
import { startSystem } from './testing/system.ts';

const RENEWALS = 3;

let folder: string;
let system: Awaited<ReturnType<typeof startSystem>> | undefined;
let client: CertRegistryServiceClient | undefined;
let load: ChildProcess | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'concert-renewals-'));
});
afterEach(async () => {
  load?.kill();
  client?.close();
  await system?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Where a program renews, and how. */
interface Renewer {
  readonly path: string;
  renew(leaf: Leaf, number: number): void;
}

function certbot(): Renewer {
  const certbot = new CertbotFolder(folder);
  return {
    path: certbot.live,
    renew: (leaf, number) => {
      certbot.archive(leaf, number);
      certbot.linkAll(number);
    },
  };
}

function secret(): Renewer {
  const secret = new SecretFolder(folder);
  return { path: folder, renew: (leaf) => secret.publish(leaf, '') };
}

test.each([
  ['certbot', certbot],
  ['a Secret', secret],
])('renewals by %s under load: all ports follow, no handshake fails', async (_, makeRenewer) => {
  const ca = new TestCa('Public');
  const renewer = makeRenewer();
  system = await startSystem({
    CONCERT_FOLDER_PATH: renewer.path,
    CONCERT_FOLDER_INTERVAL: '200ms',
  });
  client = operatorClient(system);
  const ports = Object.values(system.ports);
  load = fork(new URL('./testing/load-process.ts', import.meta.url).pathname);
  load.send({ ports, perSecondAndPort: 10 } satisfies LoadOrder);
  await once(load, 'message');

  for (let number = 1; number <= RENEWALS; number += 1) {
    const leaf = ca.issue({ names: ['localhost'], beginsInDays: number - RENEWALS - 1 });
    const wanted = new X509Certificate(leaf.cert).fingerprint256.replaceAll(':', '').toLowerCase();
    renewer.renew(leaf, number);
    const operator = client;
    await vi.waitFor(
      async () => {
        const fleet = await getFleet(operator);
        expect(fleet.activeCertificate?.fingerprintSha256).toBe(wanted);
        expect(fleet.subscribers.filter(({ lagging }) => lagging)).toEqual([]);
      },
      { timeout: 20_000, interval: 50 },
    );
    for (const port of ports) {
      const { socket, fingerprint } = await handshake(port);
      socket.destroy();
      expect([port.name, fingerprint]).toEqual([port.name, wanted]);
    }
    expect((await getFleet(operator)).generation).toBe(BigInt(number + 1));
  }

  load.send('stop');
  const [loaded] = (await once(load, 'message')) as [LoadResult];
  expect(loaded.failures).toEqual([]);
  expect(new Set(loaded.samples.map(({ fingerprint }) => fingerprint)).size).toBe(RENEWALS + 1);

  const { sources } = await system.concertJson<{ sources: object[] }>(['source', 'list']);
  expect(sources).toMatchObject([
    { name: 'folder', state: 'idle', policy: 'rotate', location: renewer.path, failures: 0 },
  ]);
  const again = await system.concert(['source', 'run', 'folder']);
  expect(again).toMatchObject({ code: 0, stdout: expect.stringContaining('in force') });
  const { rotations } = await system.concertJson<{ rotations: { actor: string }[] }>(['rotations']);
  expect(rotations.map(({ actor }) => actor)).toEqual(
    Array(RENEWALS).fill('spiffe://concert/source/folder'),
  );
});
