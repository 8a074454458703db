import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MaintenanceWindow, MaintenanceWindowError } from './maintenance-window.ts';

const at = (text: string) => Date.parse(text);
const span = (text: string, now: string) => {
  const { opensAt, closesAt } = MaintenanceWindow.parse(text).next(at(now));
  return [opensAt, closesAt].map((time) => new Date(time).toISOString().replace(':00.000Z', 'Z'));
};

describe('the calendar of a maintenance window', () => {
  it.each([
    [
      'a day of the week ahead',
      'Sun 02:00-04:00',
      '2026-11-24T12:00Z',
      '2026-11-29T02:00Z',
      '2026-11-29T04:00Z',
    ],
    ['open now', 'Sun 02:00-04:00', '2026-11-29T03:59Z', '2026-11-29T02:00Z', '2026-11-29T04:00Z'],
    [
      'just opened',
      'Sun 02:00-04:00',
      '2026-11-29T02:00Z',
      '2026-11-29T02:00Z',
      '2026-11-29T04:00Z',
    ],
    [
      'just closed',
      'Sun 02:00-04:00',
      '2026-11-29T04:00Z',
      '2026-12-06T02:00Z',
      '2026-12-06T04:00Z',
    ],
    [
      'in a zone',
      'Sun 02:00-04:00 Europe/Berlin',
      '2026-11-24T12:00Z',
      '2026-11-29T01:00Z',
      '2026-11-29T03:00Z',
    ],
    [
      'in the summer of a zone',
      'daily 02:00-04:00 Europe/Berlin',
      '2026-07-01T12:00Z',
      '2026-07-02T00:00Z',
      '2026-07-02T02:00Z',
    ],
    [
      'over midnight, before it',
      'Mon-Fri,Sun 22:30-01:00 UTC',
      '2026-11-27T23:00Z',
      '2026-11-27T22:30Z',
      '2026-11-28T01:00Z',
    ],
    [
      'over midnight, after it',
      'Fri 22:30-01:00',
      '2026-11-28T00:59Z',
      '2026-11-27T22:30Z',
      '2026-11-28T01:00Z',
    ],
    [
      'a day left out',
      'Mon-Fri,Sun 22:30-01:00 UTC',
      '2026-11-28T01:00Z',
      '2026-11-29T22:30Z',
      '2026-11-30T01:00Z',
    ],
    [
      'a range over the end of the week',
      'Sat-Mon 10:00-11:00',
      '2026-11-24T00:00Z',
      '2026-11-28T10:00Z',
      '2026-11-28T11:00Z',
    ],
    [
      'the first of several',
      'Sun 02:00-04:00; wed 03:00-03:30',
      '2026-11-24T12:00Z',
      '2026-11-25T03:00Z',
      '2026-11-25T03:30Z',
    ],
    [
      'the longest of several open ones',
      'daily 02:00-03:00;daily 02:30-05:00',
      '2026-11-24T02:45Z',
      '2026-11-24T02:30Z',
      '2026-11-24T05:00Z',
    ],
    [
      'a whole day',
      'Tue 00:00-24:00',
      '2026-11-24T12:00Z',
      '2026-11-24T00:00Z',
      '2026-11-25T00:00Z',
    ],
    [
      'an offset',
      'daily 03:00-04:00 +05:30',
      '2026-11-24T12:00Z',
      '2026-11-24T21:30Z',
      '2026-11-24T22:30Z',
    ],
    // Berlin goes from 02:00 to 03:00 on 2027-03-28 and from 03:00 back to 02:00 on 2026-10-25
    [
      'the skipped hour as its beginning',
      'Sun 02:30-04:00 Europe/Berlin',
      '2027-03-27T12:00Z',
      '2027-03-28T01:30Z',
      '2027-03-28T02:00Z',
    ],
    [
      'all of it in the skipped hour',
      'Sun 02:30-03:00 Europe/Berlin',
      '2027-03-27T12:00Z',
      '2027-03-28T01:30Z',
      '2027-03-28T02:00Z',
    ],
    [
      'the hour that comes twice',
      'Sun 02:00-04:00 Europe/Berlin',
      '2026-10-24T12:00Z',
      '2026-10-25T00:00Z',
      '2026-10-25T03:00Z',
    ],
    [
      'its second half',
      'Sun 02:00-04:00 Europe/Berlin',
      '2026-10-25T01:30Z',
      '2026-10-25T00:00Z',
      '2026-10-25T03:00Z',
    ],
  ])('%s', (_, text, now, opensAt, closesAt) => {
    expect(span(text, now)).toEqual([opensAt, closesAt]);
  });

  it.each([
    '',
    ';',
    'Sun',
    'Sun 2:00-4:00',
    'Sun 02:00',
    'Sun 02:60-04:00',
    'Sun 24:00-01:00',
    'Sun 02:00-24:01',
    'Sun 02:00-02:00',
    'Son 02:00-04:00',
    'Mon- 02:00-04:00',
    'Mon-Tue-Wed 02:00-04:00',
    ', 02:00-04:00',
    'Sun 02:00-04:00 Mars/Olympus',
    'Sun 02:00-04:00 Europe/Berlin UTC',
    'x'.repeat(1001),
    'daily 01:00-02:00;'.repeat(17),
  ])('refuses %j', (text) => {
    expect(() => MaintenanceWindow.parse(text)).toThrow(MaintenanceWindowError);
  });
});

describe('properties', () => {
  const day = fc.constantFrom('Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun');
  const days = fc.oneof(
    fc.constant('daily'),
    fc.array(day, { minLength: 1, maxLength: 3 }).map((all) => all.join()),
  );
  const minute = fc.integer({ min: 0, max: 1439 });
  const clock = (minutes: number) =>
    [Math.floor(minutes / 60), minutes % 60].map((part) => String(part).padStart(2, '0')).join(':');
  const zone = fc.constantFrom(
    'UTC',
    'Europe/Berlin',
    'America/New_York',
    'Australia/Lord_Howe',
    'Pacific/Apia',
    'Asia/Kathmandu',
  );
  const part = fc
    .tuple(days, minute, minute, zone)
    .filter(([, from, to]) => from !== to)
    .map(([on, from, to, where]) => `${on} ${clock(from)}-${clock(to)} ${where}`);
  const text = fc.array(part, { minLength: 1, maxLength: 3 }).map((all) => all.join('; '));
  const instant = fc.integer({ min: at('2009-01-01T00:00Z'), max: at('2040-01-01T00:00Z') });

  it('a span comes within 8 days, ends after it begins, and lasts at most 26 hours', () => {
    fc.assert(
      fc.property(text, instant, (written, now) => {
        const { opensAt, closesAt } = MaintenanceWindow.parse(written).next(now);
        expect(closesAt).toBeGreaterThan(Math.max(now, opensAt));
        // a day that a zone leaves out (Apia, 2011) moves what would begin on it
        expect(opensAt - now).toBeLessThan(9 * 86_400_000);
        expect(closesAt - opensAt).toBeLessThan(26 * 3_600_000);
      }),
    );
  });

  it('what is open at an instant is what would come next before it', () => {
    fc.assert(
      fc.property(part, instant, (written, now) => {
        const window = MaintenanceWindow.parse(written);
        const next = window.next(now);
        expect(window.next(next.opensAt)).toEqual(next);
        expect(window.next(next.closesAt - 1)).toEqual(next);
        expect(window.next(next.closesAt).opensAt).toBeGreaterThanOrEqual(next.closesAt);
      }),
    );
  });

  it('whatever is written is taken or refused with its error', () => {
    const words = fc.constantFrom(
      'Sun',
      'daily',
      '02:00-04:00',
      '-',
      ',',
      ';',
      ' ',
      'UTC',
      '25:00-26:00',
      'Mon-',
    );
    const odd = fc.oneof(
      fc.string(),
      fc.array(words, { maxLength: 8 }).map((all) => all.join(' ')),
    );
    fc.assert(
      fc.property(odd, (written) => {
        try {
          MaintenanceWindow.parse(written).next(0);
        } catch (error) {
          expect(error).toBeInstanceOf(MaintenanceWindowError);
        }
      }),
    );
  });
});
