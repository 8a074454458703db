import { beforeEach, describe, expect, test } from 'vitest';
import type { Proof } from './challenge.ts';
import type { AcmeConnection, Answer } from './connection.ts';
import { AcmeError, problemSchema } from './errors.ts';
import { fulfilOrder, type OrderRequest } from './order.ts';

const at = (path: string) => `https://ca.example${path}`;
const problem = (type: string, status = 400) =>
  new AcmeError('problem', `the CA says ${type}`, {
    problem: problemSchema.parse({ type: `urn:ietf:params:acme:error:${type}`, detail: 'because' }),
    status,
  });

/** What each URL answers, one after the other and then the last again. */
const answers = new Map<string, (object | Error)[]>();
/** What was posted, as "PATH BODY". */
const posted: string[] = [];
const pauses: number[] = [];
const steps: string[] = [];
const given: Proof[] = [];
let takenAway = 0;
let made: string[] = [];

function answer(url: string): Answer {
  const queue = answers.get(url.slice(at('').length)) ?? [];
  const body = queue.length > 1 ? queue.shift() : queue[0];
  if (body instanceof Error) throw body;
  const { location, retryAfterMs, ...rest } = (body ?? {}) as Record<string, unknown>;
  return {
    body: rest,
    location: location as string | undefined,
    retryAfterMs: retryAfterMs as number | undefined,
  };
}

const connection = {
  directory: { newOrder: at('/new'), meta: {} },
  read: async (url: string) => answer(url),
  post: async (url: string, payload: object) => {
    posted.push(`${url.slice(at('').length)} ${JSON.stringify(payload)}`);
    return answer(url);
  },
  chain: async (url: string, preferred: string | undefined) => `chain of ${url} under ${preferred}`,
  proofOf: async ({ token }: { token: string }) => `proof of ${token}`,
} as unknown as AcmeConnection;

const request: OrderRequest = {
  names: ['a.example', '*.a.example'],
  signingRequestPem: '-----BEGIN X-----\nAAEC/w==\n-----END X-----\n',
  profile: undefined,
  replaces: undefined,
  preferredChain: 'A Root',
  url: undefined,
};

const order = (status: string, more: object = {}) => ({
  status,
  authorizations: [at('/authz/1'), at('/authz/2')],
  finalize: at('/finalize'),
  ...more,
});
const authorization = (status: string, more: object = {}) => ({
  status,
  identifier: { type: 'dns', value: 'A.example' },
  challenges: [{ type: 'dns-01', url: at('/challenge/1'), status: 'pending', token: 'one' }],
  ...more,
});

const fulfil = (change: Partial<OrderRequest> = {}): Promise<string> =>
  fulfilOrder(
    { ...request, ...change },
    {
      connection,
      responder: {
        type: 'dns-01',
        async provide(proofs) {
          given.push(...proofs);
          return async () => {
            takenAway += 1;
          };
        },
      },
      signal: new AbortController().signal,
      pause: async (ms) => void pauses.push(ms),
      onOrder: (url) => made.push(url),
      onStep: (step) => steps.push(step),
    },
  );

beforeEach(() => {
  for (const list of [posted, pauses, steps, given]) list.length = 0;
  takenAway = 0;
  made = [];
  answers.clear();
  answers.set('/new', [order('pending', { location: at('/order') })]);
  const wildcard = authorization('pending', {
    wildcard: true,
    challenges: [
      { type: 'http-01', url: at('/not-this'), status: 'pending', token: 'x' },
      { type: 'dns-01', url: at('/challenge/2'), status: 'pending', token: 'two' },
    ],
  });
  answers.set('/authz/1', [authorization('pending'), authorization('valid')]);
  answers.set('/authz/2', [wildcard, authorization('valid')]);
  answers.set('/order', [order('ready'), order('valid', { certificate: at('/cert') })]);
});

test('from the order to the chain: every name proved, proofs taken away, the request as DER', async () => {
  expect(await fulfil()).toBe(`chain of ${at('/cert')} under A Root`);
  expect(made).toEqual([at('/order')]);
  expect(given).toEqual([
    { name: 'a.example', token: 'one', value: 'proof of one' },
    { name: 'a.example', token: 'two', value: 'proof of two' },
  ]);
  expect(takenAway).toBe(1);
  expect(posted).toEqual([
    '/new {"identifiers":[{"type":"dns","value":"a.example"},{"type":"dns","value":"*.a.example"}]}',
    '/challenge/1 {}',
    '/challenge/2 {}',
    '/finalize {"csr":"AAEC_w"}',
  ]);
  expect(steps).toContain('waits for the CA to look at A.example, *.A.example (dns-01)');
});

test('names that are proved already are not proved again', async () => {
  answers.set('/authz/1', [authorization('valid')]);
  answers.set('/authz/2', [authorization('valid')]);
  await fulfil();
  expect(given).toEqual([]);
});

test('waits as the CA asks, up to a minute, else longer each time up to five seconds', async () => {
  answers.set('/order', [
    order('ready'),
    order('processing', { retryAfterMs: 3_600_000 }),
    ...Array.from({ length: 20 }, () => order('processing')),
    order('valid', { certificate: at('/cert') }),
  ]);
  await fulfil();
  const [asked, ...own] = pauses;
  expect(asked).toBe(60_000);
  expect(own).toEqual([...own].sort((one, other) => one - other));
  expect(own.at(-1)).toBe(5_000);
});

describe('an order that was begun before', () => {
  const url = at('/before');

  test('is gone on with', async () => {
    answers.set('/before', [order('valid', { certificate: at('/cert') })]);
    await fulfil({ url });
    expect(made).toEqual([]);
    expect(posted).toEqual([]);
  });

  test.each([
    ['the server has forgotten', problem('malformed', 404)],
    ['is invalid', order('invalid')],
  ])('that %s is followed by a new one', async (_, before) => {
    answers.set('/before', [before]);
    await fulfil({ url });
    expect(made).toEqual([at('/order')]);
  });

  test.each([
    ['a rate limit', problem('rateLimited', 429)],
    ['no answer', new AcmeError('unreachable', 'no answer')],
  ])('%s says nothing about it', async (_, before) => {
    answers.set('/before', [before]);
    await expect(fulfil({ url })).rejects.toBe(before);
    expect(made).toEqual([]);
  });
});

describe('refused', () => {
  test.each<[string, string, (object | Error)[], string, string]>([
    [
      'a proof',
      '/authz/1',
      [
        authorization('pending'),
        authorization('invalid', {
          challenges: [
            {
              type: 'dns-01',
              url: at('/challenge/1'),
              status: 'invalid',
              error: { type: 'urn:ietf:params:acme:error:dns', detail: 'no record' },
            },
          ],
        }),
      ],
      'challenge-failed',
      'the CA could not verify A.example: dns: no record',
    ],
    [
      'a proof, without a word',
      '/authz/1',
      [authorization('pending'), authorization('expired')],
      'challenge-failed',
      'the authorization for A.example is expired',
    ],
    [
      'the way of proving',
      '/authz/1',
      [authorization('pending', { challenges: [{ type: 'http-01', url: '', status: 'pending' }] })],
      'bad-setting',
      'for A.example the CA takes http-01, not dns-01: set CONCERT_ACME_CHALLENGE',
    ],
    [
      'the order',
      '/order',
      [order('ready'), order('invalid', { error: { type: 'x', detail: 'no' } })],
      'problem',
      'the CA refuses the order: x: no',
    ],
    [
      'the order, without a word',
      '/order',
      [order('ready'), order('valid')],
      'bad-answer',
      "the CA's order is valid, without a certificate",
    ],
    [
      'the form',
      '/authz/1',
      [{ ...authorization('pending'), identifier: {} }],
      'bad-answer',
      "the CA's answer lacks identifier.value",
    ],
    [
      'more authorizations than any certificate has names',
      '/order',
      [order('pending', { authorizations: Array.from({ length: 6_000 }, () => at('/authz/1')) })],
      'bad-answer',
      "the CA's answer has more than 200 authorizations",
    ],
    [
      'more challenges than there are kinds',
      '/authz/1',
      [
        authorization('pending', {
          challenges: Array(33).fill({ type: 'x', url: '', status: '' }),
        }),
      ],
      'bad-answer',
      "the CA's answer has more than 32 challenges",
    ],
    [
      'a status of its own',
      '/order',
      [order('fine')],
      'bad-answer',
      "the CA's answer has no status that RFC 8555 knows",
    ],
  ])('%s', async (_, path, replies, code, message) => {
    answers.set(path, replies);
    await expect(fulfil()).rejects.toMatchObject({ code, message });
  });

  test('proofs are taken away after a failure too', async () => {
    answers.set('/challenge/2', [problem('serverInternal', 500)]);
    await expect(fulfil()).rejects.toMatchObject({ code: 'problem' });
    expect(takenAway).toBe(1);
  });
});
