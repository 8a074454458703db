import { createPublicKey } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCa, generateKey, issueIdentity } from '@mail/x509';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type ClusterAccess, patchSecret } from './kubernetes-secret.ts';

/** What the API server was asked. */
interface Asked {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly authorization: string | undefined;
  readonly type: string | undefined;
  readonly body: unknown;
}

let account: string;
let server: Server;
let cluster: ClusterAccess;
let asked: Asked[] = [];
let answer: { status: number; body: string };

beforeAll(async () => {
  const ca = await createCa({ commonName: 'cluster', days: 1, now: new Date() });
  const key = await generateKey('ecdsa-p256');
  const cert = issueIdentity({
    ca,
    publicKey: createPublicKey(key),
    uri: 'spiffe://cluster/api',
    dnsNames: ['localhost'],
    days: 1,
    now: new Date(),
  });
  const options = {
    key: key.export({ type: 'pkcs8', format: 'pem' }),
    cert: cert.toString(),
  };
  server = createServer(options, async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const { authorization, 'content-type': type } = request.headers;
    asked.push({
      method: request.method,
      url: request.url,
      authorization,
      type,
      body: JSON.parse(body),
    });
    response.writeHead(answer.status).end(answer.body);
  }).listen(0, 'localhost');
  await once(server, 'listening');
  account = await mkdtemp(join(tmpdir(), 'concert-account-'));
  await writeFile(join(account, 'token'), 'TOKEN\n');
  await writeFile(join(account, 'namespace'), 'mail');
  await writeFile(join(account, 'ca.crt'), ca.certificate.toString());
  const { port } = server.address() as AddressInfo;
  cluster = { server: `https://localhost:${port}`, account };
});
afterAll(async () => {
  server.close();
  await rm(account, { recursive: true });
});
beforeEach(() => {
  asked = [];
  answer = { status: 200, body: '{}' };
});

test('patches the one Secret of its own namespace, with the entries in base64', async () => {
  await patchSecret('concert-identity-imap', { 'cert.pem': 'CHAIN', 'key.pem': 'KEY' }, cluster);
  expect(asked).toEqual([
    {
      method: 'PATCH',
      url: '/api/v1/namespaces/mail/secrets/concert-identity-imap',
      authorization: 'Bearer TOKEN',
      type: 'application/merge-patch+json',
      body: { data: { 'cert.pem': 'Q0hBSU4=', 'key.pem': 'S0VZ' } },
    },
  ]);
});

describe('refuses', () => {
  test.each(['', '../configmaps/x', 'A', 'a/b', 'a?b', '-a'])('the name "%s"', async (name) => {
    await expect(patchSecret(name, {}, cluster)).rejects.toMatchObject({ code: 'usage' });
    expect(asked).toEqual([]);
  });

  test.each([
    [401, 'not-permitted'],
    [403, 'not-permitted'],
    [404, 'not-found'],
    [500, 'refused'],
  ])('with %i: says why the cluster did, and nothing of the key', async (status, code) => {
    answer = { status, body: JSON.stringify({ kind: 'Status', message: 'no such luck' }) };
    const refusal = patchSecret('x', { 'key.pem': 'KEY' }, cluster);
    await expect(refusal).rejects.toMatchObject({ code });
    await expect(refusal).rejects.toThrow(/Secret x: no such luck$/);
  });

  test('with what is no Status at all', async () => {
    answer = { status: 502, body: '<html>' };
    await expect(patchSecret('x', {}, cluster)).rejects.toThrow(/Secret x: 502$/);
  });
});

test('an API server that another CA vouches for is not told the token', async () => {
  const other = await createCa({ commonName: 'other', days: 1, now: new Date() });
  const foreign = await mkdtemp(join(tmpdir(), 'concert-account-'));
  try {
    await writeFile(join(foreign, 'token'), 'TOKEN');
    await writeFile(join(foreign, 'namespace'), 'mail');
    await writeFile(join(foreign, 'ca.crt'), other.certificate.toString());
    const refusal = patchSecret('x', {}, { ...cluster, account: foreign });
    await expect(refusal).rejects.toMatchObject({ code: 'cluster-unreachable' });
    expect(asked).toEqual([]);
  } finally {
    await rm(foreign, { recursive: true });
  }
});
