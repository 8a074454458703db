import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LineServerError } from './errors.ts';
import { LineReader } from './line-reader.ts';

const text = fc
  .array(fc.constantFrom('a', 'bc', '\r', '\n', '\r\n', '\0', 'longer'), { maxLength: 40 })
  .map((pieces) => pieces.join(''));

/** Cuts text anywhere. */
const cutText = fc.tuple(text, fc.array(fc.nat(80))).map(([whole, cuts]) => {
  const at = [
    0,
    ...cuts.filter((cut) => cut < whole.length).toSorted((a, b) => a - b),
    whole.length,
  ];
  return { whole, pieces: at.slice(1).map((end, index) => whole.slice(at[index], end)) };
});

/** Everything the reader says when octets come like this. */
function read(pieces: readonly string[], limit: number): string[] {
  const reader = new LineReader();
  const said: string[] = [];
  for (const piece of pieces) {
    reader.push(Buffer.from(piece));
    try {
      for (let line = reader.takeLine(limit); line; line = reader.takeLine(limit)) {
        said.push(line.toString());
      }
    } catch (error) {
      expect(error).toBeInstanceOf(LineServerError);
      return [...said, 'line-too-long'];
    }
  }
  return said;
}

describe('LineReader', () => {
  it.each([
    ['a\r\nb\r\n', ['a', 'b']],
    ['a\nb\r\n', ['a', 'b']],
    ['\r\n\n', ['', '']],
    ['a\rb\r\n', ['a\rb']],
    ['a\r\r\n', ['a\r']],
    ['open', []],
  ])('reads %j', (whole, lines) => {
    expect(read([whole], 100)).toEqual(lines);
  });

  it.each([
    ['abcd\r\n', ['abcd']],
    ['abcd\n', ['abcd']],
    ['abcde\r\n', ['line-too-long']],
    ['abcd\r', []],
    ['abcde', []],
    ['abcdef', ['line-too-long']],
  ])('with a limit of 4 reads %j', (whole, lines) => {
    expect(read([whole], 4)).toEqual(lines);
  });

  it('reads the same lines however the octets come', () => {
    fc.assert(
      fc.property(cutText, ({ whole, pieces }) => {
        const lines = whole
          .split('\n')
          .slice(0, -1)
          .map((line) => line.replace(/\r$/, ''));
        expect(read(pieces, 1_000)).toEqual(lines);
      }),
    );
  });

  it('finds the same lines too long however the octets come', () => {
    fc.assert(
      fc.property(cutText, ({ whole, pieces }) => {
        const rest = '\n';
        expect(read([...pieces, rest], 6)).toEqual(read([whole + rest], 6));
      }),
    );
  });

  it('joins small chunks: what a client sends octet by octet takes the memory of its octets', () => {
    const reader = new LineReader();
    const octets = Array.from({ length: 10_000 }, () => Buffer.from('x'));
    for (const octet of octets) {
      reader.push(octet);
      expect(reader.takeLine(20_000)).toBeUndefined();
    }
    for (const octet of octets) octet.fill('-');
    const kept = reader.take(octets.length)?.toString().replaceAll('x', '') ?? '';
    // one in 4096 begins a slab of its own
    expect(kept.length).toBeLessThanOrEqual(3);
  });

  it('mixes lines and literals', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.boolean(), fc.uint8Array({ maxLength: 20 }))),
        fc.nat(7),
        (items, step) => {
          const sent = items.map(([isLine, octets]) =>
            isLine ? Buffer.from('line\r\n') : Buffer.from(octets),
          );
          const whole = Buffer.concat(sent);
          const reader = new LineReader();
          let at = 0;
          const more = () => {
            reader.push(whole.subarray(at, at + step + 1));
            at += step + 1;
          };
          for (const [isLine, octets] of items) {
            let got = isLine ? reader.takeLine(10) : reader.take(octets.length);
            while (got === undefined) {
              more();
              got = isLine ? reader.takeLine(10) : reader.take(octets.length);
            }
            expect([...got]).toEqual([...(isLine ? Buffer.from('line') : octets)]);
          }
        },
      ),
    );
  });
});
