/**
 * The pods of deploy/kubernetes as containers, under the conditions that the manifests put on them, along
 * docs/kubernetes.md from the first start to a rotated certificate. No cluster: see testing/kubelet.ts.
 */
import { execFile } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { V1Secret } from '@kubernetes/client-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { Kubelet } from '../testing/kubelet.ts';
import { Installation } from '../testing/kubernetes-installation.ts';
import { findKubectl, KUBERNETES, render } from '../testing/kustomize.ts';
import { TestPki } from '../testing/pki.ts';
import { ROOT } from '../testing/system.ts';

const run = promisify(execFile);

/** As the manifests name them, until somebody names a registry. */
const IMAGES = 'set-your-registry.invalid/concert';
const TAG = 'kubernetes-test';
const MAIL = ['smtp', 'pop', 'imap'];

const kubectl = await findKubectl({ fetch: process.env['CI'] !== undefined });
if (kubectl === undefined) {
  console.log('no kubectl with kustomize 5.3 or later on PATH: its pods are not run here');
}

describe.skipIf(kubectl === undefined)('the embedded overlay', () => {
  let kubelet: Kubelet;
  let scratch: string;

  const concert = (args: readonly string[], input = ''): Promise<string> =>
    kubelet.exec('operator', ['node', 'dist/main.js', ...args], input);
  const fleet = async (): Promise<{ generation: number; subscribers: { service: string }[] }> =>
    JSON.parse(await concert(['fleet', '--json']));

  beforeAll(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'concert-kubernetes-'));
    await run(
      'docker',
      ['compose', '--env-file', '/dev/null', 'build', 'cert-registry', ...MAIL, 'concert'],
      {
        cwd: ROOT,
        env: { ...process.env, CONCERT_IMAGES: IMAGES, CONCERT_TAG: TAG },
        maxBuffer: 64 * 1024 * 1024,
      },
    );
    const rendered = await render(kubectl ?? '', 'overlays/embedded', ['cert-manager']);
    kubelet = await Kubelet.open(new Installation(rendered), TAG);
  });
  afterAll(async () => {
    await kubelet?.close();
    await rm(scratch, { recursive: true, force: true });
  });

  test('the registry starts with the vault’s key from its Secret, and keeps the key to itself', async () => {
    const key = Buffer.alloc(32, 7).toString('base64');
    await kubelet.setSecret('concert-vault-key', { key: `${key}\n` });
    await kubelet.start('cert-registry');
    const files = await kubelet.exec('cert-registry', ['ls', '/data/registry']);
    expect(files).not.toContain('vault.key');
  });

  test('identities.sh makes the Secrets that the other pods wait for', async () => {
    const programs = join(scratch, 'bin');
    const applied = join(scratch, 'applied');
    await Promise.all([programs, applied].map((folder) => mkdir(folder)));
    // exec goes to the container; a Secret is made by the real kubectl, which this one hides, and applied
    // to nothing
    await writeFile(
      join(programs, 'kubectl'),
      `#!/bin/sh
case "$3" in
  exec) shift 7; exec docker exec ${kubelet.container('cert-registry')} "$@" ;;
  create) PATH='${process.env['PATH']}'; exec ${kubectl} "$@" ;;
  apply) for last; do :; done; exec cp "\${last#--filename=}" "${applied}/" ;;
esac
`,
    );
    await chmod(join(programs, 'kubectl'), 0o755);
    await run(join(KUBERNETES, 'identities.sh'), [], {
      env: { ...process.env, PATH: `${programs}:${process.env['PATH']}` },
      timeout: 60_000,
    });
    for (const file of await readdir(applied)) {
      const { metadata, data } = parse(await readFile(join(applied, file), 'utf8')) as V1Secret;
      expect(Object.keys(data ?? {}).toSorted()).toEqual(['ca.pem', 'cert.pem', 'key.pem']);
      const texts = Object.entries(data ?? {}).map(([name, value]) => [
        name,
        Buffer.from(value, 'base64').toString(),
      ]);
      await kubelet.setSecret(metadata?.name ?? '', Object.fromEntries(texts));
    }
    await Promise.all([...MAIL, 'operator'].map((name) => kubelet.start(name)));
    const { subscribers } = await fleet();
    expect(subscribers.map(({ service }) => service).toSorted()).toEqual(MAIL.toSorted());
  });

  test('an account, a certificate through the operator’s pod, and the switch', async () => {
    await concert(['account', 'add', 'alice@example.com', '--password-stdin'], 'correct horse\n');
    expect(await concert(['account', 'list'])).toContain('alice@example.com');
    const made = JSON.parse(await concert(['cert', 'self-signed', 'localhost', '--json'])) as {
      id: string;
    };
    await concert(['cert', 'rotate', made.id]);
    expect((await fleet()).generation).toBe(2);
  });

  test('what cert-manager writes is in force without a hand, twice', async () => {
    const pki = await TestPki.make();
    for (const generation of [3, 4]) {
      const { certificatePem, privateKeyPem } = await pki.issue({ names: ['localhost'] });
      await kubelet.setSecret('concert-certificate', {
        'tls.crt': certificatePem + pki.intermediatePem,
        'tls.key': privateKeyPem,
      });
      await expect
        .poll(async () => (await fleet()).generation, { timeout: 60_000, interval: 500 })
        .toBe(generation);
    }
    expect(await concert(['audit'])).toContain('folder');
  });

  test('a renewal patches the Secret that its pod mounts', async () => {
    const pki = await TestPki.make();
    const api = await pki.issue({ names: ['kubernetes.default.svc'] });
    const tell = `require('node:https').createServer({ key: process.env.KEY, cert: process.env.CERT },
      async (request, response) => {
        let body = '';
        for await (const chunk of request) body += chunk;
        const { method, url, headers: { authorization } } = request;
        console.log(JSON.stringify({ method, url, authorization, ...JSON.parse(body) }));
        response.end('{}');
      }).listen(443)`;
    await kubelet.startService('kubernetes.default.svc', tell, {
      KEY: api.privateKeyPem,
      CERT: api.certificatePem + pki.intermediatePem,
    });
    await kubelet.setServiceAccount({ token: 'TOKEN', caPem: pki.rootPem });
    await kubelet.start('renew-identity-imap');
    expect(await kubelet.finish('renew-identity-imap')).toBe(0);
    const { data, ...asked } = JSON.parse(await kubelet.logs('kubernetes.default.svc'));
    expect(asked).toEqual({
      method: 'PATCH',
      url: '/api/v1/namespaces/concert/secrets/concert-identity-imap',
      authorization: 'Bearer TOKEN',
    });
    const text = (name: string) => Buffer.from(data[name], 'base64').toString();
    const renewed = new X509Certificate(text('cert.pem'));
    expect(renewed.subjectAltName).toBe('URI:spiffe://concert/service/imap');
    expect(renewed.checkPrivateKey(createPrivateKey(text('key.pem')))).toBe(true);
    expect(renewed.verify(new X509Certificate(text('ca.pem')).publicKey)).toBe(true);
  });

  test('the backup of the page can be read', async () => {
    const page = await readFile(join(ROOT, 'docs/kubernetes.md'), 'utf8');
    const code = /^copy="(.*?)"$/ms.exec(page)?.[1] ?? '';
    await kubelet.exec('operator', ['node', '-e', code, '/mail/mail.db', '/mail/backup.db']);
    await kubelet.exec('cert-registry', [
      ...['node', '-e', code, '/data/registry/registry.db', '/data/backup.db'],
    ]);
    const count = `const { DatabaseSync } = require('node:sqlite');
      console.log(new DatabaseSync('/mail/backup.db').prepare('PRAGMA integrity_check').get());`;
    expect(await kubelet.exec('operator', ['node', '-e', count])).toContain("'ok'");
  });

  test('each pod ends by itself within its grace', async () => {
    for (const name of [...MAIL, 'operator', 'cert-registry']) {
      expect(await kubelet.stop(name), name).toBe(0);
    }
  });
});
