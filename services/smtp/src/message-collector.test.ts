import { PassThrough, Readable } from 'node:stream';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { collectMessage } from './message-collector.ts';
import { MessageMemory } from './message-memory.ts';

const collect = (chunks: readonly string[], memory: MessageMemory, maxBytes = 100) =>
  collectMessage(
    Readable.from(chunks.map((chunk) => Buffer.from(chunk))),
    maxBytes,
    memory.share(),
  );

test('gives the pieces as they came and keeps their memory until it is released', async () => {
  const memory = new MessageMemory(10);
  const share = memory.share();
  const stream = Readable.from([Buffer.from('ab\r'), Buffer.from('\ncd')]);
  expect(Buffer.concat(await collectMessage(stream, 100, share)).toString()).toBe('ab\r\ncd');
  expect(memory.free).toBe(4);
  share.release();
  share.release();
  expect(memory.free).toBe(10);
});

test.each([
  ['past the limit', ['x'.repeat(60), 'y'.repeat(41)], 552],
  ['past the memory', ['x'.repeat(30), 'y'.repeat(21)], 452],
  ['with a bare LF', ['a\nb'], 554],
  ['with a bare LF after it was refused for its size', ['x'.repeat(101), '\nMAIL'], 554],
])('a text %s is read to its end, holds nothing, and is refused', async (_name, chunks, code) => {
  const memory = new MessageMemory(code === 452 ? 50 : 1_000);
  await expect(collect(chunks, memory)).rejects.toMatchObject({ responseCode: code });
  if (code !== 554) expect(memory.free).toBe(code === 452 ? 50 : 1_000);
});

test('a client that leaves', async () => {
  const stream = new PassThrough();
  const collected = collectMessage(stream, 100, new MessageMemory(1_000).share());
  stream.write('half');
  stream.destroy(new Error('gone'));
  await expect(collected).rejects.toMatchObject({ responseCode: 451 });
});

test('shares never hold more together than there is', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(3), fc.nat(60), fc.boolean())), (steps) => {
      const memory = new MessageMemory(100);
      const shares = [memory.share(), memory.share(), memory.share(), memory.share()];
      for (const [index, octets, release] of steps) {
        if (release) shares[index]?.release();
        else shares[index]?.take(octets);
        expect(memory.free).toBeGreaterThanOrEqual(0);
      }
      for (const share of shares) share.release();
      expect(memory.free).toBe(100);
    }),
  );
});
