import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MemoryBudget, messageBudget } from './memory-budget.ts';

test('gives what is left, and takes back all of a share at once', () => {
  const budget = new MemoryBudget({ octets: 10, perHolder: 10 });
  const share = budget.share('alice');
  expect(share.take(6)).toBe(true);
  expect(share.take(5)).toBe(false);
  expect(share.take(4)).toBe(true);
  expect(budget.free).toBe(0);
  share.release();
  share.release();
  expect(budget.free).toBe(10);
});

test('one holder leaves room for others, however many shares it has', () => {
  const budget = new MemoryBudget({ octets: 10, perHolder: 6 });
  expect(budget.share('alice').take(4)).toBe(true);
  const second = budget.share('alice');
  expect(second.take(3)).toBe(false);
  expect(second.take(2)).toBe(true);
  expect(budget.share('bob').take(4)).toBe(true);
  second.release();
  expect(budget.share('alice').take(2)).toBe(true);
});

test.each([
  // half of the memory, since a message is held twice; a quarter of that each
  [800, 10, 400, 100],
  [800, 150, 400, 150],
  [100, 150, 150, 150],
])('of %i octets for messages of at most %i all have %i, one %i', (memory, most, all, one) => {
  const budget = messageBudget(memory, most);
  expect(budget.free).toBe(all);
  expect(budget.share('a').take(one + 1)).toBe(false);
  expect(budget.share('a').take(one)).toBe(true);
});

test('never gives more than there is, to all or to one', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(5), fc.nat(60), fc.boolean())), (steps) => {
      const budget = new MemoryBudget({ octets: 100, perHolder: 70 });
      const shares = Array.from({ length: 6 }, (_, index) => budget.share(`holder ${index % 3}`));
      const held = shares.map(() => 0);
      for (const [index, octets, release] of steps) {
        if (release) {
          shares[index]?.release();
          held[index] = 0;
        } else if (shares[index]?.take(octets)) held[index] = (held[index] ?? 0) + octets;
        expect(budget.free).toBe(100 - held.reduce((sum, each) => sum + each, 0));
        expect(budget.free).toBeGreaterThanOrEqual(0);
        for (const holder of [0, 1, 2]) {
          expect((held[holder] ?? 0) + (held[holder + 3] ?? 0)).toBeLessThanOrEqual(70);
        }
      }
    }),
  );
});
