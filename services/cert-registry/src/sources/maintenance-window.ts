/**
 * Maintenance windows: when a switch may be made by itself, as an operator writes it down and as the
 * calendar has it. Pure: the instant is handed in.
 *
 *   Sun 02:00-04:00 Europe/Berlin
 *   Mon-Fri,Sun 22:30-01:00 UTC; daily 12:00-12:15
 *
 * Days are those on which a span begins; one that ends at or before its beginning ends on the next day.
 * Without a zone it is UTC. Where clocks are set back a span is longer by the hour that comes twice; one
 * that begins in an hour that is skipped begins as much later, and one that is skipped whole keeps its length.
 */

/** From when until just before when, in milliseconds since the epoch. */
export interface OpenSpan {
  readonly opensAt: number;
  readonly closesAt: number;
}

export class MaintenanceWindowError extends Error {
  /** `message` says what is wrong with which part. */
  constructor(message: string) {
    super(message);
    this.name = 'MaintenanceWindowError';
  }
}

interface WeeklySpan {
  /** ISO 8601: Monday is 1. */
  readonly days: ReadonlySet<number>;
  /** Minutes since midnight, 0 to 1439. */
  readonly from: number;
  /** Minutes since the midnight before `from`, at most 24 hours after it. */
  readonly to: number;
  readonly zone: string;
}

const MAX_TEXT_LENGTH = 1_000;
const MAX_SPANS = 16;
const DAY_MINUTES = 1440;
const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];

export class MaintenanceWindow {
  readonly #spans: readonly WeeklySpan[];

  private constructor(spans: readonly WeeklySpan[]) {
    this.#spans = spans;
  }

  /** Throws MaintenanceWindowError. */
  static parse(text: string): MaintenanceWindow {
    if (text.length > MAX_TEXT_LENGTH) {
      throw new MaintenanceWindowError(`is longer than ${MAX_TEXT_LENGTH} characters`);
    }
    const parts = text.split(';').filter((part) => part.trim() !== '');
    if (parts.length === 0 || parts.length > MAX_SPANS) {
      throw new MaintenanceWindowError(`wants 1 to ${MAX_SPANS} spans, separated by ";"`);
    }
    return new MaintenanceWindow(parts.map((part) => parseSpan(part.trim())));
  }

  /** The span that `now` is in, of several the one that lasts longest; or else the one that begins next. */
  next(now: number): OpenSpan {
    const ahead = this.#spans
      .flatMap((span) => occurrences(span, now))
      .filter(({ closesAt }) => closesAt > now)
      .sort((a, b) => a.opensAt - b.opensAt);
    const open = ahead.filter(({ opensAt }) => opensAt <= now);
    const [best] = open.length > 0 ? open.sort((a, b) => b.closesAt - a.closesAt) : ahead;
    if (best === undefined) throw new Error('a weekly span does not come within a week');
    return best;
  }
}

function parseSpan(text: string): WeeklySpan {
  const match = /^(\S+)\s+(\d\d):(\d\d)-(\d\d):(\d\d)(?:\s+(\S+))?$/.exec(text);
  const [, days = '', fromHour, fromMinute, toHour, toMinute, zone = 'UTC'] = match ?? [];
  if (match === null) {
    throw new MaintenanceWindowError(
      `wants days, hours and a zone such as "Sun 02:00-04:00 Europe/Berlin", not "${text}"`,
    );
  }
  const from = minutesOf(fromHour, fromMinute);
  const end = minutesOf(toHour, toMinute);
  if (from === undefined || end === undefined || from === DAY_MINUTES) {
    throw new MaintenanceWindowError(`wants hours from 00:00 to 24:00, not those of "${text}"`);
  }
  if (from === end) {
    throw new MaintenanceWindowError(`"${text}" ends as it begins; a whole day is 00:00-24:00`);
  }
  const to = end < from ? end + DAY_MINUTES : end;
  return { days: parseDays(days), from, to, zone: parseZone(zone) };
}

function minutesOf(hours: string | undefined, minutes: string | undefined): number | undefined {
  const total = Number(hours) * 60 + Number(minutes);
  return Number(minutes) < 60 && total <= DAY_MINUTES ? total : undefined;
}

/** "daily", or days and ranges of them, which may go over the end of the week: "Fri-Mon,Wed". */
function parseDays(text: string): ReadonlySet<number> {
  if (text.toLowerCase() === 'daily') return new Set(DAYS.map((_, index) => index + 1));
  const days = new Set<number>();
  for (const item of text.split(',')) {
    const [first = '', last = first, ...more] = item.toLowerCase().split('-');
    const from = DAYS.indexOf(first);
    const to = DAYS.indexOf(last);
    if (from < 0 || to < 0 || more.length > 0) {
      throw new MaintenanceWindowError(
        `wants "daily" or days such as Mon, Mon-Fri, Sat,Sun, not "${text}"`,
      );
    }
    for (let day = from; ; day = (day + 1) % DAYS.length) {
      days.add(day + 1);
      if (day === to) break;
    }
  }
  return days;
}

/** An IANA name or an offset such as +02:00. */
function parseZone(zone: string): string {
  try {
    return new Temporal.ZonedDateTime(0n, zone).timeZoneId;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new MaintenanceWindowError(`knows no time zone "${zone}"; wants such as Europe/Berlin`);
  }
}

/** All that may be open at `now` or come next. */
function occurrences({ days, from, to, zone }: WeeklySpan, now: number): OpenSpan[] {
  const today = Temporal.Instant.fromEpochMilliseconds(now).toZonedDateTimeISO(zone).toPlainDate();
  const found: OpenSpan[] = [];
  // two days back, since a skipped hour may move the end over another midnight
  for (let offset = -2; offset <= DAYS.length + 1; offset += 1) {
    const date = today.add({ days: offset });
    if (!days.has(date.dayOfWeek)) continue;
    const opensAt = instantOf(date, from, zone);
    const closesAt = instantOf(date, to, zone);
    const skipped = closesAt <= opensAt;
    found.push({ opensAt, closesAt: skipped ? opensAt + (to - from) * 60_000 : closesAt });
  }
  return found;
}

/** `minutes` by the clock on the wall: of an hour that comes twice the first, of a skipped one what follows. */
function instantOf(date: Temporal.PlainDate, minutes: number, zone: string): number {
  return date
    .toPlainDateTime()
    .add({ minutes })
    .toZonedDateTime(zone, { disambiguation: 'compatible' }).epochMilliseconds;
}
