import { type CheckResult, CheckSeverity } from '@mail/proto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RegistryError, type RegistryErrorCode } from '../errors.ts';
import {
  type Arrival,
  afterFailure,
  type Plan,
  planFor,
  type Surroundings,
} from './arrival-plan.ts';
import { MaintenanceWindow } from './maintenance-window.ts';

const at = (text: string) => Date.parse(`2026-11-${text}Z`);
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** A Tuesday noon. */
const NOON = at('24T12:00');
const window = MaintenanceWindow.parse('Sun 02:00-04:00');

const arrival = (more: Partial<Arrival> = {}): Arrival => ({
  certificateId: 'new',
  arrivedAt: NOON,
  generation: 7,
  activeId: 'old',
  acted: false,
  failures: 0,
  ...more,
});

const surroundings = (more: Partial<Surroundings> = {}): Surroundings => ({
  now: NOON,
  policy: 'rotate',
  window,
  held: true,
  active: { certificateId: 'old', expiresAt: NOON + 30 * DAY_MS, provisional: false },
  inForceSince: [],
  rotationUnderWay: false,
  basis: 'names',
  ...more,
});

const active = (more: Partial<Surroundings['active']>) => ({
  active: { ...surroundings().active, ...more },
});

const trouble = { message: 'no', checks: [], at: NOON, basis: 'names' };

describe('what is to be done', () => {
  test.each<[string, Partial<Arrival>, Partial<Surroundings>, Plan]>([
    ['at once', {}, {}, { kind: 'switch' }],
    [
      'nothing where it is in force',
      {},
      active({ certificateId: 'new' }),
      { kind: 'done', inForce: true },
    ],
    ['nothing after a rollback', { acted: true }, {}, { kind: 'done', inForce: false }],
    [
      'nothing where it was in force unbeknown to us',
      {},
      { inForceSince: ['new', 'old'] },
      { kind: 'done', inForce: false },
    ],
    ['nothing with one that was deleted', {}, { held: false }, { kind: 'gone' }],
    ['a ticket seed’s switch is nobody’s hand', {}, { inForceSince: ['old'] }, { kind: 'switch' }],
    [
      'an operator’s hand wins',
      {},
      { ...active({ certificateId: 'other' }), inForceSince: ['other'] },
      { kind: 'staged', why: 'overruled' },
    ],
    [
      'and wins once it has put the old one back',
      {},
      { inForceSince: ['other', 'old'] },
      { kind: 'staged', why: 'overruled' },
    ],
    [
      'but not behind what has expired',
      {},
      { ...active({ certificateId: 'other', expiresAt: NOON }), inForceSince: ['other'] },
      { kind: 'switch' },
    ],
    ['stage', {}, { policy: 'stage' }, { kind: 'staged', why: 'policy' }],
    [
      'stage whatever expires',
      {},
      { policy: 'stage', ...active({ expiresAt: NOON }) },
      { kind: 'staged', why: 'policy' },
    ],
    [
      'the window to come',
      {},
      { policy: 'window' },
      { kind: 'wait', until: at('29T02:00'), waitsFor: 'window' },
    ],
    ['the open window', {}, { policy: 'window', now: at('29T02:00') }, { kind: 'switch' }],
    [
      'a window that is over',
      {},
      { policy: 'window', now: at('29T04:00') },
      { kind: 'wait', until: at('29T02:00') + 7 * DAY_MS, waitsFor: 'window' },
    ],
    [
      'one that expires in the window waits for none',
      {},
      { policy: 'window', ...active({ expiresAt: at('29T04:00') }) },
      { kind: 'switch' },
    ],
    [
      'one that outlasts the window does',
      {},
      { policy: 'window', ...active({ expiresAt: at('29T04:01') }) },
      { kind: 'wait', until: at('29T02:00'), waitsFor: 'window' },
    ],
    [
      'the first start’s waits for none',
      {},
      { policy: 'window', ...active({ provisional: true }) },
      { kind: 'switch' },
    ],
    [
      'another rotation is waited for',
      {},
      { rotationUnderWay: true },
      { kind: 'wait', until: NOON + 1_000, waitsFor: 'rotation' },
    ],
    [
      'a back-off',
      { trouble: { ...trouble, retryAt: NOON + 9, waitsFor: 'tlsa' } },
      {},
      { kind: 'wait', until: NOON + 9, waitsFor: 'tlsa' },
    ],
    ['a back-off that is over', { trouble: { ...trouble, retryAt: NOON } }, {}, { kind: 'switch' }],
    [
      'a back-off of a clock that was set back',
      { trouble: { ...trouble, at: NOON + 1, retryAt: NOON + DAY_MS } },
      {},
      { kind: 'switch' },
    ],
    ['a refusal stands', { trouble }, {}, { kind: 'refused', trouble }],
    [
      'until it would be judged by something else',
      { trouble },
      { basis: 'other names' },
      { kind: 'switch' },
    ],
  ])('%s', (_, kept, now, plan) => {
    expect(planFor(arrival(kept), surroundings(now))).toEqual(plan);
  });
});

const check = (
  code: string,
  severity: CheckResult['severity'] = CheckSeverity.CHECK_SEVERITY_ERROR,
) => ({
  code,
  severity,
  certificate: 'new',
  message: code,
  remedy: '',
});

const refused = (...codes: string[]) =>
  new RegistryError('check-failed', 'no', {
    checks: [
      check('expires-soon', CheckSeverity.CHECK_SEVERITY_WARNING),
      ...codes.map((code) => check(code)),
    ],
  });

function failed(before: Arrival, error: RegistryError, random = 0.5, validFrom = 0): Arrival {
  return afterFailure(before, error, { now: NOON, basis: 'names', validFrom, random });
}

describe('after a refusal', () => {
  test.each([
    [0, 0.5, 30_000],
    [0, 0, 24_000],
    [1, 0.5, 60_000],
    [6, 0.5, 1_920_000],
    [7, 0.5, HOUR_MS],
    [1_000, 0.5, HOUR_MS],
  ])('%i failures before: with a random %d it is tried again in %i ms', (failures, random, ms) => {
    const after = failed(
      arrival({ failures }),
      new RegistryError('rotation-aborted', 'no'),
      random,
    );
    expect(after).toMatchObject({
      failures: failures + 1,
      trouble: { retryAt: NOON + ms, waitsFor: 'another-try' },
    });
  });

  test.each<[string, RegistryError, number, object]>([
    [
      'a TLSA record each minute',
      refused('tlsa-not-visible'),
      0,
      { retryAt: NOON + 60_000, waitsFor: 'tlsa' },
    ],
    [
      'the begin of validity',
      refused('not-yet-valid'),
      NOON + DAY_MS,
      { retryAt: NOON + DAY_MS, waitsFor: 'validity' },
    ],
    [
      'both',
      refused('not-yet-valid', 'tlsa-not-visible'),
      NOON + 1,
      { retryAt: NOON + 30_000, waitsFor: 'validity' },
    ],
  ])('%s is waited for, and no failure', (_, error, validFrom, waits) => {
    expect(failed(arrival(), error, 0, validFrom)).toMatchObject({ failures: 0, trouble: waits });
  });

  test('another rotation is waited for, and what failed before still counts', () => {
    const underWay = new RegistryError('rotation-under-way', 'try again');
    const after = failed(arrival({ failures: 3 }), underWay);
    expect(after).toMatchObject({ failures: 3, trouble: { waitsFor: 'rotation' } });
    expect(planFor(after, surroundings())).toEqual({
      kind: 'wait',
      until: NOON + 1_000,
      waitsFor: 'rotation',
    });
  });

  test.each([['required-name-missing'], ['name-loss'], ['expired', 'tlsa-not-visible'], []])(
    'the checks %s stand',
    (...codes) => {
      const after = failed(arrival(), refused(...codes));
      expect(after).toMatchObject({ failures: 1, trouble: { basis: 'names' } });
      expect(after.trouble?.retryAt).toBeUndefined();
    },
  );
});

/** A world in which time passes, hands act, and switches end one way or another. */
type Event =
  | { readonly kind: 'time'; readonly ms: number }
  | { readonly kind: 'operator'; readonly to: 'old' | 'other' | 'new' }
  | { readonly kind: 'ticket-seed' }
  | { readonly kind: 'names' }
  | { readonly kind: 'rotation'; readonly underWay: boolean };
const outcomes = [
  'ok',
  'rotation-aborted',
  'precondition',
  'rotation-under-way',
  'tlsa-not-visible',
  'name-loss',
] as const;
type Outcome = (typeof outcomes)[number];

describe('over time', () => {
  const event: fc.Arbitrary<Event> = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant('time' as const),
        ms: fc.integer({ min: 1, max: 3 * DAY_MS }),
      }),
    },
    fc.record({
      kind: fc.constant('operator' as const),
      to: fc.constantFrom('old' as const, 'other' as const, 'new' as const),
    }),
    fc.constant({ kind: 'ticket-seed' as const }),
    fc.constant({ kind: 'names' as const }),
    fc.record({ kind: fc.constant('rotation' as const), underWay: fc.boolean() }),
  );
  const policy = fc.constantFrom('rotate' as const, 'window' as const, 'stage' as const);
  const lifeDays = fc.integer({ min: 1, max: 60 });
  const endings = fc.infiniteStream(fc.constantFrom(...outcomes));

  const errorOf = (outcome: Exclude<Outcome, 'ok'>) =>
    outcome === 'tlsa-not-visible' || outcome === 'name-loss'
      ? refused(outcome)
      : new RegistryError(outcome satisfies RegistryErrorCode, 'no');

  test('it switches once at most, never against an operator’s hand, the policy or a standing refusal', () => {
    fc.assert(
      fc.property(
        policy,
        lifeDays,
        fc.array(event, { maxLength: 30 }),
        endings,
        (rule, days, events, ends) => {
          let kept = arrival();
          let world = surroundings({
            policy: rule,
            ...active({ expiresAt: NOON + days * DAY_MS }),
          });
          let switched = 0;
          let hand: string | undefined;
          let lastTry:
            | { readonly at: number; readonly basis: string; readonly outcome: Outcome }
            | undefined;
          const commit = (id: string) => {
            const { expiresAt } = world.active;
            world = {
              ...world,
              active: { certificateId: id, expiresAt, provisional: false },
              inForceSince: [...world.inForceSince, id],
            };
          };
          const act = () => {
            if (planFor(kept, world).kind !== 'switch') return;
            const expired = world.active.expiresAt <= world.now;
            expect(rule).not.toBe('stage');
            expect(switched).toBe(0);
            expect(world.rotationUnderWay).toBe(false);
            if (hand !== undefined) expect(expired).toBe(true);
            if (rule === 'window') {
              const { opensAt, closesAt } = window.next(world.now);
              expect(opensAt <= world.now || world.active.expiresAt <= closesAt).toBe(true);
            }
            if (lastTry !== undefined && lastTry.outcome !== 'name-loss') {
              expect(world.now - lastTry.at).toBeGreaterThanOrEqual(24_000);
            }
            if (lastTry?.outcome === 'name-loss') expect(world.basis).not.toBe(lastTry.basis);
            const outcome = ends.next().value ?? 'ok';
            lastTry = { at: world.now, basis: world.basis, outcome };
            if (outcome === 'ok') {
              switched += 1;
              kept = { ...kept, acted: true };
              commit('new');
            } else {
              kept = afterFailure(kept, errorOf(outcome), {
                now: world.now,
                basis: world.basis,
                validFrom: 0,
                random: 0,
              });
            }
          };
          act();
          for (const happening of events) {
            if (happening.kind === 'time') world = { ...world, now: world.now + happening.ms };
            if (happening.kind === 'names') world = { ...world, basis: `${world.basis}'` };
            if (happening.kind === 'rotation')
              world = { ...world, rotationUnderWay: happening.underWay };
            if (happening.kind === 'ticket-seed') commit(world.active.certificateId);
            if (happening.kind === 'operator' && happening.to !== world.active.certificateId) {
              hand = happening.to;
              commit(happening.to);
              world = { ...world, basis: `${world.basis}+` };
            }
            act();
          }
        },
      ),
    );
  });

  test('with nobody in the way it comes into force in the end', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('rotate' as const, 'window' as const),
        fc.array(
          fc.constantFrom(
            'rotation-aborted' as const,
            'precondition' as const,
            'rotation-under-way' as const,
            'tlsa-not-visible' as const,
          ),
          { maxLength: 12 },
        ),
        (rule, failures) => {
          const left = [...failures];
          let kept = arrival();
          let now = NOON;
          for (let turn = 0; turn < 60; turn += 1) {
            const plan = planFor(kept, surroundings({ policy: rule, now }));
            if (plan.kind === 'wait') {
              expect(plan.until).toBeGreaterThan(now);
              now = plan.until;
              continue;
            }
            expect(plan.kind).toBe('switch');
            const failure = left.shift();
            if (failure === undefined) return;
            kept = afterFailure(kept, errorOf(failure), {
              now,
              basis: 'names',
              validFrom: 0,
              random: 0.9,
            });
          }
          throw new Error('it never came to a switch');
        },
      ),
    );
  });
});
