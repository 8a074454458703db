/**
 * Header fields with their offsets (RFC 5322 §2.2, §4): splitting, unfolding, picking by name. Takes any
 * octets: what is no field belongs to no name, and nothing throws.
 */
import { isUtf8 } from 'node:buffer';

export interface HeaderField {
  /** In lower case; empty for lines that are no field. */
  readonly name: string;
  /** Octets of the message: the field with its line end is [start, end). */
  readonly start: number;
  readonly valueStart: number;
  readonly end: number;
}

const LF = 0x0a;
const CR = 0x0d;
const COLON = 0x3a;
const MAX_NAME_BYTES = 256;

/** A view, not a copy. */
export function asBuffer(raw: Uint8Array): Buffer {
  return Buffer.isBuffer(raw) ? raw : Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength);
}

/** The fields of the header that begins at `start`, up to its blank line or `end`. */
export function* headerFieldsOf(raw: Buffer, start: number, end: number): Generator<HeaderField> {
  let at = start;
  while (at < end && !isBlankLine(raw, at)) {
    let next = lineEnd(raw, at, end);
    // a line that begins with a blank goes on with the field; one of blanks only does too (§4.2)
    while (next < end && isBlank(raw[next])) next = lineEnd(raw, next, end);
    const colon = raw.subarray(at, Math.min(next, at + MAX_NAME_BYTES)).indexOf(COLON);
    const name = colon < 0 ? '' : raw.toString('latin1', at, at + colon).replace(/[ \t]+$/, '');
    if (/^[!-9;-~]+$/.test(name)) {
      yield { name: name.toLowerCase(), start: at, valueStart: at + colon + 1, end: next };
    } else {
      yield { name: '', start: at, valueStart: at, end: next };
    }
    at = next;
  }
}

/** Where the body begins behind the header that `raw` begins with; its end where there is no blank line. */
export function headerEnd(raw: Uint8Array): number {
  const octets = asBuffer(raw);
  for (let at = 0; at < octets.length; ) {
    const next = lineEnd(octets, at, octets.length);
    if (isBlankLine(octets, at)) return next;
    at = next;
  }
  return octets.length;
}

/**
 * The octets of the fields that are called one of `names` (any case), or with `not` of all others, in
 * their order, and the blank line: what BODY[HEADER.FIELDS (...)] wants (RFC 9051 §6.4.5.1).
 */
export function pickHeaderFields(
  raw: Uint8Array,
  header: { readonly headerStart: number; readonly bodyStart: number },
  names: readonly string[],
  not: boolean,
): Buffer {
  const octets = asBuffer(raw);
  const wanted = new Set(names.map((name) => name.toLowerCase()));
  const picked: Buffer[] = [];
  for (const field of headerFieldsOf(octets, header.headerStart, header.bodyStart)) {
    if (wanted.has(field.name) !== not) picked.push(octets.subarray(field.start, field.end));
  }
  picked.push(Buffer.from('\r\n'));
  return Buffer.concat(picked);
}

/** Unfolded, trimmed, at most `maxBytes` of it; RFC 2047 words as they are. No CR, LF or NUL. */
export function fieldText(raw: Buffer, field: HeaderField, maxBytes: number): string {
  const end = Math.min(field.end, field.valueStart + maxBytes);
  const text = decodeOctets(raw.subarray(field.valueStart, end))
    // unfolding takes the line break and leaves the blank (§2.2.3)
    .replace(/\r?\n(?=[ \t])/g, '')
    .replace(/[\r\n\0]+/g, ' ');
  return trimBlanks(text);
}

/** Blanks of Unicode are text as any other. */
function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start += 1;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1;
  return text.slice(start, end);
}

/** What 8-bit text without a charset is, if it is not UTF-8: Latin-1, with the quotes of Windows. */
const WINDOWS_1252 = new TextDecoder('windows-1252');

/** UTF-8 (RFC 6532), or Windows-1252 where it is none. */
export function decodeOctets(octets: Buffer): string {
  return isUtf8(octets) ? octets.toString('utf8') : WINDOWS_1252.decode(octets);
}

/** A call of indexOf costs as much as looking at this many octets here. */
const SHORT_LINE_BYTES = 40;

/** Offset behind the line that begins at `at`. */
export function lineEnd(raw: Buffer, at: number, end: number): number {
  const shortEnd = Math.min(end, at + SHORT_LINE_BYTES);
  for (let here = at; here < shortEnd; here += 1) if (raw[here] === LF) return here + 1;
  const found = raw.indexOf(LF, shortEnd);
  return found < 0 || found >= end ? end : found + 1;
}

export function isBlankLine(raw: Buffer, at: number): boolean {
  return raw[at] === LF || (raw[at] === CR && raw[at + 1] === LF);
}

function isBlank(octet: number | undefined): boolean {
  return octet === 0x20 || octet === 0x09;
}
