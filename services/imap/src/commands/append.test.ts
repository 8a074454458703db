import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { withCrlf } from './append.ts';

const MIB = 1024 * 1024;

describe('withCrlf', () => {
  test('every line ends in CRLF, and nothing else changes', async () => {
    const texts = fc.string({ unit: fc.constantFrom('a', '\r', '\n') });
    await fc.assert(
      fc.asyncProperty(texts, async (text) => {
        const whole = await withCrlf(Buffer.from(text), MIB);
        expect(whole.toString()).toBe(text.replaceAll(/(?<!\r)\n/g, '\r\n'));
      }),
    );
  });

  test('what is well already is not copied', async () => {
    const message = Buffer.from('a\r\nb\r\n');
    expect(await withCrlf(message, MIB)).toBe(message);
  });

  test('line ends across the pieces that it works in', async () => {
    const message = Buffer.alloc(MIB, '\r\n\n');
    const whole = await withCrlf(message, 2 * MIB);
    expect(whole.equals(Buffer.alloc(whole.length, '\r\n'))).toBe(true);
  });

  test('what has grown counts against the limit', async () => {
    expect(await withCrlf(Buffer.from('a\nb\n'), 6)).toHaveLength(6);
    const tooBig = expect.objectContaining({ status: 'NO', code: 'TOOBIG' });
    await expect(withCrlf(Buffer.from('a\nb\n'), 5)).rejects.toEqual(tooBig);
  });

  test('others have their turns meanwhile', async () => {
    let done = false;
    const converting = withCrlf(Buffer.alloc(4 * MIB, '\n'), 8 * MIB).finally(() => {
      done = true;
    });
    let turns = 0;
    for (; !done; turns += 1) await nextTurn();
    await converting;
    expect(turns).toBeGreaterThanOrEqual(16);
  });
});
