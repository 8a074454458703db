import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FlagOctets } from './flag-octets.ts';
import { decodeFlags } from './flags.ts';
import { UIDS_PER_BLOCK } from './uid-set.ts';

const message = fc.record({
  uid: fc.integer({ min: UIDS_PER_BLOCK, max: 2 * UIDS_PER_BLOCK - 1 }),
  flags: fc.nat(31),
  keywords: fc.constantFrom('', 'Work'),
});

test('it says what was set last, and so does what is stored of it', () => {
  fc.assert(
    fc.property(fc.array(message, { maxLength: 40 }), (messages) => {
      const octets = new FlagOctets();
      for (const one of messages) octets.set(one.uid, one);
      const again = new FlagOctets(octets.octets);
      const last = new Map(messages.map((one) => [one.uid, one]));
      for (const one of last.values()) {
        const expected = one.keywords === '' ? decodeFlags(one) : undefined;
        expect(again.get(one.uid)).toEqual(expected);
        expect(again.says(one)).toBe(true);
        expect(again.says({ ...one, flags: one.flags ^ 1 })).toBe(false);
      }
      expect(octets.octets.at(-1)).not.toBe(0);
    }),
  );
});
