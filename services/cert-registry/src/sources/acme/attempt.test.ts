import { silentLogger } from '@mail/service';
import { beforeEach, expect, test, vi } from 'vitest';
import type { AuditTrail } from '../../audit.ts';
import { RegistryError } from '../../errors.ts';
import { StoredValues } from '../../stored-values.ts';
import type { SourceStatus } from '../source-status.ts';
import { OrderAttempt } from './attempt.ts';
import { AcmeError, problemSchema } from './errors.ts';
import { KeptState } from './state.ts';

const NOW = Date.parse('2030-06-15T12:00:00Z');
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const names = ['a.example', 'b.example'];
const directory = 'https://ca.example/directory';

const settings = new Map<string, string>();
const disk = {
  setting: (name: string) => settings.get(name),
  setSetting: (name: string, value: string) => void settings.set(name, value),
};
const logger = silentLogger();
const failed = vi.fn();
const record = vi.fn();
const [warn, error] = [vi.spyOn(logger, 'warn'), vi.spyOn(logger, 'error')];
let state: KeptState;

const keptState = () => new KeptState(new StoredValues(disk, logger), directory);
const begin = () =>
  OrderAttempt.begin(
    {
      state,
      status: { failed } as unknown as SourceStatus,
      audit: { record } as unknown as AuditTrail,
      logger,
      now: () => NOW,
      random: () => 0.5,
    },
    names,
    'these',
  );
const order = { url: 'https://ca.example/order/1', requestId: 'one' };
const said = (type: string, status: number) => {
  const problem = problemSchema.parse({ type: `urn:ietf:params:acme:error:${type}`, detail: 'no' });
  return new AcmeError('problem', `the CA says ${type}`, { problem, status });
};

beforeEach(() => {
  settings.clear();
  vi.clearAllMocks();
  state = keptState();
});

test('it is on the disk as failed before it is made, and taken back by our own stop', () => {
  const attempt = begin();
  expect(keptState().value).toMatchObject({
    attempts: { failures: 1, nextAt: NOW + HOUR / 60 },
    attempted: 'these',
  });
  attempt.withdraw();
  expect(keptState().value.attempts).toMatchObject({ failures: 0, nextAt: 0 });
});

test('one that fails counts once, with what the error says of the next', () => {
  const refusal = begin().fail(said('rejectedIdentifier', 400));
  expect(refusal).toMatchObject({
    code: 'precondition',
    message: 'the CA says rejectedIdentifier',
  });
  expect(state.value.attempts).toEqual({ failures: 1, nextAt: NOW + HOUR, limited: false });
  expect(failed).toHaveBeenCalledWith('the CA says rejectedIdentifier', [], NOW + HOUR);
  expect(record).toHaveBeenCalledWith({
    actor: expect.any(String),
    action: 'acme-order',
    target: 'a.example b.example',
    outcome: 'FAILED_PRECONDITION: the CA says rejectedIdentifier',
  });
});

test.each<[string, unknown, boolean]>([
  ['what the CA refuses is not gone on with', said('badCSR', 400), false],
  ['nor is an answer that is of no use', new AcmeError('bad-answer', 'x'), false],
  ['nor a name that was not proved', new AcmeError('challenge-failed', 'x'), false],
  ['what its server failed is', said('serverInternal', 503), true],
  [
    'also where it answers in no words of ACME',
    new AcmeError('bad-answer', 'x', { status: 502 }),
    true,
  ],
  ['what did not reach it is', new AcmeError('unreachable', 'x'), true],
  ['so is a proof that we could not give the end of it', new AcmeError('proof-failed', 'x'), true],
])('%s', (_, thrown, kept) => {
  state.change({ order });
  begin().fail(thrown);
  expect(state.value.order).toEqual(kept ? order : undefined);
});

test('a listener that does not listen is marked, and another failure takes the mark away', () => {
  begin().fail(new AcmeError('not-listening', 'taken'));
  expect(state.value.deaf).toBe(true);
  begin().fail(new AcmeError('unreachable', 'no answer'));
  expect(state.value.deaf).toBe(false);
});

test('a refusal of the registry is passed on, and a bug told in no words of its own', () => {
  const refusal = new RegistryError('check-failed', 'the key is weak');
  expect(begin().fail(refusal)).toBe(refusal);
  const bug = new TypeError('secret of ours');
  expect(begin().fail(bug)).toBe(bug);
  expect(failed).toHaveBeenLastCalledWith(
    expect.stringMatching(/^a fault of the registry/),
    [],
    expect.any(Number),
  );
});

test.each([
  ['with most of the life left, quietly', 80 * DAY, '', warn],
  [
    'with little left, loudly',
    10 * DAY,
    '; certificate one ends on 2030-06-25T12:00:00.000Z',
    error,
  ],
  ['with none left, loudly', -DAY, '; certificate one ended on 2030-06-14T12:00:00.000Z', error],
])('told %s', (_, left, ending, log) => {
  const validity = { notBefore: NOW + left - 90 * DAY, notAfter: NOW + left };
  const certificate = { id: 'one', names, ...validity, arrivedAt: NOW - DAY, renewAt: NOW };
  state.change({ certificate });
  begin().fail(new AcmeError('unreachable', 'no answer'));
  expect(failed).toHaveBeenCalledWith(`no answer${ending}`, [], expect.any(Number));
  expect(log).toHaveBeenCalledTimes(1);
  expect(warn.mock.calls.length + error.mock.calls.length).toBe(1);
});
