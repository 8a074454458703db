import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { TestCa } from '../../testing/test-ca.ts';
import { AcmeError, describeProblem, plainText } from './errors.ts';
import { AcmeTransport, readRetryAfter } from './transport.ts';

const NOW = Date.parse('2030-06-15T12:00:00Z');

describe('over TLS', () => {
  const ca = new TestCa('Private');
  const leaf = ca.issue({ names: ['localhost'] });
  let server: Server;
  let url: string;

  beforeAll(async () => {
    server = createServer({ cert: leaf.cert + leaf.chain, key: leaf.key }, (request, response) => {
      if (request.url === '/silent') return;
      if (request.url?.startsWith('/refused/')) {
        const [, , type = '', length = '0'] = request.url.split('/');
        response.writeHead(503, { 'content-type': `application/${type}`, 'retry-after': '600' });
        response.end('<'.repeat(Number(length)));
        return;
      }
      response.setHeader('content-type', 'application/json').end('{"hello":"world"}');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `https://localhost:${(server.address() as AddressInfo).port}`;
  });
  afterAll(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });

  const ask = async (
    path: string,
    caPem?: string,
    signal = new AbortController().signal,
    directoryUrl = url,
  ) => {
    const transport = new AcmeTransport({ directoryUrl, caPem, signal, now: () => NOW });
    try {
      return await transport.request(url + path, 'GET');
    } finally {
      transport.close();
    }
  };

  test('the authority that is named is trusted, and no other', async () => {
    expect(await ask('/', ca.rootPem)).toMatchObject({ status: 200, data: { hello: 'world' } });
    for (const other of [undefined, new TestCa('Private').rootPem]) {
      await expect(ask('/', other)).rejects.toMatchObject({
        code: 'unreachable',
        message: expect.stringMatching(/^localhost:\d+ can't be reached: .*certificate/),
      });
    }
  });

  test.each([
    ['JSON that is none', '/refused/json/9'],
    ['a problem that is none', '/refused/problem+json/9'],
    ['a page', '/refused/html/9'],
    ['nothing', '/refused/json/0'],
    ['a body without end', '/refused/json/300000'],
  ])('a refusal is one, with when to come back, though below it is %s', async (_, path) => {
    await expect(ask(path, ca.rootPem)).rejects.toMatchObject({
      code: 'bad-answer',
      message: 'the CA answers HTTP 503',
      status: 503,
      retryAfterMs: 600_000,
    });
  });

  test('a CA elsewhere does not lead to this host', async () => {
    const elsewhere = 'https://ca.example/directory';
    const asked = vi.fn();
    server.on('connection', asked);
    await expect(ask('/', ca.rootPem, undefined, elsewhere)).rejects.toMatchObject({
      code: 'bad-answer',
      message: `the CA names a URL of this host or a private network: ${url}/`,
    });
    expect(asked).not.toHaveBeenCalled();
    server.off('connection', asked);
  });

  test('a request that is no longer wanted ends at once, with the reason of whoever ended it', async () => {
    const stop = new AbortController();
    const silent = ask('/silent', ca.rootPem, stop.signal);
    await once(server, 'request');
    stop.abort();
    await expect(silent).rejects.toMatchObject({ code: 'stopped' });
    const late = new AcmeError('timed-out', 'too long');
    await expect(ask('/', ca.rootPem, AbortSignal.abort(late))).rejects.toBe(late);
  });
});

test.each([
  [undefined, undefined],
  ['120', 120_000],
  ['0', 0],
  ['Sat, 15 Jun 2030 12:01:00 GMT', 60_000],
  ['Sat, 15 Jun 2030 11:00:00 GMT', 0],
  ['soon', undefined],
  ['-5 apples', undefined],
])('Retry-After %s is %s', (header, ms) => {
  expect(readRetryAfter(header, NOW)).toBe(ms);
});

test('what a CA says is one bounded line, whatever it says', () => {
  const text = fc.string({ unit: 'binary', maxLength: 2_000 });
  const subproblems = fc.array(
    fc.record({ detail: text, identifier: fc.record({ value: text }) }),
    { maxLength: 20 },
  );
  fc.assert(
    fc.property(text, text, subproblems, (type, detail, parts) => {
      const line = describeProblem({ type, detail, subproblems: parts });
      expect(line).not.toMatch(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u);
      expect(line.length).toBeLessThan(3_000);
    }),
  );
  expect(plainText('x'.repeat(1_000)).length).toBe(301);
});
