import { Certificate, CertificateState } from '@mail/proto';
import { expect, test } from 'vitest';
import { needless } from './needless.ts';

const NOW = Date.parse('2030-06-15T12:00:00Z');
const HOUR = 3_600_000;

const ended = (hours: number, change: Partial<Certificate> = {}) =>
  Certificate.fromPartial({
    id: `ended-${hours}`,
    createdBy: 'acme',
    state: CertificateState.CERTIFICATE_STATE_AVAILABLE,
    notAfter: new Date(NOW - hours * HOUR),
    ...change,
  });
const find = (all: readonly Certificate[]) =>
  needless(all, { actor: 'acme', requestId: 'waits', now: NOW });
const many = Array.from({ length: 25 }, (_, index) => ended(index + 1));

test('of those that have ended the newest are kept', () => {
  const ids = [21, 22, 23, 24, 25].map((hours) => `ended-${hours}`);
  expect(find(many.toReversed())).toEqual(ids);
});

test.each([
  ['in force, though it has ended', { state: CertificateState.CERTIFICATE_STATE_ACTIVE }],
  ['of somebody else', { createdBy: 'alice' }],
  ['still valid', { notAfter: new Date(NOW + HOUR) }],
])('%s: not deleted', (_, change) => {
  const all = [...many.slice(0, 20), ended(1_000, { ...change, id: 'this' })];
  expect(find(all)).toEqual([]);
});

test('of requests by ACME the one that waits is kept', () => {
  const request = (id: string, createdBy = 'acme') =>
    Certificate.fromPartial({ id, createdBy, state: CertificateState.CERTIFICATE_STATE_PENDING });
  const all = [request('waits'), request('replaced'), request('theirs', 'alice')];
  expect(find(all)).toEqual(['replaced']);
});
