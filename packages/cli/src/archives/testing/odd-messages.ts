/** Texts with everything in them that files of mail have trouble with. */
import fc from 'fast-check';

const PARTS = [
  ...['From ', '>From ', '>>From x 10:00 2026', 'From a Thu Jan  1 00:00:00 1970', 'F', 'Fro'],
  ...['\n', '\r\n', '\n', '\r\n\r\n', '\r', '\r\r\n', ' ', '\t', ''],
  ...['Subject: x', 'Status: RO', 'X-Keywords: a b', 'X-Concert-Export: date=x; uid=1', 'X-UID: 3'],
  ...['text', '\xe4\xf6', '\0', '.', 'x'.repeat(80)],
];

/** With any line ends. */
export const oddText = fc
  .array(fc.constantFrom(...PARTS), { maxLength: 30 })
  .map((parts) => parts.join(''));

/** With CRLF at the end of each line, the last one too, as mail comes in. */
export const oddMessage = oddText.map((text) => {
  const lines = text.replaceAll(/\r?\n/g, '\r\n');
  return Buffer.from(lines === '' || lines.endsWith('\r\n') ? lines : `${lines}\r\n`, 'latin1');
});

/** Names that are mailboxes' and trouble for files. */
export const oddName = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        '..',
        '.',
        'cur',
        'tmp',
        '.hidden',
        'a.b',
        'A.B',
        'ärger',
        'Ärger',
        '日本',
        '&',
        '~',
      ),
      fc.constantFrom(
        'con',
        'x\\y',
        'a:b',
        '%41',
        '&AC4-',
        'x'.repeat(150),
        'X'.repeat(150),
        ' ',
        'end.',
      ),
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }),
    ),
    { minLength: 1, maxLength: 4 },
  )
  .map((levels) => levels.join('/'));

export function cut(octets: Buffer, lengths: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  let rest = octets;
  for (const length of lengths) {
    pieces.push(rest.subarray(0, length));
    rest = rest.subarray(length);
  }
  return [...pieces, rest];
}
