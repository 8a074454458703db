import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { explainFailures, proofOf, RotationProgress, summarize } from './rotation-progress.ts';
import type { OutcomeView, RotationView } from './views.ts';

function outcome(service: string, phase: string, more: Partial<OutcomeView> = {}): OutcomeView {
  return {
    service,
    instance: 'a',
    phase,
    code: '',
    detail: '',
    required: true,
    swapOffsetMs: -0.5,
    ports: [],
    ...more,
  };
}

function rotation(state: string, outcomes: OutcomeView[], toGeneration = 0): RotationView {
  return {
    id: 1,
    kind: 'rotate',
    state,
    fromGeneration: 1,
    toGeneration,
    fromCertificateId: 'x',
    toCertificateId: 'y',
    actor: 'spiffe://concert/operator/admin',
    startedAt: null,
    finishedAt: null,
    skewMs: 1.5,
    commitMs: 5,
    activatedMs: 20,
    verifiedMs: 0,
    failure: '',
    drainPrevious: false,
    outcomes,
  };
}

const texts = (progress: RotationProgress, view: RotationView) =>
  progress.advance(view).map(({ text }) => text.trim().replaceAll(/ +/g, ' '));

test('tells each thing once, in the order in which it came to be', () => {
  const progress = new RotationProgress();
  expect(texts(progress, rotation('preparing', [outcome('imap', 'preparing')]))).toEqual([]);
  const ready = rotation('preparing', [outcome('imap', 'ready')]);
  expect(texts(progress, ready)).toEqual(['ready imap a']);
  expect(texts(progress, ready)).toEqual([]);
  expect(texts(progress, rotation('committed', [outcome('imap', 'ready')], 2))).toEqual([
    'committed generation 2',
  ]);
  expect(texts(progress, rotation('activated', [outcome('imap', 'active')], 2))).toEqual([
    'active imap a -0.50 ms',
  ]);
});

test('a subscriber that fails is told with its reason', () => {
  const ports = [{ listener: 'imaps :993', fingerprintSha256: '', error: 'refused' }];
  const failed = rotation(
    'incomplete',
    [outcome('imap', 'unverified', { ports }), outcome('pop', 'late', { required: false })],
    2,
  );
  expect(texts(new RotationProgress(), failed)).toEqual([
    'ready imap a',
    'committed generation 2',
    'active imap a -0.50 ms',
    'unverified imap a imaps :993: refused',
    'late pop a',
  ]);
  expect(explainFailures(failed)).toContain('pop a late (not required)\n    Look at its load');
  expect(summarize(failed)).toBe(
    'Generation 2 is in force. 0 of 1 subscribers verified in 20 ms, skew 1.50 ms. 1 left behind: ' +
      'see `concert fleet`.',
  );
});

test('with nobody connected it says so', () => {
  expect(summarize(rotation('verified', [], 3))).toContain('No subscriber was there to verify it');
  expect(proofOf(rotation('verified', [], 3))).toBe('no subscriber was there to verify');
});

describe('those whose lease ran out', () => {
  const gone = outcome('pop', 'lost', { code: 'lease-expired', required: false });

  test('are not taken for a part of those who verified', () => {
    const view = rotation('verified', [outcome('imap', 'verified'), gone], 2);
    expect(proofOf(view)).toBe('1 of 1 verified, 1 presumed gone');
    expect(summarize(view)).toBe(
      'Generation 2 is in force. 1 of 1 subscribers verified in 20 ms, skew 1.50 ms. ' +
        '1 presumed gone, and not on it where they still run.',
    );
    expect(explainFailures(view)).toContain(
      'pop a lost (not required): lease-expired\n    If it still runs',
    );
  });

  test('are told of too where nobody else was there', () => {
    const view = rotation('verified', [gone], 2);
    expect(proofOf(view)).toBe('no subscriber was there to verify, 1 presumed gone');
    expect(summarize(view)).toContain('No subscriber was there to verify it');
  });
});

test('whatever snapshots are seen, each subscriber turns ready, active, verified once and in order', () => {
  const way = ['preparing', 'ready', 'active', 'verified'];
  const steps = fc.array(fc.tuple(fc.nat(3), fc.nat(3)), { maxLength: 20 });
  fc.assert(
    fc.property(steps, (seen) => {
      const progress = new RotationProgress();
      const reached = [0, 0];
      const told: string[] = [];
      for (const [imap, pop] of [...seen, [3, 3] as const]) {
        reached[0] = Math.max(reached[0] ?? 0, imap);
        reached[1] = Math.max(reached[1] ?? 0, pop);
        const view = rotation('activated', [
          outcome('imap', way[reached[0]] ?? ''),
          outcome('pop', way[reached[1]] ?? ''),
        ]);
        told.push(...texts(progress, view));
      }
      for (const service of ['imap', 'pop']) {
        const own = told.filter((text) => text.includes(service)).map((text) => text.split(' ')[0]);
        expect(own).toEqual(['ready', 'active', 'verified']);
      }
    }),
  );
});
