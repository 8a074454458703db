import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FromQuoter, isFromLine, unquoteFrom } from './from-lines.ts';
import { CrlfToLf, LfToCrlf } from './line-ends.ts';
import { cut, oddText } from './testing/odd-messages.ts';

describe('line ends', () => {
  it('come back as they were, however the octets are cut, unless that is told to be in doubt', () => {
    fc.assert(
      fc.property(oddText, fc.array(fc.nat(20)), fc.array(fc.nat(20)), (text, cuts, others) => {
        const crlf = Buffer.from(text.replaceAll(/\r?\n/g, '\r\n'), 'latin1');
        const out = new CrlfToLf();
        const lf = Buffer.concat([
          ...cut(crlf, cuts).map((piece) => out.convert(piece)),
          out.end(),
        ]);
        const back = new LfToCrlf();
        const again = Buffer.concat(cut(lf, others).map((piece) => back.convert(piece)));
        if (out.ambiguous) expect(crlf.toString('latin1')).toContain('\r\r\n');
        else expect(again).toEqual(crlf);
        // what is written as it is comes back in any case
        expect(new LfToCrlf().convert(crlf)).toEqual(crlf);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('lines that begin with "From "', () => {
  it('are quoted, and come back, however the octets are cut', () => {
    fc.assert(
      fc.property(oddText, fc.array(fc.nat(20)), (text, cuts) => {
        const octets = Buffer.from(text, 'latin1');
        const quoter = new FromQuoter();
        const pieces = [...cut(octets, cuts).map((piece) => quoter.quote(piece)), quoter.end()];
        const quoted = Buffer.concat(pieces).toString('latin1');
        expect(quoted).not.toMatch(/(?:^|\n)From /);
        const lines = quoted
          .split(/(?<=\n)/)
          .map((line) => unquoteFrom(Buffer.from(line, 'latin1')));
        expect(Buffer.concat(lines)).toEqual(octets);
      }),
      { numRuns: 1_000 },
    );
  });

  it.each([
    ['From MAILER-DAEMON Thu Jan  1 00:00:00 1970\n', true],
    ['From alice@example.com  Sat, 03 Jan 2026 10:11:12 +0100\n', true],
    ['From - Mon Nov 23 10:11:12 2026\r\n', true],
    ['From now on all is well\n', false],
    ['>From MAILER-DAEMON Thu Jan  1 00:00:00 1970\n', false],
  ])('%j begins a message: %s', (line, expected) => {
    expect(isFromLine(Buffer.from(line))).toBe(expected);
  });
});
