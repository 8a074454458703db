import fc from 'fast-check';
import { expect, test } from 'vitest';
import { baseSubject } from './base-subject.ts';

test.each([
  ['hello', 'hello', false],
  ['', '', false],
  ['  two\t words ', 'two words', false],
  ['Re: hello', 'hello', true],
  ['RE : hello', 'hello', true],
  ['Fw:hello', 'hello', true],
  ['fwd: RE: Fw: hello', 'hello', true],
  ['Re[2]: hello', 'hello', true],
  ['Re [two words] : hello', 'hello', true],
  ['[list] hello', 'hello', false],
  ['[list] Re: hello', 'hello', true],
  ['Re: [list] hello', 'hello', true],
  ['[a][b] [c] Re: [d] Fwd: hello', 'hello', true],
  ['[list]', '[list]', false],
  ['Re: [one] [two]', '[two]', true],
  ['hello (fwd)', 'hello', true],
  ['hello (FWD) (fwd) ', 'hello', true],
  ['[list] (fwd)', '[list]', true],
  ['[fwd: hello]', 'hello', true],
  ['Re: [Fwd: [list] Re: hello (fwd)] (fwd)', 'hello', true],
  ['[fwd: hello] more', 'more', false],
  ['[fwd:]', '', true],
  ['[fwd:', '[fwd:', false],
  ['Re:', '', true],
  ['(fwd)', '', true],
  ['Report: hello', 'Report: hello', false],
  ['Re hello', 'Re hello', false],
  ['hello Re: x', 'hello Re: x', false],
  ['Re[unclosed: x', 'Re[unclosed: x', false],
  ['[a[b]] Re: x', '[a[b]] Re: x', false],
  ['=?utf-8?q?Re=3A_M=C3=A4rz?=', 'März', true],
  ['Re: =?utf-8?q?M=C3=A4rz?= =?utf-8?q?_(fwd)?=', 'März', true],
])('%j', (subject, text, isReply) => {
  expect(baseSubject(subject)).toEqual({ text, isReply });
});

test('none', () => expect(baseSubject(null)).toEqual({ text: '', isReply: false }));

test('a base subject is its own', () => {
  const pieces = fc.constantFrom('re', ':', ' ', '[', ']', 'fwd', '(fwd)', '[fwd:', 'x', 'ß');
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 20 }), (words) => {
      const { text } = baseSubject(words.join(''));
      expect(baseSubject(text)).toEqual({ text, isReply: false });
    }),
    { numRuns: 2000 },
  );
});

test.each(['[]', 'Re:', '[fwd:', '(fwd)', '[', 're [', ']', '[fwd:]'])('64 KiB of %s', (piece) => {
  const subject = piece.repeat(65_536 / piece.length);
  expect(baseSubject(subject).text.length).toBeLessThanOrEqual(subject.length);
});
