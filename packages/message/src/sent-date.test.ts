import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sentDate } from './sent-date.ts';

test.each([
  ['31 Dec 2000 16:01:33 -0800', '2001-01-01T00:01:33Z'],
  ['Tue, 3 Mar 2026 23:59:59 +0130', '2026-03-03T22:29:59Z'],
  ['Tue,  3 March 2026 23:59 GMT', '2026-03-03T23:59:00Z'],
  ['Tue, 3 (comment) Mar 2026 (so) 10:00:00 (it goes) EST (again)', '2026-03-03T15:00:00Z'],
  ['3 mar 99 10:00:00 z', '1999-03-03T10:00:00Z'],
  ['3 Mar 49 10:00:00 +0000', '2049-03-03T10:00:00Z'],
  ['3 Mar 126 10:00:00 +0000', '2026-03-03T10:00:00Z'],
  ['3 Mar 2026 10:00:00 +9999', '2026-03-03T10:00:00Z'],
  ['3 Mar 2026 10:00:00 FROB', '2026-03-03T10:00:00Z'],
  ['3 Mar 2026 10:00:60', '2026-03-03T10:01:00Z'],
  ['3 Mar 2026 24:00:00 -0800', '2026-03-03T00:00:00Z'],
  ['3 Mar 2026', '2026-03-03T00:00:00Z'],
])('%s', (field, instant) => {
  expect(sentDate(field)?.instant).toBe(Date.parse(instant));
});

test('the day is the one that is written', () => {
  expect(sentDate('31 Dec 2000 16:01:33 -0800')?.day).toBe(Date.UTC(2000, 11, 31) / 86_400_000);
});

test.each(['', 'yesterday', '31 Feb 2026 10:00:00 +0000', '3 Foo 2026', '3 Mar 20260', null])(
  'no date: %s',
  (field) => {
    expect(sentDate(field)).toBeUndefined();
  },
);

test('any text, and any instant', () => {
  fc.assert(fc.property(fc.string(), (text) => void sentDate(text)));
  const instants = fc.date({
    min: new Date('1000-01-01T00:00:00Z'),
    max: new Date('9999-12-31T00:00:00Z'),
    noInvalidDate: true,
  });
  fc.assert(
    fc.property(instants, (date) => {
      expect(sentDate(date.toUTCString())?.instant).toBe(Math.floor(date.getTime() / 1000) * 1000);
    }),
  );
});
