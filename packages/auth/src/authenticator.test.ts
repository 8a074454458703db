import { beforeAll, describe, expect, it } from 'vitest';
import { Authenticator } from './authenticator.ts';
import { LoginDesk, MAX_FAILED_LOGINS } from './login-desk.ts';
import { createAppPassword, scramKeysOf } from './new-password.ts';
import { PasswordHasher } from './password.ts';
import { formatScramKeys, type ScramKeys } from './scram-keys.ts';
import { SharedThrottle } from './shared-throttle.ts';
import {
  MemoryStore,
  parseAddress,
  SALT_SECRET,
  type TestAccount,
} from './testing/memory-store.ts';
import type { TokenVerdict } from './token-verifier.ts';

const cost = { memoryKiB: 64, passes: 1, parallelism: 1 };
const origin = '192.0.2.1';
const ADDRESS = 'alice@bücher.test';
let stored = '';

beforeAll(async () => {
  stored = await new PasswordHasher({ cost }).hash('right');
});

interface BuildOptions {
  passes?: number;
  hasher?: PasswordHasher;
  scramKeys?: string | undefined;
  verdict?: TokenVerdict;
}

function build(options: BuildOptions = {}) {
  const { passes = 1, verdict, scramKeys = 'learned before' } = options;
  const warnings: string[] = [];
  const told: string[] = [];
  const counted: string[] = [];
  const clock = { now: 1_000_000 };
  const now = () => clock.now;
  const store = new MemoryStore();
  store.now = now;
  const alice = store.add(ADDRESS, { passwordHash: stored, scramKeys });
  const logger = {
    info: (fields: object, message: string) => told.push(JSON.stringify([fields, message])),
    warn: (_: object, message: string) => warnings.push(message),
  };
  const authenticator = new Authenticator<TestAccount>({
    store,
    parseAddress,
    logger,
    logins: { inc: ({ outcome, mechanism }) => counted.push(`${outcome} ${mechanism}`) },
    hasher: options.hasher ?? new PasswordHasher({ cost: { ...cost, passes } }),
    throttle: new SharedThrottle({ records: store.logins, logger, now, wallNow: now }),
    tokens: verdict && { discoveryUrl: 'https://issuer.test/', verify: async () => verdict },
    now: () => new Date(clock.now),
  });
  return { authenticator, store, alice, warnings, told, counted, clock };
}

const attempt = { mechanism: 'plain', address: ADDRESS, origin } as const;
const right = { ...attempt, password: 'right' };
const wrong = { ...attempt, password: 'wrong' };

describe('Authenticator', () => {
  it('accepts the right password, and writes nothing for it', async () => {
    const { authenticator, store, alice, counted } = build();
    expect(await authenticator.authenticate(right)).toEqual({ kind: 'accepted', account: alice });
    expect([store.renewed, store.used, store.noted]).toEqual([[], [], 0]);
    expect(counted).toEqual(['accepted plain']);
  });

  it('answers a wrong password and an unknown account alike, after the same steps', async () => {
    const { authenticator, store, counted, told } = build();
    const refused = await authenticator.authenticate(wrong);
    const steps = store.asked.splice(0);
    const unknown = await authenticator.authenticate({ ...wrong, address: 'bob@bücher.test' });
    expect(refused).toEqual({ kind: 'refused' });
    expect(unknown).toEqual(refused);
    expect(store.asked).toEqual(steps);
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
      await authenticator.authenticate({ ...wrong, address, origin: `192.0.2.${at}` });
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

  it.each([
    [undefined, 'accepted'],
    ['ALICE@xn--bcher-kva.test', 'accepted'],
    ['bob@bücher.test', 'not-authorized'],
    ['root', 'not-authorized'],
  ])('lets nobody act for somebody else: %s', async (authorizationId, kind) => {
    const { authenticator } = build();
    const outcome = await authenticator.authenticate({ ...right, authorizationId });
    expect(outcome.kind).toBe(kind);
    // what a wrong password hears does not depend on it
    const guess = await authenticator.authenticate({ ...wrong, authorizationId });
    expect(guess.kind).toBe('refused');
  });
});

describe('the renewal of a password', () => {
  it('comes with a right password, names the hash that it replaces', async () => {
    const { authenticator, store, alice } = build({ passes: 2 });
    await authenticator.authenticate(wrong);
    expect(store.renewed).toEqual([]);
    await authenticator.authenticate(right);
    const passwordHash = expect.stringMatching(/^\$argon2id\$v=19\$m=64,t=2,p=1\$/);
    const to = { passwordHash, scramKeys: 'learned before' };
    expect(store.renewed).toEqual([{ id: alice.id, from: stored, to }]);
  });

  it('learns the keys for SCRAM of whoever has none', async () => {
    const { authenticator, store, alice } = build();
    store.passwords.set(parseAddress(ADDRESS)?.key ?? '', { account: alice, passwordHash: stored });
    await authenticator.authenticate(right);
    const scramKeys = expect.stringMatching(/^SCRAM-SHA-256\$65536:/);
    expect(store.renewed).toEqual([
      { id: alice.id, from: stored, to: { passwordHash: stored, scramKeys } },
    ]);
  });

  it('may fail, and the login is good', async () => {
    const { authenticator, store, warnings } = build({ passes: 2 });
    store.onRenew = () => Promise.reject(new Error('the disk is full'));
    expect((await authenticator.authenticate(right)).kind).toBe('accepted');
    expect(warnings).toEqual(['a password was not renewed at its login']);
  });
});

describe('an application password', () => {
  const owner = { addressKey: parseAddress(ADDRESS)?.key ?? '', saltSecret: SALT_SECRET };

  it('logs in like the own one, however it is written, and is noted once an hour', async () => {
    const { authenticator, store, alice, clock } = build();
    const made = await createAppPassword(owner);
    expect(made.password).toMatch(/^([a-z2-9]{4}-){6}[a-z2-9]{4}$/);
    store.addProgram(alice, made);
    const spellings = [
      made.password,
      made.password.toUpperCase(),
      made.password.replaceAll('-', ' '),
      made.password.replaceAll('-', ''),
    ];
    for (const password of spellings) {
      const outcome = await authenticator.authenticate({ ...attempt, password });
      expect(outcome).toEqual({ kind: 'accepted', account: alice });
    }
    expect(store.used).toEqual([1, 1, 1, 1]);
    store.programs.length = 0;
    store.addProgram(alice, made, { lastUsedAt: new Date(clock.now - 60_000) });
    await authenticator.authenticate({ ...attempt, password: made.password });
    expect(store.used).toHaveLength(4);
  });

  it('is of its account alone, and ends in time', async () => {
    const { authenticator, store, alice, clock } = build();
    const bob = store.add('bob@bücher.test', { passwordHash: stored, scramKeys: 'k' });
    const made = await createAppPassword(owner);
    store.addProgram(alice, made, { expiresAt: new Date(clock.now + 1) });
    const given = { ...attempt, password: made.password };
    expect((await authenticator.authenticate({ ...given, address: bob.address })).kind).toBe(
      'refused',
    );
    expect((await authenticator.authenticate(given)).kind).toBe('accepted');
    clock.now += 1;
    expect((await authenticator.authenticate(given)).kind).toBe('refused');
  });

  it('is looked for by its form, whether or not there is the account', async () => {
    const { authenticator, store } = build();
    const { password } = await createAppPassword(owner);
    await authenticator.authenticate({ ...attempt, password });
    const steps = store.asked.splice(0);
    expect(steps).toContain('find app password');
    await authenticator.authenticate({ ...attempt, password, address: 'bob@bücher.test' });
    expect(store.asked).toEqual(steps);
  });
});

describe('SCRAM', () => {
  const scram = { mechanism: 'scram-sha-256', address: ADDRESS, origin } as const;
  const owner = { addressKey: parseAddress(ADDRESS)?.key ?? '', saltSecret: SALT_SECRET };

  async function begin({ authenticator }: ReturnType<typeof build>, address = ADDRESS) {
    const login = await authenticator.beginScram({ ...scram, address });
    if (login.kind !== 'keys') throw new Error(login.kind);
    return login;
  }

  it('takes the same steps and as many keys, whoever is asked for', async () => {
    const scramKeys = await scramKeysOf('right', owner);
    const built = build({ scramKeys });
    const { store, alice } = built;
    store.addProgram(alice, await createAppPassword(owner));
    const known = await begin(built);
    const steps = store.asked.splice(0);
    const unknown = await begin(built, 'bob@bücher.test');
    expect(store.asked).toEqual(steps);
    expect([known.keys.length, unknown.keys.length]).toEqual([33, 33]);
    const shape = ({ keys: [{ iterations, salt }] }: typeof known) => [iterations, salt.length];
    expect(shape(unknown)).toEqual(shape(known));
    expect(await unknown.conclude(0)).toEqual({ kind: 'refused' });
    expect(await known.conclude(undefined)).toEqual({ kind: 'refused' });
    expect(await known.conclude(0)).toEqual({ kind: 'accepted', account: alice });
  });

  it('knows which application password it was, and which are over', async () => {
    const built = build({ scramKeys: undefined });
    const { store, alice, clock, authenticator } = built;
    store.passwords.set(owner.addressKey, { account: alice, passwordHash: stored });
    store.addProgram(alice, await createAppPassword(owner), { expiresAt: new Date(clock.now) });
    const phone = await createAppPassword(owner);
    store.addProgram(alice, phone);
    const login = await begin(built);
    expect(formatScramKeys(login.keys[1] as ScramKeys)).toBe(phone.scramKeys);
    expect(await login.conclude(1)).toEqual({ kind: 'accepted', account: alice });
    expect(store.used).toEqual([2]);
    expect(authenticator.tokens).toBeUndefined();
  });

  it('counts as guessing, and is held up as such', async () => {
    const built = build({ scramKeys: await scramKeysOf('right', owner) });
    const early = await begin(built);
    for (let at = 0; at < 11; at += 1) await (await begin(built)).conclude(undefined);
    expect((await built.authenticator.beginScram(scram)).kind).toBe('throttled');
    // also the one that had begun before
    expect((await early.conclude(0)).kind).toBe('throttled');
  });
});

describe('a token', () => {
  const bearer = { mechanism: 'oauthbearer', token: 'abc', origin } as const;

  it.each<[string, TokenVerdict, string | undefined, string]>([
    ['of an account', { kind: 'good', address: 'Alice@bücher.test' }, undefined, 'accepted'],
    ['of that account', { kind: 'good', address: ADDRESS }, 'alice@BÜCHER.test', 'accepted'],
    ['of another', { kind: 'good', address: ADDRESS }, 'bob@x.test', 'not-authorized'],
    ['of nobody here', { kind: 'good', address: 'bob@x.test' }, undefined, 'refused'],
    ['that is old', { kind: 'bad', forged: false }, undefined, 'refused'],
    ['that nobody can check', { kind: 'unavailable' }, undefined, 'unavailable'],
  ])('%s', async (_, verdict, authorizationId, kind) => {
    const { authenticator, store, counted } = build({ verdict });
    const outcome = await authenticator.checkToken({ ...bearer, authorizationId });
    expect(outcome.kind).toBe(kind);
    expect(counted).toEqual([`${kind} oauthbearer`]);
    expect(store.noted).toBe(0);
  });

  it('holds up who makes them up, and nobody whose token is old', async () => {
    for (const [forged, kind] of [
      [true, 'throttled'],
      [false, 'refused'],
    ] as const) {
      const { authenticator } = build({ verdict: { kind: 'bad', forged } });
      for (let at = 0; at < 11; at += 1) await authenticator.checkToken(bearer);
      expect((await authenticator.checkToken(bearer)).kind).toBe(kind);
    }
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

  describe('an exchange', () => {
    const base64 = (text: string) => Buffer.from(text).toString('base64');
    /** The outcome, and what the client was asked. */
    async function exchange(mechanism: string, initialResponse?: string, ...answers: string[]) {
      const asked: string[] = [];
      const ask = async (challenge: string) => {
        asked.push(Buffer.from(challenge, 'base64').toString());
        return answers.shift() ?? '*';
      };
      const desk = new LoginDesk(build().authenticator, origin);
      const request = { mechanism, initialResponse, binding: undefined, ask };
      const outcome = await desk.authenticate(request).then(
        ({ kind }) => kind,
        ({ code }) => code,
      );
      return { outcome, asked };
    }

    it.each<[string, string | undefined, string[], string, string[]]>([
      ['LOGIN', undefined, [ADDRESS, 'right'], 'accepted', ['Username:', 'Password:']],
      ['login', base64(ADDRESS), ['right'], 'accepted', ['Password:']],
      ['LOGIN', undefined, [ADDRESS, 'wrong'], 'refused', ['Username:', 'Password:']],
      ['LOGIN', '=', [], 'malformed-response', []],
      ['LOGIN', undefined, [], 'cancelled', ['Username:']],
      ['PLAIN', undefined, [`\0${ADDRESS}\0right`], 'accepted', ['']],
      ['PLAIN', base64(`bob@x.test\0${ADDRESS}\0right`), [], 'not-authorized', []],
      ['OAUTHBEARER', undefined, [], 'unsupported-mechanism', []],
      ['SCRAM-SHA-256-PLUS', undefined, [], 'unsupported-mechanism', []],
      ['constructor', undefined, [], 'unsupported-mechanism', []],
    ])('by %s %s', async (mechanism, initial, answers, outcome, asked) => {
      const given = answers.map(base64);
      expect(await exchange(mechanism, initial, ...given)).toEqual({ outcome, asked });
    });
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
