import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { LiteralBudget } from './literal-budget.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('waits in line for room, and nobody overtakes', async () => {
  const budget = new LiteralBudget({ octets: 10, waitMs: 1000 });
  const order: string[] = [];
  const releaseFirst = await budget.reserve(8);
  const large = budget.reserve(9).then((release) => {
    order.push('large');
    return release;
  });
  const small = budget.reserve(1).then((release) => {
    order.push('small');
    return release;
  });
  await Promise.resolve();
  expect(order).toEqual([]);
  releaseFirst();
  await Promise.all([large, small]);
  expect(order).toEqual(['large', 'small']);
});

test('memory is given back once', async () => {
  const budget = new LiteralBudget({ octets: 10, waitMs: 1000 });
  const release = await budget.reserve(10);
  release();
  release();
  await budget.reserve(10);
  const next = budget.reserve(1);
  const refused = expect(next).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  await vi.advanceTimersByTimeAsync(1000);
  await refused;
});

test('who gives up waiting lets those behind go on', async () => {
  const budget = new LiteralBudget({ octets: 10, waitMs: 1000 });
  await budget.reserve(5);
  const large = expect(budget.reserve(10)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  await vi.advanceTimersByTimeAsync(500);
  const small = budget.reserve(5);
  await vi.advanceTimersByTimeAsync(500);
  await large;
  await small;
});
