import { beforeAll, describe, expect, it } from 'vitest';
import { Authenticator } from './authenticator.ts';
import { PasswordHasher } from './password.ts';
import { DEFAULT_THROTTLE, Throttle } from './throttle.ts';

const cost = { memoryKiB: 64, passes: 1, parallelism: 1 };
const origin = '192.0.2.1';
let stored = '';

beforeAll(async () => {
  stored = await new PasswordHasher({ cost }).hash('right');
});

function build(passes = 1) {
  const renewed: string[] = [];
  const clock = { now: 0 };
  const authenticator = new Authenticator({
    lookUp: async (address) =>
      address === 'alice@example.test' ? { account: 'alice', passwordHash: stored } : undefined,
    renewHash: async (account, hash) => {
      renewed.push(`${account} ${hash}`);
    },
    hasher: new PasswordHasher({ cost: { ...cost, passes } }),
    throttle: new Throttle(DEFAULT_THROTTLE, () => clock.now),
  });
  return { authenticator, renewed, clock };
}

describe('Authenticator', () => {
  it('accepts the right password', async () => {
    const { authenticator, renewed } = build();
    const outcome = await authenticator.authenticate({
      address: 'alice@example.test',
      password: 'right',
      origin,
    });
    expect(outcome).toEqual({ kind: 'accepted', account: 'alice' });
    expect(renewed).toEqual([]);
  });

  it('answers a wrong password and an unknown account alike', async () => {
    const { authenticator } = build();
    const attempt = { address: 'alice@example.test', password: 'wrong', origin };
    const wrong = await authenticator.authenticate(attempt);
    const unknown = await authenticator.authenticate({ ...attempt, address: 'bob@example.test' });
    expect(wrong).toEqual({ kind: 'refused' });
    expect(unknown).toEqual(wrong);
  });

  it('renews a hash of another cost, and only at a right password', async () => {
    const { authenticator, renewed } = build(2);
    const attempt = { address: 'alice@example.test', origin };
    await authenticator.authenticate({ ...attempt, password: 'wrong' });
    expect(renewed).toEqual([]);
    await authenticator.authenticate({ ...attempt, password: 'right' });
    expect(renewed).toEqual([expect.stringMatching(/^alice \$argon2id\$v=19\$m=64,t=2,p=1\$/)]);
  });

  it('holds up guesses, the right one too, also when they come side by side', async () => {
    const { authenticator, clock } = build();
    const attempt = { address: 'alice@example.test', origin };
    const guesses = Array.from({ length: 40 }, () =>
      authenticator.authenticate({ ...attempt, password: 'wrong' }),
    );
    const kinds = (await Promise.all(guesses)).map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === 'refused')).toHaveLength(11);
    expect(kinds.filter((kind) => kind === 'throttled')).toHaveLength(29);
    const early = await authenticator.authenticate({ ...attempt, password: 'right' });
    expect(early).toEqual({ kind: 'throttled', retryAfterMs: 1_000 });
    clock.now += 1_000;
    const later = await authenticator.authenticate({ ...attempt, password: 'right' });
    expect(later.kind).toBe('accepted');
  });

  it('says busy instead of queueing without end', async () => {
    const authenticator = new Authenticator({
      lookUp: async () => undefined,
      hasher: new PasswordHasher({ cost, concurrency: 1, maxWaiting: 0 }),
    });
    const attempt = { address: 'x@example.test', password: 'pw', origin };
    const outcomes = await Promise.all([1, 2, 3].map(() => authenticator.authenticate(attempt)));
    expect(outcomes.map(({ kind }) => kind).toSorted()).toEqual(['busy', 'busy', 'refused']);
  });
});
