/**
 * Parts that say Content-Transfer-Encoding: binary and mean it (RFC 2045 §6.2, RFC 3516 §4.4): what of a message
 * has to be in base64 instead, so that it holds no NUL and its lines end in CRLF.
 */
import { parseContentType } from './body-structure.ts';
import { asBuffer, fieldText, headerFieldsOf } from './headers.ts';
import { type LeafPart, type MessagePart, parseMessage } from './structure.ts';

/** Octets of a message, `end` exclusive, that give way to others. */
export interface OctetChange {
  readonly start: number;
  readonly end: number;
  /** What stands there instead; where it is missing, the same octets in base64. */
  readonly text?: string;
}

const NUL = 0x00;
const LF = 0x0a;
const CR = 0x0d;
const MAX_FIELD_BYTES = 64 * 1024;
/** What a line of 76 characters holds (RFC 2045 §6.8). */
const LINE_OCTETS = 57;

/**
 * The changes in their order, none where none is needed. Undefined where one is needed and may not be: in what is
 * signed (RFC 1847 §2.1), and of parts that no encoding is allowed for (RFC 2046 §5.2).
 */
export function encodeBinaryParts(octets: Uint8Array): readonly OctetChange[] | undefined {
  const raw = asBuffer(octets);
  const changes: OctetChange[] = [];
  const visit = (part: MessagePart, isSigned: boolean): boolean => {
    if (part.kind === 'message') return visit(part.content, isSigned);
    if (part.kind === 'multipart') {
      const childSigned = isSigned || part.subtype === 'signed';
      return part.children.every((child) => visit(child, childSigned));
    }
    if (part.encoding !== 'binary' || !isBinary(raw, part)) return true;
    if (isSigned || isComposite(raw, part)) return false;
    changes.push(...encodePart(raw, part));
    return true;
  };
  return visit(parseMessage(raw).root, false) ? changes : undefined;
}

/** Whether there is what text cannot have: NUL, or a line end without CR. */
function isBinary(raw: Buffer, { bodyStart, bodyEnd }: LeafPart): boolean {
  const body = raw.subarray(bodyStart, bodyEnd);
  if (body.includes(NUL)) return true;
  for (let at = body.indexOf(LF); at >= 0; at = body.indexOf(LF, at + 1)) {
    if (body[at - 1] !== CR) return true;
  }
  return false;
}

function* fieldsOf(raw: Buffer, { headerStart, bodyStart }: LeafPart, name: string) {
  for (const field of headerFieldsOf(raw, headerStart, bodyStart)) {
    if (field.name === name) yield field;
  }
}

/** By what it says itself: a structure has multiparts and messages as leaves where they cannot be divided. */
function isComposite(raw: Buffer, part: LeafPart): boolean {
  for (const field of fieldsOf(raw, part, 'content-type')) {
    const type = parseContentType(fieldText(raw, field, MAX_FIELD_BYTES))?.type ?? '';
    return /^(message|multipart)$/.test(type);
  }
  return part.type === 'message';
}

function* encodePart(raw: Buffer, part: LeafPart): Generator<OctetChange> {
  let text = 'Content-Transfer-Encoding: base64\r\n';
  for (const { start, end } of fieldsOf(raw, part, 'content-transfer-encoding')) {
    yield { start, end, text };
    text = '';
  }
  yield { start: part.bodyStart, end: part.bodyEnd };
}

/** Octets that are encoded at one go, so that pieces of them make whole lines. */
export const BASE64_PIECE_OCTETS = LINE_OCTETS * 4096;

/** In lines of 76 characters, each with its CRLF (RFC 2045 §6.8). */
export function encodeBase64Lines(octets: Uint8Array): Buffer {
  const lines: string[] = [];
  for (let at = 0; at < octets.length; at += LINE_OCTETS) {
    lines.push(asBuffer(octets).toString('base64', at, Math.min(at + LINE_OCTETS, octets.length)));
  }
  return Buffer.from(lines.map((line) => `${line}\r\n`).join(''), 'latin1');
}
