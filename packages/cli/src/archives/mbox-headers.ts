/**
 * Flags and dates of messages in an mbox: header fields Status, X-Status and X-Keywords as many programs
 * have them. In our own files they are the first of each message, under a field that says so, and are taken
 * out whole; in others they are wherever they are. Pure.
 */
import type { MessageSummary } from '@mail/store';

const OURS = 'X-Concert-Export';
/** Lines that our header takes, the one that says so among them. */
const OUR_LINES = 4;

const STATUS: readonly (readonly [string, string])[] = [['R', '\\Seen']];
const X_STATUS: readonly (readonly [string, string])[] = [
  ['A', '\\Answered'],
  ['F', '\\Flagged'],
  ['T', '\\Draft'],
  ['D', '\\Deleted'],
];
/** Fields that programs keep in an mbox and nowhere else. */
const KEPT_THERE = /^(?:Status|X-Status|X-Keywords|X-UID|X-IMAP|X-IMAPbase):/i;
const KEYWORD = /^[!#$&'+,\-./0-9:;<=>?@A-Z[^_`a-z|}~]{1,100}$/;
const MAX_KEYWORDS = 100;

/** The line that begins a message, and our fields. */
export function exportHeader({ uid, flags, internalDate }: MessageSummary): string {
  const lettersOf = (table: typeof X_STATUS): string =>
    table
      .filter(([, flag]) => flags.includes(flag))
      .map(([letter]) => letter)
      .join('');
  return [
    `From MAILER-DAEMON ${asctime(internalDate)}`,
    `${OURS}: date=${internalDate.toISOString()}; uid=${uid}`,
    `Status: ${lettersOf(STATUS)}O`,
    `X-Status: ${lettersOf(X_STATUS)}`,
    `X-Keywords: ${flags.filter((flag) => !flag.startsWith('\\')).join(' ')}`,
    '',
  ].join('\n');
}

/** "Thu Jan  1 00:00:00 1970", UTC. */
function asctime(date: Date): string {
  const [, weekday, day = '', month, year, time] =
    /^(\w+), (\d+) (\w+) (-?\d+) (\S+)/.exec(date.toUTCString()) ?? [];
  return `${weekday} ${month} ${String(Number(day)).padStart(2)} ${time} ${year}`;
}

export interface ReadHeader {
  /** Lines that belong to the message, each with its end. */
  readonly lines: readonly Buffer[];
  readonly flags: readonly string[];
  /** Undefined where nothing tells it. */
  readonly internalDate: Date | undefined;
}

/** What a message's header says; `fromLine` is the one in front of it. */
export function readHeader(fromLine: string, lines: readonly Buffer[]): ReadHeader {
  const texts = lines.map((line) => line.toString('latin1').trimEnd());
  const ours = texts[0]?.startsWith(`${OURS}: `) === true && lines.length >= OUR_LINES;
  const told = ours ? texts.slice(0, OUR_LINES) : texts;
  const field = (name: string): string => {
    const start = `${name.toLowerCase()}:`;
    const line = told.find((text) => text.toLowerCase().startsWith(start)) ?? '';
    return line.slice(start.length).trim();
  };
  const flagsIn = (letters: string, table: typeof X_STATUS): string[] =>
    table.filter(([letter]) => letters.includes(letter)).map(([, flag]) => flag);
  const keywords = field('X-Keywords')
    .split(/\s+/)
    .filter((keyword) => KEYWORD.test(keyword));
  const date = /date=(\S+);/.exec(field(OURS))?.[1];
  return {
    lines: ours ? lines.slice(OUR_LINES) : withoutKept(lines, texts),
    flags: [
      ...flagsIn(field('Status'), STATUS),
      ...flagsIn(field('X-Status'), X_STATUS),
      ...keywords.slice(0, MAX_KEYWORDS),
    ],
    internalDate: ours ? validDate(date) : (dateOfFromLine(fromLine) ?? validDate(field('Date'))),
  };
}

function withoutKept(lines: readonly Buffer[], texts: readonly string[]): Buffer[] {
  let dropping = false;
  return lines.filter((_, index) => {
    const text = texts[index] ?? '';
    // a folded field goes on in lines that begin with a blank
    dropping = /^[ \t]/.test(text) ? dropping : KEPT_THERE.test(text);
    return !dropping;
  });
}

function validDate(text: string | undefined): Date | undefined {
  const date = new Date(text ?? '');
  return Number.isNaN(date.getTime()) ? undefined : date;
}

/** In UTC, unless it says otherwise. */
function dateOfFromLine(line: string): Date | undefined {
  const [, month, day, time, zone = 'UTC', year] =
    /([A-Z][a-z]{2})\s+(\d{1,2})\s+(\d\d:\d\d(?::\d\d)?)(?:\s+([A-Z]{1,5}|[+-]\d{4}))?\s+(\d{4})/.exec(
      line,
    ) ?? [];
  if (month === undefined) return undefined;
  return (
    validDate(`${day} ${month} ${year} ${time} ${zone}`) ??
    validDate(`${day} ${month} ${year} ${time} UTC`)
  );
}
