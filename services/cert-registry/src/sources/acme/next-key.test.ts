import { expect, test } from 'vitest';
import { type NextKeyFacts, planNextKey } from './next-key.ts';

const names = ['a.example', 'b.example'];
const P256 = 'ECDSA P-256';
const request = { id: 'request', spki: 'next', keyType: P256, names };
const last = { id: 'last', spki: 'used', keyType: P256 };
const facts: NextKeyFacts = { request, last, policy: 'fresh', keyType: P256, names };
const KEEP = { kind: 'keep' };
const make = (keyOf?: string) => ({ kind: 'make', keyOf });

test.each<[string, Partial<NextKeyFacts>, object]>([
  ['fits', {}, KEEP],
  ['fits, the names in another order', { names: [...names].reverse() }, KEEP],
  ['none yet', { request: undefined }, make()],
  ['none yet, and nothing before', { request: undefined, last: undefined }, make()],
  ['other names: the key stays', { names: ['c.example'] }, make('request')],
  ['another kind of key', { keyType: 'RSA 2048' }, make()],
  ['fresh, and has the key of the last', { request: { ...request, spki: 'used' } }, make()],
  ['reuse: the key of the last', { policy: 'reuse', request: undefined }, make('last')],
  ['reuse, and has another key', { policy: 'reuse' }, make('last')],
  ['reuse, fits', { policy: 'reuse', request: { ...request, spki: 'used' } }, KEEP],
  [
    'reuse, other names',
    { policy: 'reuse', request: { ...request, spki: 'used' }, names: ['c.example'] },
    make('request'),
  ],
  ['reuse, nothing before: the key that was told', { policy: 'reuse', last: undefined }, KEEP],
  ['reuse, but another kind of key is wanted', { policy: 'reuse', keyType: 'RSA 2048' }, make()],
  [
    'reuse after a change of the kind',
    { policy: 'reuse', last: { ...last, keyType: 'RSA 2048' } },
    KEEP,
  ],
])('%s', (_, change, plan) => {
  expect(planNextKey({ ...facts, ...change })).toEqual(plan);
});
