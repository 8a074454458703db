/** Dates as IMAP writes them (RFC 3501 §9: date, date-time). Pure; all times are UTC inside. */
import type { Lexer } from './lexer.ts';

export const MONTHS = [
  'Jan',
  'Feb',
  'Mar',
  'Apr',
  'May',
  'Jun',
  'Jul',
  'Aug',
  'Sep',
  'Oct',
  'Nov',
  'Dec',
] as const;

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
const SECOND_MS = 1_000;

/** Days since 1970-01-01 of a moment, in UTC. */
export function dayOf(date: Date): number {
  return Math.floor(date.getTime() / DAY_MS);
}

function midnight(lexer: Lexer, day: number, month: number, year: number): number {
  const date = new Date(0);
  date.setUTCFullYear(year, month, day);
  if (date.getUTCDate() !== day || date.getUTCMonth() !== month) lexer.fail('No such date');
  return date.getTime();
}

/** "-Mon-yyyy" behind a day. */
function parseMonthAndYear(lexer: Lexer): { month: number; year: number } {
  lexer.expect('-');
  const month = MONTHS.findIndex((name) => lexer.accept(name));
  if (month === -1) lexer.fail('Unknown month');
  lexer.expect('-');
  return { month, year: lexer.digits(4) };
}

/** date: 1-Feb-1994, quoted or not. Returns days since 1970-01-01. */
export function parseDate(lexer: Lexer): number {
  const quoted = lexer.accept('"');
  const day = lexer.number();
  const { month, year } = parseMonthAndYear(lexer);
  if (quoted) lexer.expect('"');
  return midnight(lexer, day, month, year) / DAY_MS;
}

/**
 * date-time: " 1-Feb-1994 12:00:00 +0100", quoted, the day of two places. The instant alone is kept: FETCH
 * tells it in UTC, and SEARCH takes its day in UTC, so that the two agree wherever the server runs.
 */
export function parseDateTime(lexer: Lexer): Date {
  lexer.expect('"');
  const day = lexer.accept(' ') ? lexer.digits(1) : lexer.digits(2);
  const { month, year } = parseMonthAndYear(lexer);
  lexer.space();
  const hour = lexer.digits(2);
  lexer.expect(':');
  const minute = lexer.digits(2);
  lexer.expect(':');
  const second = lexer.digits(2);
  lexer.space();
  const sign = lexer.accept('-') ? -1 : 1;
  if (sign === 1) lexer.expect('+');
  const zone = lexer.digits(4);
  lexer.expect('"');
  const zoneMinutes = Math.floor(zone / 100) * 60 + (zone % 100);
  // 60 is a leap second; 24 hours bound a zone
  if (hour > 23 || minute > 59 || second > 60 || zone % 100 > 59 || zoneMinutes >= 24 * 60) {
    lexer.fail('No such time');
  }
  const local =
    midnight(lexer, day, month, year) + (hour * 60 + minute) * MINUTE_MS + second * SECOND_MS;
  const instant = new Date(local - sign * zoneMinutes * MINUTE_MS);
  const told = instant.getUTCFullYear();
  // the year in which it is told has four digits too
  if (told < 0 || told > 9999) lexer.fail('No such time');
  return instant;
}

const twoPlaces = (value: number, pad = '0'): string => value.toString().padStart(2, pad);

/** date-time without its quotes, in UTC. */
export function formatDateTime(date: Date): string {
  const day = twoPlaces(date.getUTCDate(), ' ');
  const year = date.getUTCFullYear().toString().padStart(4, '0');
  const time = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()]
    .map((value) => twoPlaces(value))
    .join(':');
  return `${day}-${MONTHS[date.getUTCMonth()]}-${year} ${time} +0000`;
}
