import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LineEnds } from './line-ends.ts';

test('every line ends in CRLF, and nothing else changes, however it comes in pieces', () => {
  const texts = fc.array(fc.string({ unit: fc.constantFrom('a', '\r', '\n') }));
  fc.assert(
    fc.property(texts, (pieces) => {
      const lineEnds = new LineEnds();
      const mended = pieces.map((piece) => lineEnds.mend(Buffer.from(piece)).toString());
      expect(mended.join('')).toBe(pieces.join('').replaceAll(/(?<!\r)\n/g, '\r\n'));
    }),
  );
});

test('what is well already is not copied', () => {
  const lineEnds = new LineEnds();
  for (const text of ['a\r\nb\r', '\n', 'c']) {
    const piece = Buffer.from(text);
    expect(lineEnds.mend(piece)).toBe(piece);
  }
});
