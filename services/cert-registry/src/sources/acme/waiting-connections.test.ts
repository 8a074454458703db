import fc from 'fast-check';
import { expect, test } from 'vitest';
import { WaitingConnections } from './waiting-connections.ts';

/** The names of those that had to go. */
const gone: string[] = [];
function connection(remoteAddress: string, name = '') {
  return { remoteAddress, destroy: () => void gone.push(name) };
}

test('an address that holds most gives way first, with its oldest; then the oldest of all', () => {
  gone.length = 0;
  const waiting = new WaitingConnections(4);
  const first = connection('192.0.2.1', 'other 1');
  waiting.add(first);
  for (const name of ['crowd 1', 'crowd 2', 'crowd 3']) waiting.add(connection('192.0.2.9', name));
  expect(gone).toEqual([]);
  waiting.add(connection('192.0.2.9', 'crowd 4'));
  waiting.add(connection('192.0.2.2', 'other 2'));
  waiting.add(connection('192.0.2.3', 'other 3'));
  expect(gone).toEqual(['crowd 1', 'crowd 2', 'crowd 3']);
  waiting.add(connection('192.0.2.4', 'other 4'));
  expect(gone.at(-1)).toBe('other 1');
  waiting.delete(first);
  expect(waiting.count).toBe(4);
});

test('never more than the most, and what has sent its request does not go', () => {
  const event = fc.record({ address: fc.nat(5).map(String), asks: fc.boolean() });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 100 }), (events) => {
      const waiting = new WaitingConnections(5);
      const asked = new Set<string>();
      gone.length = 0;
      for (const [index, { address, asks }] of events.entries()) {
        const one = connection(address, String(index));
        waiting.add(one);
        expect(waiting.count).toBeLessThanOrEqual(5);
        if (!asks) continue;
        waiting.delete(one);
        asked.add(String(index));
      }
      expect(gone.filter((name) => asked.has(name))).toEqual([]);
    }),
  );
});
