import { beforeAll, describe, expect, it } from 'vitest';
import { Authenticator } from './authenticator.ts';
import { LoginDesk, MAX_FAILED_LOGINS } from './login-desk.ts';
import { PasswordHasher } from './password.ts';
import { DEFAULT_THROTTLE, Throttle } from './throttle.ts';

const cost = { memoryKiB: 64, passes: 1, parallelism: 1 };
const origin = '192.0.2.1';
const alice = { id: 1 };
let stored = '';

beforeAll(async () => {
  stored = await new PasswordHasher({ cost }).hash('right');
});

/** Address keys as in the store, and simpler: case does not count, nor how the domain is spelt. */
function parseAddress(text: string): { key: string } | undefined {
  if (!text.includes('@')) return undefined;
  return { key: text.toLowerCase().replace('bücher', 'xn--bcher-kva') };
}

function build(
  options: { passes?: number; hasher?: PasswordHasher; onRenew?: () => Promise<void> } = {},
) {
  const { passes = 1, onRenew = async () => {} } = options;
  const renewed: { id: number; from: string; to: string }[] = [];
  const warnings: string[] = [];
  const told: string[] = [];
  const counted: string[] = [];
  const clock = { now: 0 };
  const authenticator = new Authenticator<{ id: number }>({
    accounts: {
      credentials: async (address) =>
        parseAddress(address)?.key === 'alice@xn--bcher-kva.test'
          ? { account: alice, passwordHash: stored }
          : undefined,
      renewPasswordHash: async (id, from, to) => {
        await onRenew();
        renewed.push({ id, from, to });
      },
    },
    parseAddress,
    logger: {
      info: (fields, message) => told.push(JSON.stringify([fields, message])),
      warn: (_, message) => warnings.push(message),
    },
    logins: { inc: ({ outcome, mechanism }) => counted.push(`${outcome} ${mechanism}`) },
    hasher: options.hasher ?? new PasswordHasher({ cost: { ...cost, passes } }),
    throttle: new Throttle(DEFAULT_THROTTLE, () => clock.now),
  });
  return { authenticator, renewed, warnings, told, counted, clock };
}

const attempt = { mechanism: 'plain', address: 'alice@bücher.test', origin } as const;
const right = { ...attempt, password: 'right' };
const wrong = { ...attempt, password: 'wrong' };

describe('Authenticator', () => {
  it('accepts the right password', async () => {
    const { authenticator, renewed, counted } = build();
    expect(await authenticator.authenticate(right)).toEqual({ kind: 'accepted', account: alice });
    expect(renewed).toEqual([]);
    expect(counted).toEqual(['accepted plain']);
  });

  it('answers a wrong password and an unknown account alike', async () => {
    const { authenticator, counted, told } = build();
    const refused = await authenticator.authenticate(wrong);
    const unknown = await authenticator.authenticate({ ...wrong, address: 'bob@bücher.test' });
    expect(refused).toEqual({ kind: 'refused' });
    expect(unknown).toEqual(refused);
    expect(counted).toEqual(['refused plain', 'refused plain']);
    // enough to ban an address by, and no more
    const line =
      '[{"outcome":"refused","mechanism":"plain","origin":"192.0.2.1"},"a login was refused"]';
    expect(told).toEqual([line, line]);
  });

  it('holds up guesses, the right one too, also when they come side by side', async () => {
    const { authenticator, clock } = build();
    const guesses = Array.from({ length: 40 }, () => authenticator.authenticate(wrong));
    const kinds = (await Promise.all(guesses)).map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === 'refused')).toHaveLength(11);
    expect(kinds.filter((kind) => kind === 'throttled')).toHaveLength(29);
    const early = await authenticator.authenticate(right);
    expect(early).toEqual({ kind: 'throttled', retryAfterSeconds: 1 });
    clock.now += 1_000;
    expect((await authenticator.authenticate(right)).kind).toBe('accepted');
  });

  it.each(['alice', 'bob'])('holds up guesses at %s however the address is spelt', async (name) => {
    const { authenticator } = build();
    const spellings = [`${name}@BÜCHER.test`, `${name}@xn--bcher-kva.test`, `${name}@bücher.test`];
    for (let at = 0; at < 11; at += 1) {
      const address = spellings[at % spellings.length] ?? '';
      await authenticator.authenticate({
        mechanism: 'plain',
        address,
        password: 'wrong',
        origin: `192.0.2.${at}`,
      });
    }
    for (const address of spellings) {
      const outcome = await authenticator.authenticate({ ...right, address });
      expect(outcome).toEqual({ kind: 'throttled', retryAfterSeconds: 1 });
    }
  });

  it('says busy instead of queueing without end', async () => {
    const hasher = new PasswordHasher({ cost, concurrency: 1, maxWaiting: 0 });
    const { authenticator } = build({ hasher });
    const outcomes = await Promise.all([1, 2, 3].map(() => authenticator.authenticate(wrong)));
    expect(outcomes.map(({ kind }) => kind).toSorted()).toEqual(['busy', 'busy', 'refused']);
  });
});

describe('the renewal of a hash', () => {
  it('comes with a right password, names the hash that it replaces', async () => {
    const { authenticator, renewed } = build({ passes: 2 });
    await authenticator.authenticate(wrong);
    expect(renewed).toEqual([]);
    await authenticator.authenticate(right);
    const to = expect.stringMatching(/^\$argon2id\$v=19\$m=64,t=2,p=1\$/);
    expect(renewed).toEqual([{ id: alice.id, from: stored, to }]);
  });

  it('may fail, and the login is good', async () => {
    const onRenew = () => Promise.reject(new Error('the disk is full'));
    const { authenticator, warnings } = build({ passes: 2, onRenew });
    expect((await authenticator.authenticate(right)).kind).toBe('accepted');
    expect(warnings).toEqual(['a password hash was not renewed at its login']);
  });
});

describe('LoginDesk', () => {
  it('closes after so many failures, throttled ones among them', async () => {
    const { authenticator } = build();
    for (let at = 0; at < 9; at += 1) await authenticator.authenticate(wrong);
    const desk = new LoginDesk(authenticator, origin);
    const kinds: string[] = [];
    while (!desk.closed)
      kinds.push((await desk.logIn('plain', wrong.address, wrong.password)).kind);
    expect(kinds).toEqual(['refused', 'refused', 'throttled', 'throttled', 'throttled']);
    expect(kinds).toHaveLength(MAX_FAILED_LOGINS);
  });

  it('does not hold it against a client that we are busy', async () => {
    const hasher = new PasswordHasher({ cost, concurrency: 0, maxWaiting: 0 });
    const desk = new LoginDesk(build({ hasher }).authenticator, origin);
    for (let at = 0; at < 2 * MAX_FAILED_LOGINS; at += 1) {
      expect(await desk.logIn('plain', right.address, right.password)).toEqual({ kind: 'busy' });
    }
    expect(desk.closed).toBe(false);
  });
});
