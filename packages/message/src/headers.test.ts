import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { headerEnd, headerFieldsOf, pickHeaderFields } from './headers.ts';

const HEADER = 'From: a@b\r\nSubject: one\r\n two\r\nX-A: 1\r\njunk\r\nx-a: 2\r\n\r\n';
const RAW = Buffer.from(`${HEADER}body: no\r\n`);
const RANGE = { headerStart: 0, bodyStart: HEADER.length };

const names = (raw: Buffer, end = raw.length) =>
  [...headerFieldsOf(raw, 0, end)].map(({ name }) => name);

it.each([
  ['a: b\r\n\r\nc', 8],
  ['a: b\n\nc\n\n', 6],
  ['\r\nbody', 2],
  ['a: b\r\n', 6],
  ['a', 1],
  ['', 0],
])('the header of %j ends at %i', (text, end) => {
  expect(headerEnd(Buffer.from(text))).toBe(end);
});

describe('header fields', () => {
  it('are split with their continuation lines, and end at the blank line', () => {
    expect(names(RAW)).toEqual(['from', 'subject', 'x-a', '', 'x-a']);
    const subject = [...headerFieldsOf(RAW, 0, RAW.length)][1];
    expect(RAW.toString('latin1', subject?.start, subject?.end)).toBe('Subject: one\r\n two\r\n');
  });

  it.each([
    [['subject', 'X-A'], false, 'Subject: one\r\n two\r\nX-A: 1\r\nx-a: 2\r\n\r\n'],
    [['SUBJECT', 'from'], true, 'X-A: 1\r\njunk\r\nx-a: 2\r\n\r\n'],
    [['none'], false, '\r\n'],
    [[], true, HEADER],
  ])('are picked by name: %j, not: %s', (wanted, not, expected) => {
    expect(pickHeaderFields(RAW, RANGE, wanted, not).toString()).toBe(expected);
  });

  it('cover every octet of a header, whatever it is', () => {
    const line = fc.constantFrom('a: b', ' c', '\t', 'x', ':', 'a b: c', 'A:', '\0');
    fc.assert(
      fc.property(fc.array(line), fc.constantFrom('\r\n', '\n'), (lines, ending) => {
        const header = Buffer.from(lines.map((text) => text + ending).join(''));
        let at = 0;
        for (const field of headerFieldsOf(header, 0, header.length)) {
          expect(field.start).toBe(at);
          expect(field.valueStart).toBeLessThanOrEqual(field.end);
          at = field.end;
        }
        expect(at).toBe(header.length);
      }),
    );
  });
});
