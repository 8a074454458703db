/**
 * What SEARCH looks into (RFC 9051 §6.4.4): which octets of a message, and their text as people see it.
 * Bounded, so that who reads them holds little whatever the message.
 */
import { decodeCharset } from './charsets.ts';
import { decodeWords } from './encoded-words.ts';
import { asBuffer, decodeOctets, fieldText, headerFieldsOf } from './headers.ts';
import type { FieldTexts, LeafPart, MessagePart, MessageStructure } from './structure.ts';
import { decodeTransfer } from './transfer-encoding.ts';

/** Octets of a message, `end` exclusive: a header, or the body of a text part. */
export type SearchedPiece =
  | { readonly kind: 'header'; readonly start: number; readonly end: number }
  | {
      readonly kind: 'text';
      readonly start: number;
      readonly end: number;
      readonly part: LeafPart;
    };

const MAX_FIELD_BYTES = 64 * 1024;
/** Of all headers, and of all texts before they are decoded; what lies behind is not found. */
const MAX_PIECE_BYTES = { header: 256 * 1024, text: 4 * 1024 * 1024 };

/**
 * Headers of the message and of messages in it, and text parts, in their order. The first is always the
 * message's own header.
 */
export function searchedPieces({ root }: MessageStructure): SearchedPiece[] {
  const pieces: SearchedPiece[] = [];
  const left = { ...MAX_PIECE_BYTES };
  const endOf = (kind: SearchedPiece['kind'], start: number, end: number): number => {
    const taken = Math.min(end - start, left[kind]);
    left[kind] -= taken;
    return start + taken;
  };

  const visit = (part: MessagePart, isMessage: boolean): void => {
    if (isMessage && left.header > 0) {
      const start = part.headerStart;
      pieces.push({ kind: 'header', start, end: endOf('header', start, part.bodyStart) });
    }
    if (part.kind === 'multipart') for (const child of part.children) visit(child, false);
    if (part.kind === 'message') visit(part.content, true);
    if (part.kind === 'leaf' && part.type === 'text' && left.text > 0) {
      const start = part.bodyStart;
      pieces.push({ kind: 'text', start, end: endOf('text', start, part.bodyEnd), part });
    }
  };
  visit(root, true);
  return pieces;
}

/** The octets of a piece as text: decoded, a header one field a line, markup of HTML included. */
export function pieceText(octets: Uint8Array, piece: SearchedPiece): string {
  if (piece.kind === 'text') return decodeText(asBuffer(octets), piece.part);
  const lines: string[] = [];
  for (const [name, values] of headerTexts(octets)) {
    for (const value of values) lines.push(`${name}: ${value}`);
  }
  return lines.join('\n');
}

/** Fields of a header, decoded, for SEARCH SUBJECT, FROM, HEADER and the like. */
export function headerTexts(octets: Uint8Array): FieldTexts {
  const header = asBuffer(octets);
  const texts = new Map<string, string[]>();
  for (const field of headerFieldsOf(header, 0, header.length)) {
    const text = decodeWords(fieldText(header, field, MAX_FIELD_BYTES));
    const known = texts.get(field.name);
    if (known === undefined) texts.set(field.name, [text]);
    else known.push(text);
  }
  return texts;
}

/** Undoes the transfer encoding and the charset; what can't be undone is read as it stands. */
export function decodeText(octets: Buffer, part: LeafPart): string {
  const decoded = decodeTransfer(octets, part.encoding);
  const charset = part.parameters.find(([name]) => name === 'charset')?.[1] ?? 'us-ascii';
  // people send UTF-8 and say US-ASCII
  if (/^us-ascii$/i.test(charset)) return decodeOctets(decoded);
  return decodeCharset(decoded, charset) ?? decodeOctets(decoded);
}
