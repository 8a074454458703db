/**
 * The items of one FETCH answer that are read from the message: BODY[section] (RFC 3501 §6.4.5, §7.4.2), and
 * BINARY[part] and BINARY.SIZE[part] (RFC 9051 §6.4.5, §7.5.2), which are decoded as they are read. Octets
 * are read a chunk of the store's at a time, each once the client has taken what went before, so that an
 * answer holds little memory however much it asks for.
 */
import { headerEnd, type MessageStructure, pickHeaderFields } from '@mail/message';
import { CHUNK_BYTES, type MessageSummary, StoreError } from '@mail/store';
import {
  type EncodedPart,
  locateEncoded,
  measure,
  readDecoded,
  wholeMessage,
} from '../decoded-part.ts';
import { SessionEnd } from '../errors.ts';
import { MessageOctets } from '../message-octets.ts';
import type {
  BinaryItem,
  BinarySizeItem,
  ContentItem,
  FetchItem,
  Section,
  SectionItem,
} from '../parser/fetch.ts';
import { locateSection, type OctetRange, renderSection } from '../section.ts';
import type { Session } from '../session.ts';
import type { Turns } from '../turns.ts';
import type { Fetched } from './fetch-contents.ts';

/** What is read before the answer begins, so that a message that has gone leaves no half of one behind. */
const AHEAD_OCTETS = CHUNK_BYTES;
/** Of the header that fields are picked from; no real one is longer, and what lies behind is not found. */
const MAX_HEADER_OCTETS = 1024 * 1024;
/** What an item costs, and each name of a field in it, in octets that could be read meanwhile. */
const ITEM_OCTETS = 1024;
const FIELD_OCTETS = 32;
const LF = 0x0a;

/** An item whose answer can begin. */
interface OpenItem {
  /** What goes before the octets; all of the answer where it has none. */
  readonly head: string;
  /** The first piece of the octets. */
  readonly first?: Buffer;
  /** Reads the others. Rejects with StoreError. */
  readonly rest?: AsyncIterator<Buffer>;
}

/** BODY[], RFC822, BINARY[]: needs no structure. */
export function isWholeMessage(item: ContentItem): boolean {
  if (item.kind !== 'section') return item.part.length === 0;
  return item.section.part.length === 0 && item.section.text === 'all';
}

/** BODY[HEADER], BODY[HEADER.FIELDS (...)] and the like of the message itself. */
export function isOwnHeader(item: ContentItem): boolean {
  if (item.kind !== 'section' || item.section.part.length > 0) return false;
  return item.section.text !== 'all' && item.section.text !== 'text';
}

export function isContent(item: FetchItem): item is ContentItem {
  return item.kind === 'section' || item.kind === 'binary' || item.kind === 'binary-size';
}

/** Whether an item asks for a part without an encoding that is unknown here. */
export function cannotDecode(structure: MessageStructure, item: FetchItem): boolean {
  if (item.kind !== 'binary' && item.kind !== 'binary-size') return false;
  return locateEncoded(structure, item.part) === 'unknown-encoding';
}

/** The name of an item in an answer: BODY[HEADER.FIELDS (TO)]<0> (RFC 3501 §7.4.2). */
function itemName(item: ContentItem): string {
  if (item.kind === 'binary-size') return `BINARY.SIZE[${item.part.join('.')}]`;
  if (item.kind === 'section' && item.label !== 'BODY') return item.label;
  const { partial } = item;
  const origin = partial ? `<${partial.offset}>` : '';
  if (item.kind === 'binary') return `BINARY[${item.part.join('.')}]${origin}`;
  return `BODY[${renderSection(item.section)}]${origin}`;
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
  /** Its octets, where they were read already. */
  readonly #whole: Buffer | undefined;
  /** In octets. */
  readonly #turns: Turns;
  readonly #ahead = new Map<ContentItem, OpenItem>();
  /** Of BINARY: its two readings of a small part cost one. */
  #octets: MessageOctets | undefined;

  /** The structure may be missing where all items are of the whole message. */
  constructor(session: Session, { message, structure, whole }: Fetched, turns: Turns) {
    if (message === undefined) throw new Error('who reads a message knows its size');
    this.#session = session;
    this.#message = message;
    this.#structure = structure;
    this.#whole = whole;
    this.#turns = turns;
  }

  /** Whether the message is still there: reads the first sections, before anything is written. */
  async readAhead(items: readonly FetchItem[]): Promise<boolean> {
    let octets = 0;
    try {
      for (const item of items) {
        if (!isContent(item)) continue;
        if (octets >= AHEAD_OCTETS) break;
        const open = await this.#open(item);
        this.#ahead.set(item, open);
        octets += open.first?.length ?? 0;
      }
      return true;
    } catch (error) {
      if (error instanceof StoreError && error.code === 'no-such-message') return false;
      throw error;
    }
  }

  /** Writes one item. */
  async tell(item: ContentItem): Promise<void> {
    const { response } = this.#session;
    const open = this.#ahead.get(item) ?? (await this.#promised(() => this.#open(item)));
    const { head, first, rest } = open;
    response.raw(head);
    if (first !== undefined) response.octets(first);
    if (rest === undefined) return;
    for (;;) {
      const { value: piece, done } = await this.#promised(() => rest.next());
      if (done) return;
      response.octets(piece);
    }
  }

  /** NIL for what the message has not. Throws StoreError (no-such-message). */
  async #open(item: ContentItem): Promise<OpenItem> {
    const fields = item.kind === 'section' ? item.section.fields.length : 0;
    const turn = this.#turns.spend(ITEM_OCTETS + FIELD_OCTETS * fields);
    if (turn !== undefined) await turn;
    return item.kind === 'section' ? this.#openSection(item) : this.#openDecoded(item);
  }

  async #openSection(item: SectionItem): Promise<OpenItem> {
    const { section, partial } = item;
    const whole: OctetRange | undefined = isWholeMessage(item)
      ? { start: 0, end: this.#message.size }
      : this.#locate(section);
    if (whole === undefined) return { head: `${itemName(item)} NIL` };
    if (section.text === 'header-fields' || section.text === 'header-fields-not') {
      const fields = await this.#pickFields(item, whole);
      const { offset, count } = partial ?? { offset: 0, count: fields.length };
      const first = fields.subarray(offset, offset + count);
      return { head: `${itemName(item)} {${first.length}}\r\n`, first };
    }
    const start = Math.min(whole.start + (partial?.offset ?? 0), whole.end);
    const end = partial ? Math.min(start + partial.count, whole.end) : whole.end;
    const piece = firstPiece({ start, end });
    const head = `${itemName(item)} {${end - start}}\r\n`;
    const first = await this.#read(piece);
    return piece.end === end
      ? { head, first }
      : { head, first, rest: this.#pieces({ start: piece.end, end }) };
  }

  #locate(section: Section): OctetRange | undefined {
    if (this.#structure !== undefined) return locateSection(this.#structure, section);
    // where the header alone is asked for there is no structure: see needsOf
    return this.#whole && { start: 0, end: headerEnd(this.#whole) };
  }

  async *#pieces({ start, end }: OctetRange): AsyncGenerator<Buffer> {
    for (let at = start; at < end; ) {
      const piece = firstPiece({ start: at, end });
      yield await this.#read(piece);
      at = piece.end;
    }
  }

  /** Decodes all that is asked, to know its size; keeps what is small. */
  async #openDecoded(item: BinaryItem | BinarySizeItem): Promise<OpenItem> {
    const name = itemName(item);
    const part = this.#locateEncoded(item);
    if (part === undefined) return { head: `${name} ${item.kind === 'binary' ? 'NIL' : 0}` };
    const { selected, store } = this.#session;
    this.#octets ??= new MessageOctets(store.messages, selected.mailbox.id, this.#message);
    const octets = this.#octets;
    const key = `${selected.mailbox.id}/${this.#message.uid}/${item.part.join('.')}`;
    const places = this.#session.lastDecoded.placesOf(key);
    const partial = item.kind === 'binary' ? item.partial : undefined;
    const read = () => readDecoded(part, partial, octets, this.#turns, places);
    const measured = await measure(read());
    if (item.kind === 'binary-size') return { head: `${name} ${measured.octets}` };
    // RFC 9051 §7.5.2: a literal8 tells of NUL
    const head = `${name} ${measured.holdsNul ? '~' : ''}{${measured.octets}}\r\n`;
    const { whole } = measured;
    return whole === undefined ? { head, rest: read() } : { head, first: whole };
  }

  #locateEncoded(item: BinaryItem | BinarySizeItem): EncodedPart | undefined {
    if (isWholeMessage(item)) return wholeMessage(this.#message.size);
    const part = this.#structure && locateEncoded(this.#structure, item.part);
    if (part === 'unknown-encoding') throw new Error('was to be refused: see cannotDecode');
    return part;
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
    if (this.#whole !== undefined) return this.#whole.subarray(start, end);
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
