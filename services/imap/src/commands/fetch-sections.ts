/**
 * The BODY[section] items of one FETCH answer (RFC 3501 §6.4.5, §7.4.2). Octets are read a chunk of the
 * store's at a time, each once the client has taken what went before, so that an answer holds little
 * memory however much it asks for.
 */
import { type MessageStructure, pickHeaderFields } from '@mail/message';
import { CHUNK_BYTES, type MessageSummary, StoreError } from '@mail/store';
import { SessionEnd } from '../errors.ts';
import type { FetchItem, SectionItem } from '../parser/fetch.ts';
import { locateSection, type OctetRange, renderSection } from '../section.ts';
import type { Session } from '../session.ts';
import type { Turns } from '../turns.ts';

/** What is read before the answer begins, so that a message that has gone leaves no half of one behind. */
const AHEAD_OCTETS = CHUNK_BYTES;
/** Of the header that fields are picked from; no real one is longer, and what lies behind is not found. */
const MAX_HEADER_OCTETS = 1024 * 1024;
const LF = 0x0a;

/** A section, its first piece read. */
interface OpenSection {
  readonly first: Buffer;
  /** What is still to be read from the store. */
  readonly rest: OctetRange;
}

const NOTHING: OctetRange = { start: 0, end: 0 };

/** BODY[] and RFC822: needs no structure. */
export function isWholeMessage({ section: { part, text } }: SectionItem): boolean {
  return part.length === 0 && text === 'all';
}

/** The name of a section in an answer: BODY[HEADER.FIELDS (TO)]<0> (RFC 3501 §7.4.2). */
function sectionName({ label, section, partial }: SectionItem): string {
  if (label !== 'BODY') return label;
  return `BODY[${renderSection(section)}]${partial ? `<${partial.offset}>` : ''}`;
}

/** The part of `range` that one chunk holds. */
function firstPiece({ start, end }: OctetRange): OctetRange {
  const chunkEnd = (Math.floor(start / CHUNK_BYTES) + 1) * CHUNK_BYTES;
  return { start, end: Math.min(end, chunkEnd) };
}

/** A small piece without the chunk around it, which it would keep in memory. */
function withoutRest(octets: Buffer): Buffer {
  return octets.length * 2 < octets.buffer.byteLength ? Buffer.from(octets) : octets;
}

export class Sections {
  readonly #session: Session;
  readonly #message: MessageSummary;
  readonly #structure: MessageStructure | undefined;
  /** In octets. */
  readonly #turns: Turns;
  readonly #ahead = new Map<SectionItem, OpenSection | undefined>();

  /** `structure` may be missing where all sections are the whole message. */
  constructor(
    session: Session,
    message: MessageSummary,
    structure: MessageStructure | undefined,
    turns: Turns,
  ) {
    this.#session = session;
    this.#message = message;
    this.#structure = structure;
    this.#turns = turns;
  }

  /** Whether the message is still there: reads the first sections, before anything is written. */
  async readAhead(items: readonly FetchItem[]): Promise<boolean> {
    let octets = 0;
    try {
      for (const item of items) {
        if (item.kind !== 'section') continue;
        if (octets >= AHEAD_OCTETS) break;
        const open = await this.#open(item);
        this.#ahead.set(item, open);
        octets += open?.first.length ?? 0;
      }
      return true;
    } catch (error) {
      if (error instanceof StoreError && error.code === 'no-such-message') return false;
      throw error;
    }
  }

  /** Writes one item; NIL for a section that the message has not. */
  async tell(item: SectionItem): Promise<void> {
    const { response } = this.#session;
    const open = this.#ahead.has(item)
      ? this.#ahead.get(item)
      : await this.#promised(() => this.#open(item));
    if (open === undefined) return response.raw(`${sectionName(item)} NIL`);
    let { first: piece, rest } = open;
    response.raw(`${sectionName(item)} {${piece.length + rest.end - rest.start}}\r\n`);
    response.octets(piece);
    while (rest.start < rest.end) {
      const range = firstPiece(rest);
      piece = await this.#promised(() => this.#read(range));
      response.octets(piece);
      rest = { start: range.end, end: rest.end };
    }
  }

  /** Undefined where the message has no such section. Throws StoreError (no-such-message). */
  async #open(item: SectionItem): Promise<OpenSection | undefined> {
    const { section, partial } = item;
    const whole: OctetRange | undefined = isWholeMessage(item)
      ? { start: 0, end: this.#message.size }
      : this.#structure && locateSection(this.#structure, section);
    if (whole === undefined) return undefined;
    if (section.text === 'header-fields' || section.text === 'header-fields-not') {
      const fields = await this.#pickFields(item, whole);
      const { offset, count } = partial ?? { offset: 0, count: fields.length };
      return { first: fields.subarray(offset, offset + count), rest: NOTHING };
    }
    const start = Math.min(whole.start + (partial?.offset ?? 0), whole.end);
    const end = partial ? Math.min(start + partial.count, whole.end) : whole.end;
    const piece = firstPiece({ start, end });
    return { first: await this.#read(piece), rest: { start: piece.end, end } };
  }

  async #pickFields({ section }: SectionItem, header: OctetRange): Promise<Buffer> {
    const { start } = header;
    const end = Math.min(header.end, start + MAX_HEADER_OCTETS);
    const octets = await this.#read({ start, end });
    // one that is cut ends with a line
    const bodyStart = end < header.end ? octets.lastIndexOf(LF) + 1 : octets.length;
    const not = section.text === 'header-fields-not';
    return pickHeaderFields(octets, { headerStart: 0, bodyStart }, section.fields, not);
  }

  async #read({ start, end }: OctetRange): Promise<Buffer> {
    if (start === end) return Buffer.alloc(0);
    const { store, selected } = this.#session;
    const octets = await store.messages.read(selected.mailbox.id, this.#message.uid, start, end);
    await this.#turns.spend(octets.length);
    return withoutRest(octets);
  }

  /** Reads on in an answer that has begun, when there is room: without these octets it can't end. */
  async #promised<T>(read: () => Promise<T>): Promise<T> {
    await this.#session.response.room;
    try {
      return await read();
    } catch (cause) {
      if (!(cause instanceof StoreError)) throw cause;
      this.#session.connection.destroy();
      throw new SessionEnd('The message went away while it was read', { cause });
    }
  }
}
