/** The beginning of a message's text, as a list of messages shows it (RFC 8970 §3). */
import { asBuffer } from './headers.ts';
import { htmlText } from './html-text.ts';
import { decodeText } from './search-text.ts';
import type { LeafPart, MessagePart, MessageStructure } from './structure.ts';

/** Octets of the part that are looked at; what people read begins within them. */
const MAX_PART_BYTES = 64 * 1024;
/** RFC 8970 §3.1: 200 should do, 256 at the most. */
const MAX_CHARACTERS = 200;

/** Octets of a message, `end` exclusive, of which a preview is made. */
export interface PreviewedPiece {
  readonly part: LeafPart;
  readonly start: number;
  readonly end: number;
}

/** The first text that is no attachment, plain one before HTML where they say the same. */
export function previewedPiece({ root }: MessageStructure): PreviewedPiece | undefined {
  const part = firstText(root);
  if (part === undefined) return undefined;
  const { bodyStart: start, bodyEnd } = part;
  return { part, start, end: Math.min(bodyEnd, start + MAX_PART_BYTES) };
}

function firstText(part: MessagePart): LeafPart | undefined {
  if (part.kind === 'message') return undefined;
  if (part.kind === 'leaf') {
    const shown = part.type === 'text' && /^(plain|html)$/.test(part.subtype);
    return shown && part.disposition?.type !== 'attachment' ? part : undefined;
  }
  const texts = part.children.map(firstText).filter((text) => text !== undefined);
  const plain = texts.find(({ subtype }) => subtype === 'plain');
  return part.subtype === 'alternative' ? (plain ?? texts[0]) : texts[0];
}

/** At most 200 characters on one line. `octets` are those of the piece. */
export function previewText(octets: Uint8Array, { part }: PreviewedPiece): string {
  const decoded = decodeText(asBuffer(octets), part);
  const text = part.subtype === 'html' ? htmlText(decoded) : decoded;
  // a character may have been cut in two at the end of the octets
  const line = text
    .replace(/\ufffd$/, '')
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .trim();
  // a character is at most two units
  return Array.from(line.slice(0, 2 * MAX_CHARACTERS))
    .slice(0, MAX_CHARACTERS)
    .join('')
    .trimEnd();
}
