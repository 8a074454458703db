import type { PortObservation } from '@mail/proto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bounded } from './bounded-message.ts';
import { LIMITS } from './config.ts';
import type { FromSubscriber } from './coordinator.ts';

const port: PortObservation = {
  listener: 'imaps 0.0.0.0:993',
  fingerprintSha256: 'ab'.repeat(32),
  error: '',
};
const verified = (ports: PortObservation[]): FromSubscriber => ({
  $case: 'verified',
  value: { generation: 2n, ports },
});

test('leaves alone what subscribers really say', () => {
  const messages: FromSubscriber[] = [
    { $case: 'heartbeat', value: { sentAtNs: 1n, roundTripNs: 2n } },
    { $case: 'ready', value: { generation: 2n, nonce: 'n' } },
    {
      $case: 'rejected',
      value: {
        generation: 2n,
        nonce: 'n',
        code: 'unusable-material',
        detail: 'Schlüssel paßt nicht',
      },
    },
    {
      $case: 'activated',
      value: { generation: 2n, fingerprintSha256: port.fingerprintSha256, atNs: 3n },
    },
    verified([port, { ...port, fingerprintSha256: '', error: 'connect ECONNREFUSED' }]),
  ];
  for (const message of messages) expect(bounded(message)).toEqual(message);
});

describe('cuts', () => {
  const size = (text: string) => Buffer.byteLength(text);
  const texts = fc.string({ unit: 'grapheme', minLength: 0, maxLength: 2_000 });

  test('each text, at a whole character', () => {
    fc.assert(
      fc.property(texts, (text) => {
        const said = verified([{ listener: text, fingerprintSha256: text, error: text }]);
        const { value } = bounded(said) as Extract<FromSubscriber, { $case: 'verified' }>;
        const [kept] = value.ports;
        for (const [part, limit] of [
          [kept?.listener ?? '', LIMITS.listenerBytes],
          [kept?.fingerprintSha256 ?? '', LIMITS.fingerprintBytes],
          [kept?.error ?? '', LIMITS.portErrorBytes],
        ] as const) {
          expect(size(part)).toBeLessThanOrEqual(limit);
          expect(text.startsWith(part)).toBe(true);
          expect(part.isWellFormed()).toBe(text.isWellFormed());
          // what is missing would not have fitted
          if (part !== text) expect(size(part)).toBeGreaterThan(limit - 4);
        }
      }),
      { numRuns: 100 },
    );
  });

  test('a megabyte in any field', () => {
    const big = 'é'.repeat(500_000);
    const said: FromSubscriber[] = [
      { $case: 'rejected', value: { generation: 2n, nonce: '', code: big, detail: big } },
      { $case: 'activated', value: { generation: 2n, fingerprintSha256: big, atNs: 3n } },
      verified([{ listener: big, fingerprintSha256: big, error: big }]),
    ];
    for (const message of said) {
      const kept = JSON.stringify(bounded(message).value, (_, value) =>
        typeof value === 'bigint' ? Number(value) : value,
      );
      expect(size(kept)).toBeLessThan(1_000);
    }
  });

  test('ports beyond the limit to one that proves nothing', () => {
    const most = Array.from({ length: LIMITS.observedPorts }, () => port);
    expect(bounded(verified(most))).toEqual(verified(most));
    expect(bounded(verified([...most, port, port]))).toEqual(
      verified([...most, expect.objectContaining({ listener: '2 more', fingerprintSha256: '' })]),
    );
  });
});
