/** The Date field (RFC 5322 §3.3, with the years and zones of §4.3), as far as it can be read. */

export interface SentDate {
  /** Days since 1970-01-01 of the date as it is written. */
  readonly day: number;
  /** Milliseconds since the epoch, in UTC. */
  readonly instant: number;
}

const DATE = /(\d{1,2})\s+([a-z]{3})[a-z]*\s+(\d{2,4})(?!\d)/i;
const TIME = /^\s+(\d{1,2}):(\d{2})(?::(\d{2}))?(?!\d)/;
const ZONE = /^\s*(?:([+-])(\d{2})(\d{2})(?!\d)|([a-z]+))/i;
/** A comment; none within another, which nobody writes here. */
const COMMENT = /\([^()]*\)/g;
const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
/** Hours from UTC (§4.3); others are as good as UTC. */
const ZONE_HOURS: ReadonlyMap<string, number> = new Map([
  ['EDT', -4],
  ['EST', -5],
  ['CDT', -5],
  ['CST', -6],
  ['MDT', -6],
  ['MST', -7],
  ['PDT', -7],
  ['PST', -8],
]);
const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
const SECOND_MS = 1_000;

/** Undefined where there is no date. A time that is none is midnight, a zone that is none UTC (RFC 5256 §2.2). */
export function sentDate(field: string | null): SentDate | undefined {
  const text = (field ?? '').replace(COMMENT, ' ');
  const match = DATE.exec(text);
  if (match === null) return undefined;
  const [whole, dayOfMonth, monthName = '', yearText = ''] = match;
  const midnight = new Date(0);
  const month = MONTHS.indexOf(monthName.toLowerCase());
  midnight.setUTCFullYear(fullYear(yearText), month, Number(dayOfMonth));
  if (month === -1 || midnight.getUTCDate() !== Number(dayOfMonth)) return undefined;
  const start = midnight.getTime();
  const sinceMidnight = timeOf(text.slice(match.index + whole.length));
  return { day: start / DAY_MS, instant: start + sinceMidnight };
}

function fullYear(digits: string): number {
  const year = Number(digits);
  if (digits.length === 4) return year;
  return year + (digits.length === 2 && year < 50 ? 2000 : 1900);
}

/** Milliseconds since midnight, the zone taken into account. */
function timeOf(text: string): number {
  const match = TIME.exec(text);
  if (match === null) return 0;
  const [whole, ...parts] = match;
  const [hour = 0, minute = 0, second = 0] = parts.map((part) => Number(part ?? 0));
  // 60 is a leap second
  if (hour > 23 || minute > 59 || second > 60) return 0;
  const local = hour * HOUR_MS + minute * MINUTE_MS + second * SECOND_MS;
  return local - zoneOf(text.slice(whole.length));
}

/** Milliseconds east of UTC. */
function zoneOf(text: string): number {
  const [, sign, hours, minutes, name] = ZONE.exec(text) ?? [];
  if (sign === undefined) return (ZONE_HOURS.get(name?.toUpperCase() ?? '') ?? 0) * HOUR_MS;
  if (Number(hours) > 23 || Number(minutes) > 59) return 0;
  const offset = Number(hours) * HOUR_MS + Number(minutes) * MINUTE_MS;
  return sign === '-' ? -offset : offset;
}
