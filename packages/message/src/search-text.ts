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

/** Reports, and pieces of messages, are read by people as well (RFC 3464 §2.1, RFC 2046 §5.2). */
const TEXT_TYPES: ReadonlySet<string> = new Set(['text', 'message']);

/**
 * Headers of the message, of its parts and of messages in it, and text parts, in their order. The first is
 * always the message's own header.
 */
export function searchedPieces({ root }: MessageStructure): SearchedPiece[] {
  const pieces: SearchedPiece[] = [];
  const left = { ...MAX_PIECE_BYTES };
  const endOf = (kind: SearchedPiece['kind'], start: number, end: number): number => {
    const taken = Math.min(end - start, left[kind]);
    left[kind] -= taken;
    return start + taken;
  };

  const visit = (part: MessagePart): void => {
    if (left.header > 0) {
      const start = part.headerStart;
      pieces.push({ kind: 'header', start, end: endOf('header', start, part.bodyStart) });
    }
    if (part.kind === 'multipart') for (const child of part.children) visit(child);
    if (part.kind === 'message') visit(part.content);
    if (part.kind === 'leaf' && TEXT_TYPES.has(part.type) && left.text > 0) {
      const start = part.bodyStart;
      pieces.push({ kind: 'text', start, end: endOf('text', start, part.bodyEnd), part });
    }
  };
  visit(root);
  return pieces;
}

/** Fields of a header, decoded. */
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

/** Stands between the pieces of a message, so that nothing is found across two. */
const PIECE_END = '\x1e';
/** Before each field of a header. */
const FIELD_START = '\x1f';
/** Ours, and NUL, which not every database takes. No text has them once it is folded. */
const SET_APART = new RegExp(`[\\0${PIECE_END}${FIELD_START}]`, 'g');

/**
 * What texts, and what is looked for in them, are compared by: in any case, as i;unicode-casemap has it
 * (RFC 5051). The folded form of a part of a text is a part of the text's folded form.
 */
export function foldText(text: string): string {
  return (
    text
      .toLowerCase()
      // the one letter whose lower case depends on what is behind it
      .replaceAll('ς', 'σ')
      .replaceAll(SET_APART, '\ufffd')
      .toWellFormed()
  );
}

/** A message as SEARCH looks through it, folded. */
export interface SearchTexts {
  /** Headers: the message's own, then those of parts and of messages in it. */
  readonly header: string;
  readonly body: string;
  /** Whether there is more than is here. */
  readonly headerIsCut: boolean;
  readonly bodyIsCut: boolean;
}

/** Characters that are kept of each. */
const MAX_KEPT = { header: 64 * 1024, body: 256 * 1024 };

/** `octetsOf` gives the octets of each piece. */
export function searchTexts(
  structure: MessageStructure,
  octetsOf: (piece: SearchedPiece) => Uint8Array,
): SearchTexts {
  const texts = { header: '', text: '' };
  for (const piece of searchedPieces(structure)) {
    const most = piece.kind === 'header' ? MAX_KEPT.header : MAX_KEPT.body;
    if (texts[piece.kind].length > most) continue;
    texts[piece.kind] += foldedPiece(octetsOf(piece), piece) + PIECE_END;
  }
  const headerIsCut = texts.header.length > MAX_KEPT.header;
  const bodyIsCut = texts.text.length > MAX_KEPT.body;
  return {
    header: headerIsCut ? texts.header.slice(0, MAX_KEPT.header).toWellFormed() : texts.header,
    body: bodyIsCut ? texts.text.slice(0, MAX_KEPT.body).toWellFormed() : texts.text,
    headerIsCut,
    bodyIsCut,
  };
}

/** The octets of a piece as they are in SearchTexts. */
export function foldedPiece(octets: Uint8Array, piece: SearchedPiece): string {
  if (piece.kind === 'text') return foldText(decodeText(asBuffer(octets), piece.part));
  let header = '';
  for (const [name, values] of headerTexts(octets)) {
    for (const value of values) header += FIELD_START + foldText(`${name}: ${value}`);
  }
  return header;
}

/** How a field called `name`, in lower case, begins in SearchTexts. */
export function fieldStart(name: string): string {
  return `${FIELD_START}${name}: `;
}

/** Whether a message's own header has `value`, folded, in a field called `name`, in lower case. */
export function fieldHas(header: string, name: string, value: string): boolean {
  const start = fieldStart(name);
  const ownEnd = header.indexOf(PIECE_END);
  const own = ownEnd < 0 ? header : header.slice(0, ownEnd);
  for (let at = own.indexOf(start); at >= 0; at = own.indexOf(start, at + 1)) {
    const end = own.indexOf(FIELD_START, at + 1);
    const text = own.slice(at + start.length, end < 0 ? own.length : end);
    if (text.includes(value)) return true;
  }
  return false;
}
