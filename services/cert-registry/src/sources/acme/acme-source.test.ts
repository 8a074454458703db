import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { CertificateState, type Source, SourceState } from '@mail/proto';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Certificates } from '../../certificates.ts';
import { RegistryDatabase } from '../../database.ts';
import {
  call,
  collect,
  refusal,
  TestRegistry,
  type TestSettings,
} from '../../testing/registry-fixture.ts';
import { Arrivals } from '../arrivals.ts';
import { FakeCa, problem } from './testing/fake-ca.ts';

const SOON = { timeout: 15_000, interval: 20 };
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const DISK_FULL = Object.assign(new Error('database or disk is full'), { errcode: 13 });

let ca: FakeCa;
let registry: TestRegistry;
/** How far the registry's wall clock is ahead, in milliseconds. */
let ahead = 0;

beforeEach(async () => {
  ahead = 0;
  const now = Date.now.bind(Date);
  vi.spyOn(Date, 'now').mockImplementation(() => now() + ahead);
  ca = await FakeCa.start();
});
afterEach(async () => {
  vi.restoreAllMocks();
  await registry.remove();
  await ca.stop();
});

async function start(settings: TestSettings = {}): Promise<void> {
  registry = await TestRegistry.start({
    ACME_DIRECTORY: `${ca.origin}/directory`,
    ACME_HTTP_LISTEN: '127.0.0.1:0',
    ...settings,
  });
}

async function source(): Promise<Source> {
  const operator = registry.operator();
  const { sources } = await call(operator, operator.listSources, {});
  const [only] = sources;
  if (only === undefined) throw new Error('no source is switched on');
  return only;
}

const sourceWhere = (wanted: (source: Source) => boolean): Promise<Source> =>
  vi.waitFor(async () => {
    const now = await source();
    if (!wanted(now)) throw new Error(`state ${now.state}: ${now.detail}`);
    return now;
  }, SOON);
const untilIssued = (): Promise<Source> =>
  sourceWhere(
    ({ certificateId, state }) => certificateId !== '' && state === SourceState.SOURCE_STATE_IDLE,
  );
const untilFailed = (): Promise<Source> =>
  sourceWhere(({ state }) => state === SourceState.SOURCE_STATE_FAILED);

const run = (force = false) => collect(registry.operator().runSource({ name: 'acme', force }));

/** Moves the registry's wall clock; timers go on in real time. */
function passTime(ms: number): void {
  ahead += ms;
}

function suggest(from: number, to: number, headers: Record<string, string> = {}): void {
  const [start, end] = [from, to].map((time) => new Date(time).toISOString());
  ca.answer = (path) => {
    if (!path.startsWith('/info/')) return undefined;
    ca.asked.push(path.slice('/info/'.length));
    return {
      body: { suggestedWindow: { start, end }, explanationURL: 'https://ca.test/why' },
      headers,
    };
  };
}

test('the CA says when to renew, and hears what is replaced (RFC 9773)', async () => {
  ca.directory = { renewalInfo: `${ca.origin}/info` };
  const now = Date.now();
  suggest(now + 10 * DAY_MS, now + 11 * DAY_MS, { 'retry-after': String(6 * 3600) });
  await start();
  const suggested = await sourceWhere(({ acme }) => acme?.renewAtFromCa === true);
  const renewAt = suggested.acme?.renewAt?.getTime() ?? 0;
  expect(renewAt).toBeGreaterThanOrEqual(now + 10 * DAY_MS);
  expect(renewAt).toBeLessThanOrEqual(now + 11 * DAY_MS);
  expect(ca.asked).toEqual([ca.issued[0]]);
  expect(ca.orders[0]).toEqual({ identifiers: [{ type: 'dns', value: 'localhost' }] });

  // a mass revocation: the window is moved into the past
  suggest(now - 2 * DAY_MS, now - DAY_MS);
  passTime(7 * HOUR_MS);
  await vi.waitFor(() => expect(ca.issued).toHaveLength(2), SOON);
  expect(ca.orders[1]).toMatchObject({ replaces: ca.issued[0] });
  // a CA that goes on saying so does not get an order after the other
  const again = await sourceWhere(
    ({ acme, certificateId }) =>
      acme?.renewAtFromCa === true && certificateId !== suggested.certificateId,
  );
  expect(again.acme?.renewAt?.getTime()).toBeGreaterThan(Date.now() + HOUR_MS / 2);
  expect(ca.orders).toHaveLength(2);
});

test('a CA that does not accept what is replaced is asked without it', async () => {
  ca.directory = { renewalInfo: `${ca.origin}/info` };
  await start();
  await untilIssued();
  ca.answer = (path, { replaces }) =>
    path === '/order' && replaces !== undefined
      ? problem(409, 'alreadyReplaced', 'has been')
      : undefined;
  await run(true);
  expect(ca.orders.map((order) => 'replaces' in order)).toEqual([false, true, false]);
});

test('a suggestion that is none leaves the renewal at two thirds of the life', async () => {
  ca.directory = { renewalInfo: `${ca.origin}/info` };
  suggest(Date.now() + DAY_MS, Date.now());
  await start();
  await vi.waitFor(() => expect(ca.asked).toHaveLength(1), SOON);
  const { acme } = await untilIssued();
  expect(acme?.renewAtFromCa).toBe(false);
  const days = ((acme?.renewAt?.getTime() ?? 0) - Date.now()) / DAY_MS;
  expect(days).toBeGreaterThan(90 * (2 / 3 - 1 / 20) - 1);
  expect(days).toBeLessThan(90 * (2 / 3) + 1);
});

test('profiles: sent where the CA has it, explained where not', async () => {
  ca.directory = { meta: { profiles: { shortlived: 'six days' } } };
  await start({ ACME_PROFILE: 'shortlived' });
  await untilIssued();
  expect(ca.orders[0]).toMatchObject({ profile: 'shortlived' });
  await registry.stop();

  registry = new TestRegistry({ ...registry.settings, ACME_PROFILE: 'tlsserver' }, registry.folder);
  await registry.start();
  const error = await refusal(run(true));
  expect(error.code).toBe(status.FAILED_PRECONDITION);
  expect(error.details).toContain('no profile "tlsserver"; CONCERT_ACME_PROFILE may be shortlived');
});

test('a rate limit: not asked again before, by nobody, also after a restart', async () => {
  ca.answer = (path) =>
    path === '/order'
      ? problem(429, 'rateLimited', 'too many\u001b[2J for now', { 'retry-after': '7200' })
      : undefined;
  await start();
  const failed = await untilFailed();
  expect(failed.detail).toBe('the CA says rateLimited: too many [2J for now');
  expect((failed.nextActionAt?.getTime() ?? 0) - Date.now()).toBeGreaterThan(7000 * 1000);
  expect((await refusal(run(true))).code).toBe(status.RESOURCE_EXHAUSTED);
  await registry.stop();
  await registry.start();
  expect((await refusal(run())).code).toBe(status.RESOURCE_EXHAUSTED);
  expect(ca.orders).toHaveLength(1);
  expect((await source()).nextActionAt).toEqual(failed.nextActionAt);

  ca.answer = () => undefined;
  passTime(7_500 * 1000);
  await run();
  await untilIssued();
});

test('a rate limit for years holds for a day; force does not break it, and hears what does', async () => {
  ca.answer = (path) =>
    path === '/order'
      ? problem(429, 'rateLimited', 'never', { 'retry-after': '999999999' })
      : undefined;
  await start();
  const { nextActionAt } = await untilFailed();
  const day = (nextActionAt?.getTime() ?? 0) - Date.now();
  expect(day).toBeGreaterThan(DAY_MS - HOUR_MS);
  expect(day).toBeLessThanOrEqual(DAY_MS);
  const error = await refusal(run(true));
  expect(error.code).toBe(status.RESOURCE_EXHAUSTED);
  expect(error.details).toContain(`ask again on ${nextActionAt?.toISOString()}`);
  expect(error.details).toContain('another CONCERT_ACME_DIRECTORY, other names or other settings');
  expect(ca.orders).toHaveLength(1);
  await registry.stop();

  // as that says
  ca.answer = () => undefined;
  const settings = { ...registry.settings, ACME_NAMES: 'localhost,other.example' };
  registry = new TestRegistry(settings, registry.folder);
  await registry.start();
  await untilIssued();
  expect(ca.orders).toHaveLength(2);
});

test('what only an operator can mend is explained, and tried again hours later', async () => {
  ca.answer = (path) =>
    path === '/order'
      ? {
          status: 400,
          body: {
            type: 'urn:ietf:params:acme:error:rejectedIdentifier',
            detail: 'refused',
            subproblems: [
              { detail: 'no such TLD', identifier: { type: 'dns', value: 'localhost' } },
            ],
          },
        }
      : undefined;
  await start();
  const failed = await untilFailed();
  expect(failed.detail).toBe('the CA says rejectedIdentifier: refused (localhost: no such TLD)');
  expect((failed.nextActionAt?.getTime() ?? 0) - Date.now()).toBeGreaterThan(0.7 * HOUR_MS);
});

test('of several chains the one under the root that is preferred', async () => {
  await start({ ACME_PREFERRED_CHAIN: 'Fake Other Root' });
  const { certificateId } = await untilIssued();
  const operator = registry.operator();
  const { certificate } = await call(operator, operator.getCertificate, { certificateId });
  const lines = (pem = '') => pem.replaceAll(/\s/g, '');
  expect(lines(certificate?.chainPem)).toBe(lines(ca.alternateChain));
});

test('staged by the policy: held and told, and not switched to', async () => {
  await start({ ACME_POLICY: 'stage' });
  const staged = await sourceWhere(({ state }) => state === SourceState.SOURCE_STATE_STAGED);
  const operator = registry.operator();
  const { fleet } = await call(operator, operator.getFleet, {});
  expect(fleet?.generation).toBe(1n);
  expect(fleet?.activeCertificate?.id).not.toBe(staged.certificateId);
  const { certificate } = await call(operator, operator.getCertificate, staged);
  expect(certificate?.dnsNames).toEqual(['localhost']);
  // the timetable goes on all the same
  expect(staged.acme?.renewAt?.getTime()).toBeGreaterThan(Date.now() + 50 * DAY_MS);
});

test('a port that is taken is told at the start, and the CA is not bothered', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  await start({ ACME_HTTP_LISTEN: `127.0.0.1:${port}` });
  expect((await untilFailed()).detail).toContain(`cannot listen on 127.0.0.1:${port} for http-01`);
  expect((await refusal(run())).details).toContain('EADDRINUSE');
  expect(ca.orders).toHaveLength(0);
  other.close();
  await once(other, 'close');
  await run();
  expect(await untilIssued()).toMatchObject({ failures: 0 });
});

test('that a port was taken is told no longer than that, across restarts', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  await start({ ACME_HTTP_LISTEN: `127.0.0.1:${port}` });
  await untilFailed();
  await registry.stop();
  other.close();
  await once(other, 'close');
  await registry.start();
  // the next order is a minute away
  const idle = await sourceWhere(({ state }) => state === SourceState.SOURCE_STATE_IDLE);
  expect(idle).toMatchObject({ detail: 'orders its first certificate', failures: 0 });
  expect(ca.orders).toHaveLength(0);
});

test('an order that a server failed in the middle is gone on with', async () => {
  ca.answer = (path) =>
    path === '/finalize'
      ? problem(503, 'serverInternal', 'come back', { 'retry-after': '600' })
      : undefined;
  await start();
  const failed = await untilFailed();
  expect((failed.nextActionAt?.getTime() ?? 0) - Date.now()).toBeGreaterThan(500_000);
  ca.answer = () => undefined;
  await run();
  expect(ca.orders).toHaveLength(1);
  expect(await untilIssued()).toMatchObject({ failures: 0 });
  // the account's key and the certificates' lie there sealed
  const folder = join(registry.folder, 'registry');
  for (const name of readdirSync(folder)) {
    expect(readFileSync(join(folder, name), 'latin1')).not.toContain('PRIVATE KEY');
  }
});

describe('a certificate that has come goes into force', () => {
  /** From when the CA's answer is fetched, the registry takes no certificate more. */
  function fillUp(): void {
    let answered = false;
    ca.answer = (path) => {
      answered ||= path === '/certificate';
      return undefined;
    };
    const count = RegistryDatabase.prototype.countCertificates;
    vi.spyOn(RegistryDatabase.prototype, 'countCertificates').mockImplementation(function (
      this: RegistryDatabase,
    ) {
      return answered ? 10_000 : count.call(this);
    });
  }

  test('though there is no room for the next key, which is told, and made once there is', async () => {
    fillUp();
    await start();
    const issued = await untilIssued();
    const operator = registry.operator();
    const { fleet } = await call(operator, operator.getFleet, {});
    expect(fleet?.activeCertificate?.id).toBe(issued.certificateId);
    expect(issued).toMatchObject({ failures: 0, acme: { nextSpkiSha256: '' } });
    expect(issued.detail).toMatch(
      /; cannot get ready for the next order: the registry holds 10000/,
    );
    vi.mocked(RegistryDatabase.prototype.countCertificates).mockRestore();
    await run();
    const ready = await source();
    expect(ready.detail).not.toContain('cannot get ready');
    expect(ready.acme?.nextSpkiSha256).toMatch(/^[0-9a-f]{64}$/);
    expect(ca.orders).toHaveLength(1);
  });

  test('though nothing needless can be deleted', async () => {
    vi.spyOn(Certificates.prototype, 'list').mockImplementation(() => {
      throw DISK_FULL;
    });
    await start();
    const issued = await untilIssued();
    expect(issued.detail).toMatch(/; cannot get ready for the next order: the disk .* is full$/);
  });

  test.each([
    ['this process', false],
    ['the next, though it cannot make the next key either', true],
  ])('once the disk takes it, by %s', async (_, restart) => {
    const accept = vi.spyOn(Arrivals.prototype, 'accept').mockImplementation(() => {
      throw DISK_FULL;
    });
    await start();
    const hindered = await sourceWhere(({ detail }) => detail.includes('cannot get ready'));
    expect(hindered.certificateId).toBe('');
    // nor does an order by hand give it up for another
    expect((await refusal(run(true))).code).toBe(status.RESOURCE_EXHAUSTED);
    expect(ca.orders).toHaveLength(1);
    accept.mockRestore();
    if (restart) {
      await registry.stop();
      vi.spyOn(RegistryDatabase.prototype, 'countCertificates').mockReturnValue(10_000);
      await registry.start();
    } else {
      await run();
    }
    expect(await untilIssued()).toMatchObject({ failures: 0 });
    expect(ca.orders).toHaveLength(1);
  });
});

test('an answer that the disk did not take is fetched again, and not ordered', async () => {
  vi.spyOn(RegistryDatabase.prototype, 'completeCertificate').mockImplementationOnce(() => {
    throw DISK_FULL;
  });
  await start();
  expect((await untilFailed()).detail).toMatch(/^the disk .* is full$/);
  await run();
  expect(await untilIssued()).toMatchObject({ failures: 0 });
  expect(ca.orders).toHaveLength(1);
});

test('a request that a process made, and died before it knew, goes at the next start', async () => {
  const write = RegistryDatabase.prototype.setSetting;
  vi.spyOn(RegistryDatabase.prototype, 'setSetting').mockImplementation(function (
    this: RegistryDatabase,
    name,
    value,
  ) {
    if (name !== 'source/acme/state') write.call(this, name, value);
  });
  ca.answer = (path) => (path === '/order' ? problem(503, 'serverInternal', 'later') : undefined);
  await start();
  await untilFailed();
  await registry.stop();
  vi.restoreAllMocks();
  ca.answer = () => undefined;
  await registry.start();
  await untilIssued();
  const operator = registry.operator();
  const { certificates } = await call(operator, operator.listCertificates, {});
  const pending = certificates.filter(
    ({ state }) => state === CertificateState.CERTIFICATE_STATE_PENDING,
  );
  const { acme } = await source();
  expect(pending.map(({ spkiSha256 }) => spkiSha256)).toEqual([acme?.nextSpkiSha256]);
});

test('a certificate for other names is no renewal: the timetable stays, and it is ordered again', async () => {
  await start();
  const issued = await untilIssued();
  ca.issuedNames = () => ['evil.example'];
  const error = await refusal(run(true));
  expect(error.code).toBe(status.FAILED_PRECONDITION);
  expect(error.details).toContain('lacks localhost');
  const failed = await untilFailed();
  expect(failed).toMatchObject({ failures: 1, certificateId: issued.certificateId });
  expect(failed.acme?.renewAt).toEqual(issued.acme?.renewAt);
  // nor is the answer kept
  expect(failed.acme?.nextSpkiSha256).toBe(issued.acme?.nextSpkiSha256);
  ca.issuedNames = (asked) => asked;
  await run(true);
  expect((await untilIssued()).certificateId).not.toBe(issued.certificateId);
  expect(ca.orders).toHaveLength(3);
});

test('an order about which the CA answers what is of no use is given up for another', async () => {
  const authorizations = Array(201).fill(`${ca.origin}/authorization`);
  ca.answer = (path) =>
    path === '/order/1'
      ? { body: { status: 'pending', authorizations, finalize: `${ca.origin}/finalize` } }
      : undefined;
  await start();
  expect((await untilFailed()).detail).toBe("the CA's answer has more than 200 authorizations");
  ca.answer = () => undefined;
  await run();
  await untilIssued();
  expect(ca.orders).toHaveLength(2);
});

test('terms of service want a yes', async () => {
  ca.directory = { meta: { termsOfService: 'https://ca.test/terms' } };
  await start();
  expect((await untilFailed()).detail).toContain(
    'https://ca.test/terms: if you agree, set CONCERT_ACME_TERMS_AGREED=yes',
  );
  expect(ca.orders).toHaveLength(0);
});

test('stopped in the middle of an order: at once, and gone on with at the next start', async () => {
  // the CA takes its time
  ca.answer = (path) =>
    path === '/order/1'
      ? {
          body: { status: 'processing', authorizations: [], finalize: `${ca.origin}/finalize` },
          headers: { 'retry-after': '60' },
        }
      : undefined;
  await start();
  await vi.waitFor(async () => expect((await source()).detail).toContain('waits for the CA'), SOON);
  await registry.stop();
  ca.answer = () => undefined;
  await registry.start();
  const done = await untilIssued();
  expect(done.failures).toBe(0);
  expect(ca.orders).toHaveLength(1);
});

test.each([
  [
    'a directory that is none',
    '/directory',
    { body: { hello: 'world' } },
    /is no directory of an ACME server/,
  ],
  [
    'JSON that is none',
    '/order',
    { status: 201, body: 'oops', headers: { 'content-type': 'application/json' } },
    /JSON that is none/,
  ],
  [
    'an answer without end',
    '/directory',
    { body: { more: 'x'.repeat(300_000) } },
    /longer than 262144 octets/,
  ],
  [
    'URLs in the clear elsewhere',
    '/directory',
    {
      body: {
        newNonce: 'http://ca.example/n',
        newAccount: 'http://ca.example/a',
        newOrder: 'http://ca.example/o',
      },
    },
    /a URL that is not https: http:\/\/ca.example/,
  ],
  [
    'an order without a place',
    '/order',
    { status: 201, body: { status: 'pending', authorizations: [], finalize: '' } },
    /did not say where/,
  ],
  [
    'a redirect',
    '/order',
    { status: 302, headers: { location: 'https://ca.example/' } },
    /redirect/,
  ],
  [
    'a chain that is none',
    '/certificate',
    { body: 'hello', headers: { 'content-type': 'text/html' } },
    /something else than a chain/,
  ],
])('%s is refused', async (_, path, reply, detail) => {
  ca.answer = (asked) => (asked === path ? reply : undefined);
  await start();
  expect((await untilFailed()).detail).toMatch(detail);
});

test('a certificate that the checks refuse is not switched to', async () => {
  await start({ ACME_NAMES: 'other.example' });
  // of the names that the CA knows, one is required and missing
  const refused = await untilFailed();
  expect(refused.checks.map(({ code }) => code)).toContain('required-name-missing');
  const operator = registry.operator();
  const { fleet } = await call(operator, operator.getFleet, {});
  expect(fleet?.generation).toBe(1n);
});
