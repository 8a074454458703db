import { PassThrough, Readable } from 'node:stream';
import { MemoryBudget } from '@mail/service';
import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { collectMessage } from './message-collector.ts';

const budgetOf = (octets: number) => new MemoryBudget({ octets, perHolder: octets });
const unwatched = { arrived: () => {} };

const collect = (chunks: readonly string[], memory: MemoryBudget, maxBytes = 100) =>
  collectMessage(
    Readable.from(chunks.map((chunk) => Buffer.from(chunk))),
    maxBytes,
    memory.share('a'),
    unwatched,
  );

test('gives the text and keeps its memory until it is released', async () => {
  const memory = budgetOf(10_000);
  const share = memory.share('a');
  const arrived = vi.fn();
  const stream = Readable.from([Buffer.from('ab\r'), Buffer.from('\ncd')]);
  const text = await collectMessage(stream, 5_000, share, { arrived });
  expect(Buffer.concat(text).toString()).toBe('ab\r\ncd');
  expect(arrived.mock.calls).toEqual([[3], [3]]);
  expect(memory.free).toBe(10_000 - 4096);
  share.release();
  expect(memory.free).toBe(10_000);
});

test('takes for a text the memory that it takes, however small its pieces', async () => {
  const memory = budgetOf(1_000_000);
  const text = await collect(Array(100_000).fill('.\r\n'), memory, 400_000);
  expect(Buffer.concat(text).toString()).toBe('.\r\n'.repeat(100_000));
  // a Buffer for each would be some 10 MB that nobody counts
  expect(text.length).toBeLessThan(20);
  expect(memory.free).toBe(
    1_000_000 - text.reduce((sum, { buffer }) => sum + buffer.byteLength, 0),
  );
});

test('the largest text fits where there is room for it exactly', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 700_000 }), async (size) => {
      const text = await collect(['x'.repeat(size)], budgetOf(size), size);
      expect(Buffer.concat(text)).toHaveLength(size);
    }),
    { numRuns: 20 },
  );
});

test.each([
  ['past the limit', ['x'.repeat(60), 'y'.repeat(41)], 552],
  ['past the memory', ['x'.repeat(30), 'y'.repeat(21)], 452],
  ['with a bare LF', ['a\nb'], 554],
  ['with a bare LF after it was refused for its size', ['x'.repeat(101), '\nMAIL'], 554],
])('a text %s is read to its end, holds nothing, and is refused', async (_name, chunks, code) => {
  const memory = budgetOf(code === 452 ? 50 : 1_000);
  await expect(collect(chunks, memory)).rejects.toMatchObject({ responseCode: code });
  if (code !== 554) expect(memory.free).toBe(code === 452 ? 50 : 1_000);
});

test('a client that leaves', async () => {
  const stream = new PassThrough();
  const collected = collectMessage(stream, 100, budgetOf(1_000).share('a'), unwatched);
  stream.write('half');
  stream.destroy(new Error('gone'));
  await expect(collected).rejects.toMatchObject({ responseCode: 451 });
});
