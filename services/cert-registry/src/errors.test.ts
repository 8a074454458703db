import { status } from '@grpc/grpc-js';
import { CheckSeverity, Rotation, RotationState, SubscriberOutcome } from '@mail/proto';
import { silentLogger } from '@mail/service';
import { expect, test } from 'vitest';
import { describeOutcome, RegistryError, toGrpcError } from './errors.ts';
import { checksIn, rotationIn } from './testing/registry-fixture.ts';

const convert = (error: unknown) => toGrpcError(error, 'Test', silentLogger());

test('a fault of the registry says nothing of itself', () => {
  const error = convert(new TypeError('cannot read /data/registry.db'));
  expect(error).toMatchObject({
    code: status.INTERNAL,
    details: 'internal error; the registry has logged it',
  });
  expect(describeOutcome(new TypeError('secret'))).toBe('INTERNAL');
});

test('checks are in the details', () => {
  const check = {
    code: 'expired',
    severity: CheckSeverity.CHECK_SEVERITY_ERROR,
    certificate: 'x',
    message: 'It has expired.',
    remedy: 'Renew it.',
  };
  const error = convert(new RegistryError('check-failed', 'It has expired.', { checks: [check] }));
  expect(error).toMatchObject({ code: status.FAILED_PRECONDITION, details: 'It has expired.' });
  expect(checksIn(error)).toEqual(['expired']);
  expect(rotationIn(error)).toBeUndefined();
});

test('of a big fleet the details keep those who stood in the way', () => {
  const outcomes = Array.from({ length: 2_000 }, (_, n) =>
    SubscriberOutcome.create({ instance: `i${n}`, code: n % 400 === 7 ? 'too-late' : '' }),
  );
  const state = RotationState.ROTATION_STATE_ABORTED;
  const rotation = Rotation.create({ id: 5n, state, outcomes });
  const error = convert(new RegistryError('rotation-aborted', 'late', { rotation }));
  expect(error.code).toBe(status.ABORTED);
  const told = rotationIn(error);
  expect(told?.id).toBe(5n);
  expect(told?.outcomes.map(({ instance }) => instance)).toEqual([
    'i7',
    'i407',
    'i807',
    'i1207',
    'i1607',
  ]);
});

test('details that no peer would take are left out, the status stays', () => {
  const outcomes = Array.from({ length: 90 }, () =>
    SubscriberOutcome.create({ code: 'x', detail: 'd'.repeat(1_000) }),
  );
  const rotation = Rotation.create({ outcomes });
  const error = convert(new RegistryError('rotation-aborted', 'late', { rotation }));
  expect(error).toMatchObject({ code: status.ABORTED, details: 'late' });
  expect(rotationIn(error)).toBeUndefined();
});
