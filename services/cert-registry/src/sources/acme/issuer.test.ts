import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createSigningRequest } from '@mail/x509';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { AcmeAccount } from './account.ts';
import type { ChallengeResponder } from './challenge.ts';
import type { AcmeConfig } from './config.ts';
import type { AcmeConnection } from './connection.ts';
import { AcmeIssuer } from './issuer.ts';
import { FakeCa, problem } from './testing/fake-ca.ts';
import { stopReason } from './transport.ts';

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const accountKey = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const accountKeyPem = accountKey.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const names = ['localhost'];
const request = {
  names,
  signingRequestPem: createSigningRequest({ names, privateKey }),
  replacedPem: undefined,
  url: undefined,
};

let ca: FakeCa;
let stopping: AbortController;
let provide: ChallengeResponder['provide'];
/** What the account was asked to do. */
const account: string[] = [];
const made: string[] = [];
const watcher = { onOrder: (url: string) => made.push(url), onStep: () => {} };

beforeEach(async () => {
  ca = await FakeCa.start();
  stopping = new AbortController();
  provide = async () => async () => {};
  account.length = 0;
  made.length = 0;
});
afterEach(async () => {
  vi.useRealTimers();
  await ca.stop();
});

function issuer(): AcmeIssuer {
  const config = {
    account: { directoryUrl: `${ca.origin}/directory`, externalAccount: undefined },
  } as unknown as AcmeConfig;
  return new AcmeIssuer({
    config,
    account: {
      key: async () => accountKeyPem,
      async enter(connection: AcmeConnection) {
        account.push('enter');
        const { location = '' } = await connection.newAccount({});
        connection.useAccount(location);
      },
      forget: () => account.push('forget'),
    } as unknown as AcmeAccount,
    responder: { type: 'http-01', provide: (proofs, signal) => provide(proofs, signal) },
    signal: stopping.signal,
    now: Date.now,
  });
}

test('an account that the CA has forgotten is made again, and the order begun anew', async () => {
  let forgotten = true;
  ca.answer = (path) => {
    if (path !== '/order/before' && !(path === '/order' && forgotten)) return undefined;
    if (path === '/order') forgotten = false;
    return problem(400, 'accountDoesNotExist', 'who?');
  };
  const url = `${ca.origin}/order/before`;
  const chain = await issuer().issue({ ...request, url }, watcher);
  expect(chain).toContain('BEGIN CERTIFICATE');
  expect(account).toEqual(['enter', 'forget', 'enter']);
  expect(made).toEqual([`${ca.origin}/order/1`]);
  expect(ca.heard.filter(({ path }) => path === '/order/before')).toHaveLength(1);
});

test('one that it goes on forgetting is no reason to try without end', async () => {
  ca.answer = (path) =>
    path === '/order' ? problem(400, 'accountDoesNotExist', 'who?') : undefined;
  await expect(issuer().issue(request, watcher)).rejects.toMatchObject({
    problemType: 'accountDoesNotExist',
  });
  expect(account).toEqual(['enter', 'forget', 'enter']);
});

test.each<[string, () => unknown, object]>([
  [
    'half an hour is enough for an order',
    () => vi.advanceTimersByTimeAsync(1_800_000),
    { code: 'timed-out', message: 'the CA took too long' },
  ],
  [
    'a stop ends it at once',
    () => stopping.abort(),
    { code: 'stopped', message: 'the registry is stopping' },
  ],
])('%s', async (_, end, error) => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const begun = new EventTarget();
  provide = (_proofs, signal) =>
    new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(stopReason(signal)));
      begun.dispatchEvent(new Event('waits'));
    });
  const waits = once(begun, 'waits');
  const issued = expect(issuer().issue(request, watcher)).rejects.toMatchObject(error);
  await waits;
  await end();
  await issued;
});

test('a CA that suggests nothing, and one that cannot', async () => {
  const chain = await issuer().issue(request, watcher);
  expect(await issuer().suggestion(chain)).toEqual({ info: undefined, retryAfterMs: undefined });
  expect(ca.asked).toEqual([]);
  ca.directory = { renewalInfo: `${ca.origin}/info/` };
  await expect(issuer().suggestion(chain)).rejects.toMatchObject({ code: 'problem' });
  expect(ca.asked).toEqual(ca.issued);
});
