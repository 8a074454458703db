import { readFileSync } from 'node:fs';
import { Certificate, Source, SourceState, Subscriber } from '@mail/proto';
import { describe, expect, test } from 'vitest';
import { EXPIRY_STAGES, fleetWarnings, goneWarnings, sourceWarnings } from './warnings.ts';

const DAY_MS = 86_400_000;
const NOW = Date.UTC(2030, 0, 1);

const living = (days: number, left: number) =>
  Certificate.fromPartial({
    id: 'abcd',
    notBefore: new Date(NOW + (left - days) * DAY_MS),
    notAfter: new Date(NOW + left * DAY_MS),
  });

describe('an expiry is told in stages', () => {
  const cases: [string, number, number, number | undefined][] = [
    ['200 days, 22 left', 200, 22, undefined],
    ['200 days, 20 left', 200, 20, 1],
    ['200 days, 6 left', 200, 6, 2],
    ['200 days, 1 left', 200, 1, 3],
    ['47 days, at the third where it is renewed', 47, 47 / 3, undefined],
    ['47 days, 11 left', 47, 11, 1],
    ['6 days, at the third where it is renewed', 6, 2, undefined],
    ['6 days, 1.4 left', 6, 1.4, 1],
    ['6 days, 0.3 left', 6, 0.3, 3],
    ['over', 90, -1, 4],
  ];
  test.each(cases)('%s', (_, days, left, level) => {
    const levels = fleetWarnings(living(days, left), [], NOW).map((warning) => warning.level);
    expect(levels).toEqual(level === undefined ? [] : [level]);
  });

  test('in words', () => {
    const [soon] = fleetWarnings(living(90, 1.5), [], NOW);
    expect(soon?.message).toBe(
      'the active certificate abcd expires in 1 day, on 2030-01-02T12:00:00.000Z',
    );
    const [over] = fleetWarnings(living(90, 0), [], NOW);
    expect(over?.message).toBe('the active certificate abcd has expired: rotate now');
  });
});

test('alerts have the same stages', () => {
  const file = new URL('../../../deploy/monitoring/concert.rules.yaml', import.meta.url);
  const stages = readFileSync(file, 'utf8')
    .split('- alert: ')
    .filter((rule) => rule.startsWith('ConcertCertificateExpires\n'))
    .map((rule) => ({
      days: Number(/^ *\) < (\d+)$/m.exec(rule)?.[1]),
      fraction: 1 / Number(/not_before_timestamp_seconds\) \/ (\d+)$/m.exec(rule)?.[1]),
      severity: /severity: (\w+)/.exec(rule)?.[1],
    }));
  const severities = ['info', 'warning', 'critical'];
  expect(stages).toEqual(
    EXPIRY_STAGES.map((stage, index) => ({ ...stage, severity: severities[index] })),
  );
});

test('those who lag are one warning that names some', () => {
  const subscribers = Array.from({ length: 7 }, (_, n) =>
    Subscriber.fromPartial({ service: 'imap', instance: `i${n}`, lagging: n > 0 }),
  );
  expect(fleetWarnings(undefined, subscribers, NOW).map(({ message }) => message)).toEqual([
    'not on the active generation: imap i1, imap i2, imap i3, imap i4, imap i5 and 1 more',
  ]);
});

test('those who are presumed gone are one warning too', () => {
  expect(goneWarnings([])).toEqual([]);
  const [warning] = goneWarnings([
    { service: 'imap', instance: 'a' },
    { service: 'pop', instance: 'b' },
  ]);
  expect(warning?.message).toMatch(/^lost for a whole lease, .*: imap a, pop b$/);
});

test('a source that failed is told with where it looks, and where more stands', () => {
  const state = SourceState.SOURCE_STATE_FAILED;
  const source = Source.fromPartial({ name: 'folder', location: '/certs', detail: 'why', state });
  expect(sourceWarnings([source]).map(({ message }) => message)).toEqual([
    'the certificate source folder (/certs) failed: why; see "concert source list"',
  ]);
});

describe('of a source', () => {
  const of = (changes: Partial<Source>) =>
    sourceWarnings([Source.fromPartial({ name: 'folder', detail: 'why', ...changes })]).map(
      ({ code, level }) => [code, level],
    );
  test.each([
    ['idle', { state: SourceState.SOURCE_STATE_IDLE, certificateId: 'abcd' }, []],
    ['failed', { state: SourceState.SOURCE_STATE_FAILED }, [['source-failed', 1]]],
    [
      'staged',
      { state: SourceState.SOURCE_STATE_STAGED, certificateId: 'abcd' },
      [['certificate-waits', 0]],
    ],
    [
      'waiting for its window',
      { state: SourceState.SOURCE_STATE_WAITING, certificateId: 'abcd' },
      [['certificate-waits', 0]],
    ],
    [
      'a switch that did not succeed',
      { state: SourceState.SOURCE_STATE_WAITING, certificateId: 'abcd', failures: 2 },
      [['source-failed', 1]],
    ],
    ['waiting for a writer', { state: SourceState.SOURCE_STATE_WAITING }, []],
  ] as const)('%s', (_, changes, expected) => {
    expect(of(changes)).toEqual(expected);
  });
});
