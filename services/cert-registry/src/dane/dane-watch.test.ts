import { Certificate, CertificateState, CheckSeverity, TlsaUse } from '@mail/proto';
import { silentLogger } from '@mail/service';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { DnsError } from '../dns/errors.ts';
import { StoredValues } from '../stored-values.ts';
import { type Association, associationOf } from './association.ts';
import type { NextKey } from './dane-warnings.ts';
import { DaneWatch } from './dane-watch.ts';
import type { TlsaAnswer } from './visibility.ts';

const NOON = Date.UTC(2026, 10, 24, 12);
const [MAIL, BACKUP] = ['_25._tcp.mail.example.org', '_25._tcp.backup.example.org'];
const key = (digit: string) => digit.repeat(64);
const certificate = (id: string, digit: string, changes: Partial<Certificate> = {}) =>
  Certificate.fromPartial({ id, spkiSha256: key(digit), chainPem: 'chain', ...changes });

const ACTIVE = certificate('active', 'a', { state: CertificateState.CERTIFICATE_STATE_ACTIVE });
const CANDIDATE = certificate('candidate', 'b', {
  state: CertificateState.CERTIFICATE_STATE_AVAILABLE,
});

/** What DNS has by owner; an error to fail. */
let zone: Map<string, readonly Association[] | DnsError>;
let kept: Map<string, string>;
let asked: string[];
let nextKeys: NextKey[];
let diskIsFull: boolean;
let storedValues: StoredValues;
const faults = vi.fn();
const authenticated = { value: true };

beforeEach(() => {
  vi.useFakeTimers({ now: NOON });
  const active = [associationOf(key('a'))];
  zone = new Map([
    [MAIL, active],
    [BACKUP, active],
  ]);
  kept = new Map();
  asked = [];
  nextKeys = [];
  diskIsFull = false;
  storedValues = new StoredValues(
    {
      setting: (name) => kept.get(name),
      setSetting: (name, value) => {
        if (diskIsFull) throw new Error('disk full');
        kept.set(name, value);
      },
    },
    silentLogger(),
  );
  authenticated.value = true;
  faults.mockReset();
});
afterEach(() => {
  vi.useRealTimers();
  expect(faults).not.toHaveBeenCalled();
});

function open(): DaneWatch {
  return new DaneWatch({
    owners: [MAIL, BACKUP],
    lookUp: async (owner): Promise<TlsaAnswer> => {
      asked.push(owner);
      const found = zone.get(owner) ?? [];
      if (found instanceof DnsError) throw found;
      return { associations: found, ttlSeconds: 60, authenticated: authenticated.value };
    },
    keys: { active: () => ACTIVE, held: () => [CANDIDATE, ACTIVE], next: () => nextKeys },
    storedValues,
    logger: silentLogger(),
    now: Date.now,
    random: () => 0,
    onFatal: faults,
  });
}

const allow = { allowTlsaMissing: false };
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const addEverywhere = (association: Association) => {
  for (const [owner, found] of zone) {
    if (!(found instanceof DnsError)) zone.set(owner, [...found, association]);
  }
};

test('looks by the TTL, one timer per owner, and stops', async () => {
  const watch = open();
  watch.start();
  await pass(0);
  expect(asked).toEqual([MAIL, BACKUP]);
  await pass(59_999);
  expect(asked).toHaveLength(2);
  await pass(1);
  expect(asked).toHaveLength(4);
  await watch.stop();
  await pass(600_000);
  expect(asked).toHaveLength(4);
  expect(vi.getTimerCount()).toBe(0);
});

test('a switch looks at once, and what is under way is shared', async () => {
  const watch = open();
  await Promise.all([watch.look(CANDIDATE), watch.look(CANDIDATE)]);
  expect(asked).toEqual([MAIL, BACKUP]);
  // fresh enough
  await watch.look(CANDIDATE);
  expect(asked).toHaveLength(2);
  await pass(1_000);
  // under the key in force nothing is refused
  await watch.look(certificate('renewed', 'a'));
  expect(asked).toHaveLength(2);
  await watch.look(CANDIDATE);
  expect(asked).toHaveLength(4);
  await watch.stop();
});

describe('a switch', () => {
  test('wants the key at every owner, and not only the first', async () => {
    const watch = open();
    await watch.look(CANDIDATE);
    expect(watch.check(CANDIDATE, allow)).toMatchObject([
      {
        code: 'tlsa-not-visible',
        certificate: 'candidate',
        message: expect.stringContaining(MAIL),
      },
      { remedy: expect.stringContaining(`${BACKUP}. 60 IN TLSA 3 1 1 ${key('b')}`) },
    ]);
    zone.set(MAIL, [associationOf(key('b'))]);
    await pass(60_000);
    await pass(120_000);
    const left = watch.check(CANDIDATE, allow);
    expect(left).toMatchObject([{ message: expect.stringContaining(BACKUP) }]);
    expect(left[0]?.severity).toBe(CheckSeverity.CHECK_SEVERITY_ERROR);
    await watch.stop();
  });

  test('is allowed once all have it, and refused again when it is gone', async () => {
    const watch = open();
    addEverywhere(associationOf(key('b')));
    await watch.look(CANDIDATE);
    const [early] = watch.check(CANDIDATE, allow);
    expect(early?.message).toContain('until 2026-11-24T12:02:00.000Z');
    await pass(120_000);
    await watch.look(CANDIDATE);
    expect(watch.check(CANDIDATE, allow)).toEqual([]);
    zone.set(MAIL, []);
    await pass(1_000);
    await watch.look(CANDIDATE);
    expect(watch.check(CANDIDATE, allow)).toHaveLength(1);
    await watch.stop();
  });

  test('where nobody goes by DANE is refused, and says so and how to go on', async () => {
    const messages = async () => {
      await pass(1_000);
      await watch.look(CANDIDATE);
      const found = watch.check(CANDIDATE, allow);
      expect(found.map(({ severity }) => severity)).toEqual(found.map(() => refuse));
      return found.map(({ message }) => message);
    };
    const refuse = CheckSeverity.CHECK_SEVERITY_ERROR;
    zone.set(MAIL, []);
    const watch = open();
    expect(await messages()).toEqual([
      expect.stringMatching(/no TLSA record at .*mail.* yet, so no server .* --allow-tlsa-missing/),
      expect.stringContaining('would hold back their mail'),
    ]);
    // what is taken away is in caches for a while
    zone.set(BACKUP, []);
    expect((await messages())[1]).toContain('would hold back their mail');
    await pass(120_000);
    expect((await messages())[1]).toContain('no mail is held back');
    zone.set(BACKUP, new DnsError('timed-out', 'no answer'));
    await pass(3_600_000);
    expect((await messages())[1]).toContain('is not known');
    await watch.stop();
  });

  test('under the active key, or forced, is only warned of', async () => {
    zone.set(MAIL, []);
    const watch = open();
    await watch.look(CANDIDATE);
    const severities = (found: Certificate, allowTlsaMissing: boolean) =>
      watch.check(found, { allowTlsaMissing }).map(({ severity }) => severity);
    const warning = CheckSeverity.CHECK_SEVERITY_WARNING;
    expect(severities(certificate('renewed', 'a'), false)).toEqual([warning, warning]);
    expect(severities(CANDIDATE, true)).toEqual([warning, warning]);
    expect(severities(certificate('pending', 'c', { chainPem: '' }), false)).toEqual([]);
    await watch.stop();
  });
});

test('a restart goes on where it was, a full disk keeps nothing from being known', async () => {
  const first = open();
  await first.look(CANDIDATE);
  await first.stop();
  await pass(120_000);
  const second = open();
  diskIsFull = true;
  await second.look(CANDIDATE);
  const [active] = second.records();
  expect(active).toMatchObject({ visibleSince: new Date(NOON), settled: true });
  await second.stop();
});

test.each(['{"answeredAt":', '{"answeredAt":"now"}'])(
  'what was kept as %s is seen anew',
  async (text) => {
    kept.set(`dane/${MAIL}`, text);
    const watch = open();
    await watch.look(CANDIDATE);
    expect(watch.records()[0]).toMatchObject({ visibleSince: new Date(NOON), settled: false });
    await watch.stop();
  },
);

test('lists each key once at each owner, and what is not ours', async () => {
  nextKeys = [{ spkiSha256: key('c'), dueAt: undefined }];
  addEverywhere(associationOf(key('d')));
  const watch = open();
  await watch.look(CANDIDATE);
  const listed = watch.records().filter(({ owner }) => owner === MAIL);
  expect(
    listed.map(({ spkiSha256, use, certificateId }) => [spkiSha256[0], use, certificateId]),
  ).toEqual([
    ['a', TlsaUse.TLSA_USE_ACTIVE, 'active'],
    ['c', TlsaUse.TLSA_USE_NEXT, ''],
    ['b', TlsaUse.TLSA_USE_HELD, 'candidate'],
    ['d', TlsaUse.TLSA_USE_FOREIGN, ''],
  ]);
  await watch.stop();
});

describe('warnings', () => {
  const subjects = (watch: DaneWatch) =>
    watch.warnings().map(({ subject, level }) => `${subject} ${level}`);
  const watched = async (): Promise<DaneWatch> => {
    const watch = open();
    await watch.look(CANDIDATE);
    await watch.stop();
    return watch;
  };

  test('none where all is well, nor before anything is known', async () => {
    expect(open().warnings()).toEqual([]);
    expect((await watched()).warnings()).toEqual([]);
  });

  test.each<[string, () => void, string]>([
    [
      'the active key is not among the records',
      () => zone.set(MAIL, [associationOf(key('d'))]),
      `${MAIL} active 2`,
    ],
    ['there are none', () => zone.set(MAIL, []), `${MAIL} active 0`],
    [
      'there are only PKIX ones',
      () => zone.set(MAIL, [{ ...associationOf(key('a')), usage: 1 }]),
      `${MAIL} active 2`,
    ],
  ])('%s', async (_, arrange, subject) => {
    arrange();
    expect(subjects(await watched())).toEqual([subject]);
  });

  test('DNSSEC vouches for nothing', async () => {
    authenticated.value = false;
    expect(subjects(await watched())).toEqual([`${MAIL} dnssec 0`, `${BACKUP} dnssec 0`]);
  });

  test.each([
    [
      'the next key, with the renewal near',
      86_400_000,
      'c',
      [`${MAIL} next 1`, `${BACKUP} next 1`],
    ],
    ['the renewal is far', 5 * 86_400_000, 'c', []],
    ['the key is used again', 86_400_000, 'a', []],
  ])('%s', async (_, dueInMs, digit, expected) => {
    nextKeys = [{ spkiSha256: key(digit), dueAt: NOON + dueInMs }];
    expect(subjects(await watched())).toEqual(expected);
  });

  test('lookups fail, from the third on, and what was known is kept', async () => {
    const watch = open();
    watch.start();
    await pass(0);
    zone.set(MAIL, new DnsError('timed-out', 'no answer'));
    await pass(60_000 + 30_000);
    expect(watch.warnings()).toEqual([]);
    await pass(60_000);
    expect(subjects(watch)).toEqual([`${MAIL} lookup 1`]);
    expect(watch.records()[0]).toMatchObject({
      visibleSince: new Date(NOON),
      problem: 'no answer',
    });
    await watch.stop();
  });
});
