import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DotStuffer, TopCutter } from './multiline.ts';

/** Text that has what matters: dots, line ends of both kinds, stray CRs. */
const octets = fc
  .array(fc.constantFrom('.', '..', '\r\n', '\n', '\r', '\0', 'a', ' '), { maxLength: 40 })
  .map((pieces) => pieces.join(''));

/** Cuts text anywhere. */
const cutText = fc.tuple(octets, fc.array(fc.nat(60))).map(([text, cuts]) => {
  const at = [0, ...cuts.filter((cut) => cut < text.length).toSorted((a, b) => a - b), text.length];
  const pieces = at.slice(1).map((end, index) => Buffer.from(text.slice(at[index], end)));
  return { text, pieces };
});

function stuff(pieces: readonly Buffer[]): string {
  const stuffer = new DotStuffer();
  return Buffer.concat([...pieces.map((piece) => stuffer.stuff(piece)), stuffer.end()]).toString();
}

function cut(pieces: readonly Buffer[], lines: number): string {
  const cutter = new TopCutter(lines);
  return Buffer.concat(pieces.map((piece) => cutter.cut(piece))).toString();
}

describe('dots', () => {
  it.each([
    ['', '.\r\n'],
    ['a\r\n', 'a\r\n.\r\n'],
    ['a', 'a\r\n.\r\n'],
    ['.\r\n', '..\r\n.\r\n'],
    ['a\r\n.b\r\n..\r\n', 'a\r\n..b\r\n...\r\n.\r\n'],
    ['a.\r\n', 'a.\r\n.\r\n'],
    ['a\n.\nb', 'a\n..\nb\r\n.\r\n'],
    ['a\n', 'a\n\r\n.\r\n'],
    ['a\0', 'a\0\r\n.\r\n'],
  ])('%j', (text, expected) => {
    expect(stuff([Buffer.from(text)])).toBe(expected);
  });

  it('are doubled the same however the octets are cut', () => {
    fc.assert(
      fc.property(cutText, ({ text, pieces }) => {
        expect(stuff(pieces)).toBe(stuff([Buffer.from(text)]));
      }),
    );
  });

  it('come back out as they went in, with one end and it at the end', () => {
    fc.assert(
      fc.property(cutText, ({ text, pieces }) => {
        const sent = stuff(pieces);
        expect(sent.indexOf('\r\n.\r\n')).toBe(sent === '.\r\n' ? -1 : sent.length - 5);
        const lines = sent.slice(0, -3).replace(/(^|\n)\./g, '$1');
        expect([text, `${text}\r\n`]).toContain(lines);
      }),
    );
  });
});

describe('TOP', () => {
  it.each([
    ['H: x\r\n\r\na\r\nb\r\n', 0, 'H: x\r\n\r\n'],
    ['H: x\r\n\r\na\r\nb\r\n', 1, 'H: x\r\n\r\na\r\n'],
    ['H: x\r\n\r\na\r\nb\r\n', 9, 'H: x\r\n\r\na\r\nb\r\n'],
    ['H: x\r\n\r\na\r\nb', 2, 'H: x\r\n\r\na\r\nb'],
    ['H: x\n\na\nb\n', 1, 'H: x\n\na\n'],
    ['H: x\r\n', 1, 'H: x\r\n'],
    ['\r\nbody\r\n', 0, '\r\n'],
    ['', 3, ''],
  ])('of %j, %i lines', (text, lines, expected) => {
    expect(cut([Buffer.from(text)], lines)).toBe(expected);
  });

  it('cuts the same however the octets come', () => {
    fc.assert(
      fc.property(cutText, fc.nat(5), ({ text, pieces }, lines) => {
        const whole = cut([Buffer.from(text)], lines);
        expect(cut(pieces, lines)).toBe(whole);
        expect(text.startsWith(whole)).toBe(true);
      }),
    );
  });
});
