import fc from 'fast-check';
import { expect, test } from 'vitest';
import { messageIds, readReferences } from './message-ids.ts';

test.each([
  ['<a@b>', ['a@b']],
  ['<"01KF8JCEOCBS0045PS"@xxx.yyy.com>', ['01KF8JCEOCBS0045PS@xxx.yyy.com']],
  ['<"a\\"b"@c> <A@B>', ['a"b@c', 'A@B']],
  ['<"a>b"@c>', ['a>b@c']],
  ['<a@b><c@d> , < e@f >', ['a@b', 'c@d', 'e@f']],
  ['Your message of "Mon" <a@b>, you know', ['a@b']],
  ['a@b', []],
  ['<>', []],
  ['<a>', []],
  ['<@b>', []],
  ['<a@>', []],
  ['<a <b@c>', ['b@c']],
  ['<a"b@c> <d@e>', ['d@e']],
])('%s', (text, ids) => expect(messageIds(text)).toEqual(ids));

test('any text; an id is its own', () => {
  const pieces = fc.array(fc.constantFrom('<', '>', '"', '\\', '@', ' ', 'a'), { maxLength: 30 });
  fc.assert(
    fc.property(pieces, (words) => void messageIds(words.join(''))),
    { numRuns: 2000 },
  );
  const words = fc.stringMatching(/^[a-z0-9.]{1,8}$/);
  fc.assert(
    fc.property(words, words, (left, right) => {
      expect(messageIds(`x <${left}@${right}> <"${left}"@${right}>`)).toEqual([
        `${left}@${right}`,
        `${left}@${right}`,
      ]);
    }),
  );
});

const references = (fields: Record<string, string[]>) => {
  return readReferences(new Map(Object.entries(fields)));
};

test('References, or else the first of In-Reply-To', () => {
  const inReplyTo = { 'in-reply-to': ['x <c@d> <e@f>'] };
  expect(references({ references: ['<a@b>', '<c@d>'], ...inReplyTo })).toEqual(['a@b', 'c@d']);
  expect(references({ references: ['none'], ...inReplyTo })).toEqual(['c@d']);
  expect(references(inReplyTo)).toEqual(['c@d']);
  expect(references({})).toEqual([]);
  const many = Array.from({ length: 1000 }, (_, at) => `${at}@x`);
  expect(references({ references: [many.map((id) => `<${id}>`).join('')] })).toEqual(
    many.slice(-256),
  );
});

test.each(['<', '<"', '<a"', '<a@b>', '"<"', '\\', '<"\\'])('64 KiB of %s', (piece) => {
  const ids = messageIds(piece.repeat(65_536 / piece.length));
  expect(ids.every((id) => id === 'a@b')).toBe(true);
});
