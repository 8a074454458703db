/**
 * How results look to people: columns, instants, spans of time, colour. Text that comes from
 * certificates, labels and other machines is printed without control characters, so that it cannot
 * drive the terminal.
 */
import type { CertificateView, CheckView } from './views.ts';

/** Colour, or none of it where NO_COLOR is set or the output is no terminal. */
export interface Palette {
  good(text: string): string;
  bad(text: string): string;
  warn(text: string): string;
  dim(text: string): string;
  bold(text: string): string;
}

export function createPalette(colour: boolean): Palette {
  const paint = (code: number) => (text: string) => (colour ? `\x1b[${code}m${text}\x1b[0m` : text);
  return { good: paint(32), bad: paint(31), warn: paint(33), dim: paint(2), bold: paint(1) };
}

/** `text` on one line, without what a terminal would obey (C0, C1, bidirectional overrides). */
export function plain(text: string): string {
  return text
    .replaceAll(/[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gu, ' ')
    .trim();
}

/** As plain, line ends kept: for text of several lines. */
export function plainLines(text: string): string {
  return text
    .split(/\r\n|\r|\n/)
    .map(plain)
    .join('\n');
}

/**
 * Rows under headings in columns two spaces apart. Cells are cleaned; `paint` colours a whole finished
 * row, so that colour does not disturb the widths.
 */
export function columns(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
  paint: (line: string, row: number) => string = (line) => line,
): string {
  const cells = rows.map((row) => row.map(plain));
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...cells.map((row) => row[column]?.length ?? 0)),
  );
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  return [line(headings), ...cells.map((row, index) => paint(line(row), index))].join('\n');
}

/** Names and values, one a line, the values in one column. */
export function fields(entries: readonly (readonly [string, string])[]): string {
  const width = Math.max(...entries.map(([name]) => name.length));
  return entries.map(([name, value]) => `${name.padEnd(width)}  ${plain(value)}`).join('\n');
}

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** A span of time in its largest whole unit: "12 s", "3 min", "5 h", "68 days". */
export function span(ms: number): string {
  const size = Math.abs(ms);
  if (size < MINUTE_MS) return `${Math.floor(size / SECOND_MS)} s`;
  if (size < HOUR_MS) return `${Math.floor(size / MINUTE_MS)} min`;
  if (size < 2 * DAY_MS) return `${Math.floor(size / HOUR_MS)} h`;
  return `${Math.floor(size / DAY_MS)} days`;
}

/** Milliseconds as measurements are written: "0.21 ms", "41 ms". */
export function milliseconds(ms: number): string {
  return `${Math.abs(ms) < 10 ? ms.toFixed(2) : Math.round(ms)} ms`;
}

/** An instant as "2026-11-24 11:42:16Z"; empty for null. */
export function when(iso: string | null): string {
  return iso === null ? '' : iso.replace('T', ' ').replace(/\.\d+Z$/, 'Z');
}

/** "68 days left", "expired 3 days ago". */
export function validity(notAfter: string | null, now: Date): string {
  if (notAfter === null) return '';
  const left = new Date(notAfter).getTime() - now.getTime();
  return left > 0 ? `${span(left)} left` : `expired ${span(left)} ago`;
}

/** A certificate by the names that it covers, or by its subject. */
export function certificateTitle(certificate: CertificateView): string {
  const [first, ...rest] = certificate.dnsNames;
  if (first === undefined) return certificate.subject;
  return rest.length === 0 ? first : `${first} and ${rest.length} more`;
}

/** Checks as paragraphs: what was found, then what to do. Empty for none. */
export function checkLines(checks: readonly CheckView[], palette: Palette): string {
  return checks
    .map((check) => {
      const paint = check.severity === 'error' ? palette.bad : palette.warn;
      const remedy = check.remedy === '' ? '' : `\n    ${plain(check.remedy)}`;
      return `  ${paint(`${check.severity} ${plain(check.code)}`)}: ${plain(check.message)}${remedy}`;
    })
    .join('\n');
}
