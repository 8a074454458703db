/** The text of a message as people see it: what SEARCH looks into (RFC 9051 §6.4.4). */
import { decodeCharset, decodeWords } from './encoded-words.ts';
import { asBuffer, decodeOctets, fieldText, headerFieldsOf } from './headers.ts';
import type { LeafPart, MessagePart, MessageStructure } from './structure.ts';

export interface SearchableText {
  /** Headers of the message and of messages in it, one field a line, decoded. */
  readonly headers: string;
  /** Text parts, decoded, markup of HTML included. */
  readonly body: string;
}

const MAX_FIELD_BYTES = 64 * 1024;
/** Of each, decoded or not; what lies behind is not found. */
const MAX_HEADER_BYTES = 256 * 1024;
const MAX_BODY_BYTES = 4 * 1024 * 1024;

/** `structure` is the message's own. */
export function searchableText(raw: Uint8Array, structure: MessageStructure): SearchableText {
  const octets = asBuffer(raw);
  const headers: string[] = [];
  const body: string[] = [];
  let headerBytes = 0;
  let bodyBytes = 0;

  const visit = (part: MessagePart, isMessage: boolean): void => {
    if (isMessage) {
      for (const field of headerFieldsOf(octets, part.headerStart, part.bodyStart)) {
        if (headerBytes >= MAX_HEADER_BYTES) break;
        headerBytes += field.end - field.start;
        const value = decodeWords(fieldText(octets, field, MAX_FIELD_BYTES));
        headers.push(`${field.name}: ${value}`);
      }
    }
    if (part.kind === 'multipart') for (const child of part.children) visit(child, false);
    if (part.kind === 'message') visit(part.content, true);
    if (part.kind !== 'leaf' || part.type !== 'text' || bodyBytes >= MAX_BODY_BYTES) return;
    const end = Math.min(part.bodyEnd, part.bodyStart + MAX_BODY_BYTES - bodyBytes);
    bodyBytes += end - part.bodyStart;
    body.push(decodeText(octets.subarray(part.bodyStart, end), part));
  };
  visit(structure.root, true);
  return { headers: headers.join('\n'), body: body.join('\n') };
}

/**
 * Every value of a field of the message, decoded, for SEARCH SUBJECT, FROM, HEADER and the like. `name`
 * in any case.
 */
export function headerValues(
  raw: Uint8Array,
  structure: MessageStructure,
  name: string,
): readonly string[] {
  const octets = asBuffer(raw);
  const { headerStart, bodyStart } = structure.root;
  const wanted = name.toLowerCase();
  return [...headerFieldsOf(octets, headerStart, bodyStart)]
    .filter((field) => field.name === wanted)
    .map((field) => decodeWords(fieldText(octets, field, MAX_FIELD_BYTES)));
}

/** Undoes the transfer encoding and the charset; what can't be undone is read as it stands. */
function decodeText(octets: Buffer, part: LeafPart): string {
  const decoded = decodeTransfer(octets, part.encoding);
  const charset = part.parameters.find(([name]) => name === 'charset')?.[1] ?? 'us-ascii';
  // people send UTF-8 and say US-ASCII
  if (/^us-ascii$/i.test(charset)) return decodeOctets(decoded);
  return decodeCharset(decoded, charset) ?? decodeOctets(decoded);
}

/** RFC 2045 §6.7 and §6.8. */
function decodeTransfer(octets: Buffer, encoding: string): Buffer {
  if (encoding === 'base64') return Buffer.from(octets.toString('latin1'), 'base64');
  if (encoding !== 'quoted-printable') return octets;
  const text = octets
    .toString('latin1')
    .replace(/=[ \t]*\r?\n/g, '')
    .replace(/=([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
  return Buffer.from(text, 'latin1');
}
