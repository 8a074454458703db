import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ImapStrings } from './imap-strings.ts';
import { renderBody, renderBodyStructure, renderEnvelope, renderPlain } from './rendering.ts';
import { foldedPiece, searchedPieces } from './search-text.ts';
import { parseMessage } from './structure.ts';
import { CORPUS } from './testing/corpus/index.ts';
import { countOctets } from './testing/counted-octets.ts';
import { everySection } from './testing/every-section.ts';
import { ImapReader } from './testing/imap-data.ts';
import { isBody, isEnvelope } from './testing/imap-grammar.ts';
import { everyPart, expectSound } from './testing/sound-structure.ts';

const ENTRIES = Object.values(CORPUS).flat();
const SMALL = ENTRIES.map(({ raw }) => raw).filter(({ length }) => length < 4_000);
const MODES = [
  { strings: new ImapStrings(false), rev2: false },
  { strings: new ImapStrings(true), rev2: false },
  { strings: new ImapStrings(true), rev2: true },
];

function readRendered(text: string) {
  const octets = Buffer.from(text).toString('latin1');
  const reader = new ImapReader(octets);
  const data = reader.value();
  expect(reader.at).toBe(octets.length);
  return data;
}

/** All that is ever asked of a message. */
function expectWhole(raw: Buffer): void {
  const structure = parseMessage(raw);
  expectSound(structure, raw.length);
  const { envelope, root } = structure;
  const plain = renderPlain(structure);
  for (const mode of MODES) {
    const told = renderEnvelope(envelope, mode.strings);
    expect(isEnvelope(readRendered(told))).toBe(true);
    expect(plain.envelope ?? told).toBe(told);
    expect(isBody(readRendered(renderBody(root, mode)), false)).toBe(true);
    const extended = renderBodyStructure(root, mode);
    expect(isBody(readRendered(extended), true)).toBe(true);
    expect(plain.bodyStructure ?? extended).toBe(extended);
  }
  for (const part of everyPart(root)) {
    const body = raw.toString('latin1', part.bodyStart, part.bodyEnd);
    expect(part.lines).toBe(body.split('\n').length - 1);
  }
  for (const { octets } of everySection(raw, structure))
    expect(octets.length).toBeLessThanOrEqual(raw.length);
  for (const piece of searchedPieces(structure))
    foldedPiece(raw.subarray(piece.start, piece.end), piece);
}

test.each(ENTRIES)('$name is told by the grammar', ({ raw }) => expectWhole(raw));

describe('a damaged message', () => {
  const message = fc.constantFrom(...SMALL);
  const place = fc.double({ min: 0, max: 1, noNaN: true });
  const at = (raw: Buffer, where: number): number => Math.floor(where * raw.length);
  type Damage = (raw: Buffer) => Buffer;
  const cut = fc.tuple(place, place).map(
    ([a, b]): Damage =>
      (raw) => {
        const [from, to] = [at(raw, Math.min(a, b)), at(raw, Math.max(a, b))];
        return Buffer.concat([raw.subarray(0, from), raw.subarray(to)]);
      },
  );
  const splice = fc.tuple(message, place, place, place).map(
    ([other, into, a, b]): Damage =>
      (raw) => {
        const piece = other.subarray(at(other, Math.min(a, b)), at(other, Math.max(a, b)));
        const here = at(raw, into);
        return Buffer.concat([raw.subarray(0, here), piece, raw.subarray(here)]);
      },
  );
  const flip = fc.tuple(place, fc.integer({ min: 1, max: 255 })).map(
    ([where, bits]): Damage =>
      (raw) => {
        const flipped = Buffer.from(raw);
        const here = at(raw, where);
        if (here < flipped.length) flipped[here] = (flipped[here] ?? 0) ^ bits;
        return flipped;
      },
  );
  const repeat = fc.tuple(place, place, fc.nat(20)).map(
    ([a, b, times]): Damage =>
      (raw) => {
        const [from, to] = [at(raw, Math.min(a, b)), at(raw, Math.max(a, b))];
        const pieces = Array.from({ length: times }, () => raw.subarray(from, to));
        return Buffer.concat([raw.subarray(0, from), ...pieces, raw.subarray(to)]);
      },
  );
  const damages = fc.array(fc.oneof(cut, splice, flip, repeat), { minLength: 1, maxLength: 4 });

  test('is told by the grammar as well', () => {
    fc.assert(
      fc.property(message, damages, (raw, all) => {
        expectWhole(all.reduce((octets, damage) => damage(octets), raw).subarray(0, 64 * 1024));
      }),
      { numRuns: 600 },
    );
  });
});

describe('twice as much takes twice the steps', () => {
  const boundaries = (count: number) =>
    Array.from(
      { length: count },
      (_, level) => `Content-Type: multipart/mixed; boundary=b${level}\n\n--b${level}\n`,
    ).join('');
  test.each<[string, (size: number) => string]>([
    ['header lines', (size) => `${'X: y\n'.repeat(size)}\nbody`],
    ['one header line', (size) => `X: ${'y'.repeat(size)}\n\nbody`],
    ['folded lines', (size) => `X: y\n${' z\n'.repeat(size)}\nbody`],
    ['body lines', (size) => `\n${'text\n'.repeat(size)}`],
    ['one body line', (size) => `\n${'x'.repeat(size)}`],
    [
      'parts',
      (size) => `Content-Type: multipart/mixed; boundary=x\n\n${'--x\n\na\n'.repeat(size)}`,
    ],
    ['lines like boundaries', (size) => `${boundaries(32)}\n${'--b1x\n'.repeat(size)}`],
    ['lines that begin all boundaries', (size) => `${boundaries(32)}\n${'--b\n'.repeat(size)}`],
    ['hyphens', (size) => `${boundaries(8)}\n${'-'.repeat(size)}`],
    [
      'blanks behind boundaries',
      (size) => `${boundaries(8)}\n${`--b1${' '.repeat(500)}.\n`.repeat(size / 50)}`,
    ],
    ['multiparts within', (size) => boundaries(size / 10)],
    ['messages within', (size) => 'Content-Type: message/rfc822\n\n'.repeat(size)],
    ['parts without a header', (size) => `${boundaries(16)}\n${'--b15\n'.repeat(size)}`],
    [
      '8-bit boundaries',
      (size) => 'Content-Type: multipart/mixed; boundary=\xfc\n\n--\xfc\n'.repeat(size / 10),
    ],
  ])('%s', (_, text) => {
    const [once, twice] = [1_000, 2_000].map((size) => {
      const octets = Buffer.from(text(size), 'latin1');
      const { raw, steps } = countOctets(octets);
      parseMessage(raw);
      // each octet is looked at a few times, by header, line and boundary, at each of 32 levels at the most
      expect(steps()).toBeLessThan(80 * octets.length + 1_000);
      return steps();
    });
    expect((twice ?? 0) / (once ?? 1)).toBeLessThan(2.2);
  });
});
