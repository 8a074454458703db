import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { UIDS_PER_BLOCK, UidSet } from './uid-set.ts';

/** Near the edges of octets and blocks, and far apart. */
const uid = fc.oneof(
  fc.integer({ min: 1, max: 40 }),
  fc.integer({ min: UIDS_PER_BLOCK - 12, max: UIDS_PER_BLOCK + 12 }),
  fc.integer({ min: 4_294_967_000, max: 4_294_967_295 }),
  fc.integer({ min: 1, max: 4_294_967_295 }),
);

const ascending = (uids: Iterable<number>): number[] => [...uids].sort((a, b) => a - b);

function setOf(uids: Iterable<number>): UidSet {
  const set = new UidSet();
  for (const one of uids) set.add(one);
  return set;
}

describe('a set of UIDs', () => {
  test('agrees with a sorted list, whatever comes and goes', () => {
    const step = fc.record({ uid, adds: fc.boolean() });
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60 }),
        fc.nat(70),
        fc.nat(70),
        (steps, one, other) => {
          const set = new UidSet();
          const model = new Set<number>();
          for (const { uid, adds } of steps) {
            if (adds) {
              set.add(uid);
              model.add(uid);
            } else {
              set.delete(uid);
              model.delete(uid);
            }
            expect(set.size).toBe(model.size);
          }
          const uids = ascending(model);
          expect(set.last).toBe(uids.at(-1) ?? 0);
          expect(set.slice(0, set.size)).toEqual(uids);
          expect(set.slice(one, other)).toEqual(uids.slice(one, other));
          expect(set.at(one)).toBe(uids[one]);
          for (const { uid } of steps) {
            expect(set.has(uid)).toBe(model.has(uid));
            expect(set.indexOf(uid)).toBe(model.has(uid) ? uids.indexOf(uid) : undefined);
            expect(set.countBelow(uid)).toBe(uids.filter((one) => one < uid).length);
          }
        },
      ),
    );
  });

  test('is what its blocks say', () => {
    fc.assert(
      fc.property(fc.array(uid, { maxLength: 60 }), (uids) => {
        const blocks = [...setOf(uids).blocks()];
        expect(blocks.every(({ bits }) => (bits.at(-1) ?? 0) > 0)).toBe(true);
        const again = new UidSet(blocks);
        expect(again.slice(0, again.size)).toEqual(ascending(new Set(uids)));
      }),
    );
  });

  test('keeps no hold on the blocks that it was made of', () => {
    const bits = Uint8Array.of(0b10);
    const set = new UidSet([{ number: 0, bits }]);
    set.delete(1);
    expect(bits).toEqual(Uint8Array.of(0b10));
  });
});
