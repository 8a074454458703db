import { createHash, createHmac, generateKeyPairSync } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AcmeConnection, type ExternalAccount } from './connection.ts';
import { FakeCa, problem } from './testing/fake-ca.ts';

const externalAccount: ExternalAccount = {
  keyId: 'the-key',
  hmacKey: Buffer.from('a shared secret of 32 octets, ok').toString('base64url'),
};
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const { crv, kty, x, y } = publicKey.export({ format: 'jwk' });
const jwk = { crv, kty, x, y };

let ca: FakeCa;
const connections: AcmeConnection[] = [];

beforeEach(async () => {
  ca = await FakeCa.start();
});
afterEach(async () => {
  for (const connection of connections.splice(0)) connection.close();
  await ca.stop();
});

async function open(): Promise<AcmeConnection> {
  const connection = await AcmeConnection.open({
    directoryUrl: `${ca.origin}/directory`,
    accountKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    externalAccount,
    signal: new AbortController().signal,
    now: Date.now,
  });
  connections.push(connection);
  return connection;
}

/** Under an account. */
async function enter(): Promise<AcmeConnection> {
  const connection = await open();
  const { location = '' } = await connection.newAccount({ contact: [] });
  connection.useAccount(location);
  return connection;
}

const decode = (part: string): unknown => JSON.parse(Buffer.from(part, 'base64url').toString());

describe('what is leaned on in acme-client', () => {
  test('everything goes through our transport, and the directory is read once', async () => {
    const connection = await enter();
    await connection.read(`${ca.origin}/order/1`);
    await connection.get(`${ca.origin}/info/x`).catch(() => {});
    expect(ca.heard.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'GET /directory',
      'POST /account',
      'POST /order/1',
      'GET /info/x',
    ]);
    expect(new Set(ca.heard.map(({ agent }) => agent))).toEqual(new Set(['Concert (acme-client)']));
  });

  test('newAccount shows the key, all else names the account (RFC 8555 §6.2); reading sends nothing', async () => {
    const connection = await enter();
    await connection.read(`${ca.origin}/order/1`);
    await connection.post(`${ca.origin}/challenge`, {});
    const [made, read, posted] = ca.heard.filter(({ method }) => method === 'POST');
    expect(made?.header).toMatchObject({ alg: 'ES256', jwk });
    expect(read?.header).toMatchObject({ kid: `${ca.origin}/account/0` });
    expect(read?.header).not.toHaveProperty('jwk');
    expect([read?.payload, posted?.payload]).toEqual(['', {}]);
  });

  test('the account is bound to the external one by its HMAC (RFC 8555 §7.3.4)', async () => {
    await enter();
    const { payload } = ca.heard.find(({ path }) => path === '/account') ?? {};
    const { externalAccountBinding: bound } = payload as {
      externalAccountBinding: { protected: string; payload: string; signature: string };
    };
    const url = `${ca.origin}/account`;
    expect(decode(bound.protected)).toEqual({ alg: 'HS256', kid: 'the-key', url });
    expect(decode(bound.payload)).toEqual(jwk);
    const hmac = createHmac('sha256', Buffer.from(externalAccount.hmacKey, 'base64url'));
    expect(bound.signature).toBe(
      hmac.update(`${bound.protected}.${bound.payload}`).digest('base64url'),
    );
  });

  test('nonces that answers bring are used, each once', async () => {
    const connection = await enter();
    for (let count = 0; count < 3; count += 1) await connection.read(`${ca.origin}/order/1`);
    const nonces = ca.heard.flatMap(({ header }) => header['nonce'] ?? []);
    expect(new Set(nonces).size).toBe(4);
    // the directory has brought the first
    expect(ca.heard.filter(({ path }) => path === '/nonce')).toHaveLength(0);
  });

  test('a bad nonce is repeated with the one that came along, and not without end', async () => {
    const connection = await enter();
    const bad = problem(400, 'badNonce', 'stale', { 'replay-nonce': 'another' });
    let refusals = 1;
    ca.answer = (path) => {
      if (path !== '/order/1' || refusals === 0) return undefined;
      refusals -= 1;
      return bad;
    };
    await connection.read(`${ca.origin}/order/1`);
    expect(ca.heard.at(-1)?.header['nonce']).toBe('another');
    refusals = 1_000;
    await expect(connection.read(`${ca.origin}/order/1`)).rejects.toMatchObject({
      code: 'bad-answer',
      message: 'the CA refuses every nonce that it gives',
    });
    expect(refusals).toBeGreaterThan(980);
  });

  test('proofs are the key authorization, and its digest (RFC 8555 §8.1, RFC 7638)', async () => {
    const connection = await open();
    const thumbprint = createHash('sha256').update(JSON.stringify(jwk)).digest('base64url');
    const http = await connection.proofOf({ type: 'http-01', token: 'tok' });
    expect(http).toBe(`tok.${thumbprint}`);
    expect(await connection.proofOf({ type: 'dns-01', token: 'tok' })).toBe(
      createHash('sha256').update(http).digest('base64url'),
    );
  });

  test.each<[string, object | string]>([
    ['a directory without anything', ''],
    ['no nonce anywhere', { newNonce: '/nonce', newAccount: '/account', newOrder: '/order' }],
  ])('%s is an answer that no CA may give, and no fault of ours', async (_, directory) => {
    const urls = Object.entries(directory).map(([name, path]) => [name, `${ca.origin}${path}`]);
    ca.answer = (path) => {
      const body = path === '/directory' && directory !== '' ? Object.fromEntries(urls) : '';
      return { body, headers: { 'replay-nonce': '' } };
    };
    await expect(enter()).rejects.toMatchObject({ name: 'AcmeError', code: 'bad-answer' });
  });
});

test.each([
  ['the usual one', '/certificate', undefined],
  ['the usual one, where another is preferred', '/certificate', 'Fake Other Root'],
  ['an alternate one', '/alternate', 'Fake Other Root'],
])('a chain of another type is refused: %s', async (_, path, preferred) => {
  const connection = await enter();
  const links = { link: `<${ca.origin}/alternate>;rel="alternate"` };
  ca.answer = (asked) => {
    if (asked === path)
      return { body: 'hello', headers: { ...links, 'content-type': 'text/html' } };
    return asked === '/certificate' ? { body: 'chain', headers: links } : undefined;
  };
  await expect(connection.chain(`${ca.origin}/certificate`, preferred)).rejects.toMatchObject({
    code: 'bad-answer',
    message: 'the CA answers with something else than a chain',
  });
});

test('a preferred chain among some that are none is refused, typed', async () => {
  const connection = await enter();
  ca.answer = (asked) => (asked === '/certificate' ? { body: 'hello' } : undefined);
  await expect(connection.chain(`${ca.origin}/certificate`, 'Any')).rejects.toMatchObject({
    code: 'bad-answer',
  });
});
