/**
 * The MIME tree of a message with octet offsets into its raw form: computed once at delivery, stored as
 * JSON, and enough to answer ENVELOPE, BODYSTRUCTURE and every BODY[section] without parsing again.
 */
import { wholeAddresses } from './addresses.ts';
import {
  MESSAGE_RFC822,
  PART_FIELDS,
  type Parameter,
  type PartFields,
  parseContentType,
  readPartFields,
  TEXT_PLAIN,
} from './body-structure.ts';
import { ADDRESS_FIELDS, ENVELOPE_FIELDS, type Envelope, readEnvelope } from './envelope.ts';
import { asBuffer, fieldText, headerFieldsOf, isBlankLine, lineEnd } from './headers.ts';
import { readReferences } from './message-ids.ts';
import { decodeParameters } from './parameter-values.ts';

/** Where a part lies. Offsets are octets from the start of the whole message; ends are exclusive. */
export interface PartRange {
  readonly headerStart: number;
  /** First octet behind the blank line; the header, with that line, is [headerStart, bodyStart). */
  readonly bodyStart: number;
  /** The line break in front of a boundary belongs to the boundary, not to the body (RFC 2046 §5.1.1). */
  readonly bodyEnd: number;
  /** Line ends in the body: RFC 9051 §7.5.2 has 73 for 4,554 octets that are 73 lines of 62 and one of 28. */
  readonly lines: number;
}

export interface LeafPart extends PartRange, PartFields {
  readonly kind: 'leaf';
}

/** multipart/*: always has at least one child, as the grammar of BODYSTRUCTURE wants. */
export interface MultipartPart extends PartRange, PartFields {
  readonly kind: 'multipart';
  readonly children: readonly MessagePart[];
}

/** message/rfc822 and message/global. `content` is the embedded message; it fills the body. */
export interface EmbeddedMessagePart extends PartRange, PartFields {
  readonly kind: 'message';
  readonly envelope: Envelope;
  readonly content: MessagePart;
}

export type MessagePart = LeafPart | MultipartPart | EmbeddedMessagePart;

export interface MessageStructure {
  /** Of this format, for stored ones. 1 had no `references`. */
  readonly version: 1 | 2;
  /** Octets of the whole message. */
  readonly size: number;
  readonly envelope: Envelope;
  /** Ids of the messages that it refers to, as readReferences finds them. */
  readonly references?: readonly string[];
  /** The message itself: its header and body. */
  readonly root: MessagePart;
}

/** Texts of header fields by name in lower case, in their order. */
export type FieldTexts = ReadonlyMap<string, readonly string[]>;

/** Deeper ones stay undivided, as application/octet-stream. */
const MAX_DEPTH = 32;
/** In the whole message; later ones stay undivided. */
const MAX_PARTS = 1_000;
/** RFC 2046 §5.1.1 allows 70. */
const MAX_BOUNDARY_BYTES = 200;
/** A boundary line with all the blanks that may follow it. */
const MAX_DELIMITER_BYTES = 1_000;
/** Of one field; and of all that goes into a structure, so that it stays small enough to store. */
const MAX_FIELD_BYTES = 64 * 1024;
const MAX_TEXT_BYTES = 1024 * 1024;
const MAX_REPEATED = 16;

const LF = 0x0a;
const CR = 0x0d;
const HYPHEN = 0x2d;

const MESSAGE_FIELDS: ReadonlySet<string> = new Set([...ENVELOPE_FIELDS, ...PART_FIELDS]);
const ROOT_FIELDS: ReadonlySet<string> = new Set([...MESSAGE_FIELDS, 'references']);
const LISTS: ReadonlySet<string> = new Set(ADDRESS_FIELDS);
const CHILD_FIELDS: ReadonlySet<string> = new Set(PART_FIELDS);

/**
 * Parses any octets: never throws, takes linear time, bounds depth, parts and text. Lines may end in CRLF
 * or bare LF.
 */
export function parseMessage(raw: Uint8Array): MessageStructure {
  const parser = new StructureParser(asBuffer(raw));
  const { part, fields } = parser.readEntity(ROOT_FIELDS, TEXT_PLAIN, 0);
  return {
    version: 2,
    size: raw.length,
    envelope: readEnvelope(fields),
    references: readReferences(fields),
    root: part,
  };
}

/** A boundary line that ended what was being scanned. */
interface Delimiter {
  /** Index of its multipart on the stack of open ones. */
  readonly level: number;
  /** `--boundary--`: the multipart's last. */
  readonly closing: boolean;
  readonly start: number;
  /** Line ends of the message before it. */
  readonly linesBefore: number;
}

/** One pass over the message from the front; `#at` only grows. */
class StructureParser {
  readonly #raw: Buffer;
  #at = 0;
  /** Line ends in front of `#at`. */
  #lines = 0;
  #parts = 0;
  #textBytes = 0;
  /** Of the multiparts that are open, outermost first. */
  readonly #boundaries: Buffer[] = [];
  /** What ended the last entity; undefined for the end of the message. */
  #stop: Delimiter | undefined;

  constructor(raw: Buffer) {
    this.#raw = raw;
  }

  /** A header and its body, up to a delimiter of an open multipart or the end of the message. */
  readEntity(
    wanted: ReadonlySet<string>,
    defaultType: Pick<PartFields, 'type' | 'subtype' | 'parameters'>,
    depth: number,
  ): { part: MessagePart; fields: FieldTexts } {
    this.#parts += 1;
    const headerStart = this.#at;
    const hasBody = this.#skipHeader();
    const bodyStart = hasBody ? this.#at : this.#end(headerStart);
    const linesBefore = hasBody ? this.#lines : this.#linesUpTo(bodyStart);
    const fields = this.#readFields(headerStart, bodyStart, wanted);
    const partFields = readPartFields(fields, defaultType);

    const range = (last?: MessagePart): PartRange => {
      // an innermost part that ends with its header reaches up to the delimiter, and so do those around it
      const bodyEnd = this.#end(last?.bodyEnd ?? bodyStart);
      return { headerStart, bodyStart, bodyEnd, lines: this.#linesUpTo(bodyEnd) - linesBefore };
    };
    const leaf = (as: Partial<PartFields> = {}): MessagePart => ({
      kind: 'leaf',
      ...range(),
      ...partFields,
      ...as,
    });

    const { type, subtype } = partFields;
    const composite =
      type === 'multipart' || (type === 'message' && /^(rfc822|global)$/.test(subtype));
    if (!composite) {
      if (hasBody) this.#stop = this.#scan();
      return { part: leaf(), fields };
    }
    if (depth >= MAX_DEPTH || this.#parts >= MAX_PARTS) {
      if (hasBody) this.#stop = this.#scan();
      const opaque = { type: 'application', subtype: 'octet-stream', parameters: [] };
      return { part: leaf(opaque), fields };
    }
    if (type === 'message') {
      const content = this.#readContent(hasBody, bodyStart, depth);
      const envelope = readEnvelope(content.fields);
      const part: MessagePart = {
        kind: 'message',
        ...range(content.part),
        ...partFields,
        envelope,
        content: content.part,
      };
      return { part, fields };
    }
    const boundary = boundaryOctets(this.#raw, headerStart, bodyStart, partFields);
    const children = hasBody ? this.#readChildren(boundary, subtype, depth) : [];
    // a multipart without parts can't be told in BODYSTRUCTURE, and its text is there to be read
    if (children.length === 0) return { part: leaf(TEXT_PLAIN), fields };
    return {
      part: { kind: 'multipart', ...range(children.at(-1)), ...partFields, children },
      fields,
    };
  }

  #readContent(hasBody: boolean, at: number, depth: number) {
    if (hasBody) return this.readEntity(MESSAGE_FIELDS, TEXT_PLAIN, depth + 1);
    const fields: FieldTexts = new Map();
    const part: MessagePart = {
      kind: 'leaf',
      headerStart: at,
      bodyStart: at,
      bodyEnd: at,
      lines: 0,
      ...readPartFields(fields, TEXT_PLAIN),
    };
    return { part, fields };
  }

  #readChildren(boundary: Buffer, subtype: string, depth: number): MessagePart[] {
    const children: MessagePart[] = [];
    if (boundary.length === 0 || boundary.length > MAX_BOUNDARY_BYTES) {
      this.#stop = this.#scan();
      return children;
    }
    const level = this.#boundaries.push(boundary) - 1;
    const isNext = () => this.#stop?.level === level && !this.#stop.closing;
    this.#stop = this.#scan();
    while (isNext() && this.#parts < MAX_PARTS) {
      const type = subtype === 'digest' ? MESSAGE_RFC822 : TEXT_PLAIN;
      children.push(this.readEntity(CHILD_FIELDS, type, depth + 1).part);
    }
    while (isNext()) this.#stop = this.#scan();
    this.#boundaries.pop();
    // what follows the last boundary belongs to nobody
    if (this.#stop?.level === level) this.#stop = this.#scan();
    return children;
  }

  /** Whether a body follows: moves behind the blank line, or behind what ended the entity without one. */
  #skipHeader(): boolean {
    while (this.#at < this.#raw.length) {
      const start = this.#at;
      if (this.#isDelimiterAhead(start)) break;
      this.#nextLine();
      if (isBlankLine(this.#raw, start)) return true;
    }
    this.#stop = this.#scan();
    return false;
  }

  /** Moves behind the next delimiter line and returns it, or to the end of the message. */
  #scan(): Delimiter | undefined {
    while (this.#at < this.#raw.length) {
      const start = this.#at;
      const linesBefore = this.#lines;
      this.#nextLine();
      const found = this.#delimiter(start, this.#at);
      if (found) return { ...found, start, linesBefore };
    }
    return undefined;
  }

  #nextLine(): void {
    this.#at = lineEnd(this.#raw, this.#at, this.#raw.length);
    if (this.#raw[this.#at - 1] === LF) this.#lines += 1;
  }

  #isDelimiterAhead(start: number): boolean {
    return this.#delimiter(start, lineEnd(this.#raw, start, this.#raw.length)) !== undefined;
  }

  #delimiter(start: number, end: number): { level: number; closing: boolean } | undefined {
    if (this.#boundaries.length === 0) return undefined;
    if (this.#raw[start] !== HYPHEN || this.#raw[start + 1] !== HYPHEN) return undefined;
    if (end - start > MAX_DELIMITER_BYTES) return undefined;
    let textEnd = end;
    while (isBlankOrBreak(this.#raw[textEnd - 1])) textEnd -= 1;
    const length = textEnd - start - 2;
    // innermost first, in case two share a boundary
    for (let level = this.#boundaries.length - 1; level >= 0; level -= 1) {
      const boundary = this.#boundaries[level] as Buffer;
      const rest = length - boundary.length;
      if (rest !== 0 && rest !== 2) continue;
      if (rest === 2 && !(this.#raw[textEnd - 1] === HYPHEN && this.#raw[textEnd - 2] === HYPHEN)) {
        continue;
      }
      if (startsWith(this.#raw, start + 2, boundary)) return { level, closing: rest === 2 };
    }
    return undefined;
  }

  /** Where an entity that was just ended ends: the line break before a delimiter is the delimiter's. */
  #end(least: number): number {
    let end = this.#stop?.start ?? this.#raw.length;
    if (this.#stop && this.#raw[end - 1] === LF) {
      end -= 1;
      if (this.#raw[end - 1] === CR) end -= 1;
    }
    return Math.max(end, least);
  }

  /** Line ends before `end`, which `#end` has just given. */
  #linesUpTo(end: number): number {
    if (!this.#stop) return this.#lines;
    return this.#stop.linesBefore - (end < this.#stop.start ? 1 : 0);
  }

  #readFields(start: number, end: number, wanted: ReadonlySet<string>): FieldTexts {
    const found = new Map<string, string[]>();
    for (const field of headerFieldsOf(this.#raw, start, end)) {
      if (!wanted.has(field.name)) continue;
      const texts = found.get(field.name) ?? [];
      // a field that is given over and over is an attack or a joke
      if (texts.length >= MAX_REPEATED) continue;
      const budget = Math.min(MAX_FIELD_BYTES, MAX_TEXT_BYTES - this.#textBytes);
      if (budget <= 0) break;
      const begun = fieldText(this.#raw, field, budget);
      const isCut = field.end - field.valueStart > budget;
      // half an address is somebody else's
      const text = isCut && LISTS.has(field.name) ? wholeAddresses(begun) : begun;
      this.#textBytes += text.length;
      texts.push(text);
      found.set(field.name, texts);
    }
    return found;
  }
}

/** What the boundary lines of a multipart have, whose header is [start, end). Empty where it names none. */
function boundaryOctets(
  raw: Buffer,
  start: number,
  end: number,
  { parameters }: PartFields,
): Buffer {
  const boundary = boundaryOf(parameters);
  if (/^[\x20-\x7e]*$/.test(boundary)) return Buffer.from(boundary);
  // 8-bit ones are compared as they stand, whatever charset they are in
  for (const field of headerFieldsOf(raw, start, end)) {
    if (field.name !== 'content-type') continue;
    const text = raw.toString('latin1', field.valueStart, field.end).replaceAll(/[\r\n]+/g, '');
    return Buffer.from(boundaryOf(parseContentType(text)?.parameters ?? []), 'latin1');
  }
  return Buffer.alloc(0);
}

/** It may be split or encoded, as any parameter (RFC 2231 §3, §4). */
function boundaryOf(parameters: readonly Parameter[]): string {
  const named = decodeParameters(parameters).find(([name]) => /^boundary\*?$/.test(name));
  // no boundary ends in a blank (RFC 2046 §5.1.1)
  return named?.[1].trimEnd() ?? '';
}

function isBlankOrBreak(octet: number | undefined): boolean {
  return octet === 0x20 || octet === 0x09 || octet === CR || octet === LF;
}

/** A call into Buffer costs more than the few octets that differ as a rule. */
function startsWith(raw: Buffer, at: number, prefix: Buffer): boolean {
  for (let here = 0; here < prefix.length; here += 1) {
    if (raw[at + here] !== prefix[here]) return false;
  }
  return true;
}
