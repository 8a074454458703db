/**
 * A part of a message without its transfer encoding (RFC 9051 §6.4.5.1, BINARY), decoded as it is read:
 * whatever its size, a chunk of the store's is held.
 */
import {
  createTransferDecoder,
  findPart,
  type MessagePart,
  type MessageStructure,
  type TransferDecoder,
} from '@mail/message';
import { CHUNK_BYTES } from '@mail/store';
import { LineEnds } from './line-ends.ts';
import type { MessageOctets } from './message-octets.ts';
import type { Partial } from './parser/fetch.ts';
import type { OctetRange } from './section.ts';
import type { Turns } from './turns.ts';

/** Where a part lies, and how it is decoded. */
export interface EncodedPart extends OctetRange {
  /** One that is known. */
  readonly encoding: string;
  /** Whether line ends are made CRLF, as those of text are (RFC 9051 §7.5.2). */
  readonly mendsLineEnds: boolean;
}

/** Charsets in which the octet of LF need not be one. */
const WIDE_CHARSET = /^(utf-?(16|32)|ucs|iso-10646)/i;

function isOctetText({ type, parameters }: MessagePart): boolean {
  const charset = parameters.find(([name]) => name === 'charset')?.[1] ?? '';
  return type === 'text' && !WIDE_CHARSET.test(charset);
}

/**
 * The part with that number; the message itself, and a multipart, are as they are (RFC 2045 §6.4). Undefined
 * where there is no such part, 'unknown-encoding' where nobody here can decode it.
 */
export function locateEncoded(
  structure: MessageStructure,
  path: readonly number[],
): EncodedPart | 'unknown-encoding' | undefined {
  if (path.length === 0) return wholeMessage(structure.size);
  const part = findPart(structure, path);
  if (part === undefined) return undefined;
  const range = { start: part.bodyStart, end: part.bodyEnd };
  if (part.kind === 'multipart') return { ...range, encoding: 'binary', mendsLineEnds: false };
  const { encoding } = part;
  if (createTransferDecoder(encoding) === undefined) return 'unknown-encoding';
  return { ...range, encoding, mendsLineEnds: isOctetText(part) };
}

export function wholeMessage(size: number): EncodedPart {
  return { start: 0, end: size, encoding: 'binary', mendsLineEnds: false };
}

/** How far into a part one has come: `octets` lie decoded before `at` in the message. Never changed. */
interface Place {
  readonly at: number;
  readonly octets: number;
  readonly decoder: TransferDecoder;
  readonly lineEnds: LineEnds | undefined;
}

/** Where to go on in a part. */
export class DecodedPlaces {
  /** In front of what was asked last. */
  #before: Place | undefined;
  /** As far as was read. */
  #last: Place | undefined;

  note(place: Place, offset: number): void {
    this.#last = place;
    if (place.octets <= offset) this.#before = place;
  }

  /** The nearest that is known in front of `offset`, in decoded octets. */
  nearest(offset: number): Place | undefined {
    return [this.#last, this.#before].find((place) => place && place.octets <= offset);
  }
}

/**
 * The places of the part that was read last, so that a client that fetches a large one in pieces, as many do,
 * has each octet of it decoded a few times and not once a piece.
 */
export class LastDecoded {
  #part = '';
  #places = new DecodedPlaces();

  /** `part` names it among all messages. */
  placesOf(part: string): DecodedPlaces {
    if (part !== this.#part) {
      this.#part = part;
      // who is still reading the one before keeps its places
      this.#places = new DecodedPlaces();
    }
    return this.#places;
  }
}

function beginning({ start, encoding, mendsLineEnds }: EncodedPart): Place {
  const decoder = createTransferDecoder(encoding);
  if (decoder === undefined) throw new Error(`${encoding} was said to be known`);
  return { at: start, octets: 0, decoder, lineEnds: mendsLineEnds ? new LineEnds() : undefined };
}

/** What lies decoded behind `place`, with where it ends; pieces may be empty. */
async function* decodeFrom(
  place: Place,
  end: number,
  octets: MessageOctets,
): AsyncGenerator<{ readonly piece: Buffer; readonly next: Place }> {
  for (let here = place; here.at < end; ) {
    const at = Math.min(here.at - (here.at % CHUNK_BYTES) + CHUNK_BYTES, end);
    const decoder = here.decoder.copy();
    const lineEnds = here.lineEnds?.copy();
    const mend = (piece: Buffer): Buffer => lineEnds?.mend(piece) ?? piece;
    const decoded = mend(decoder.decode(await octets.read(here.at, at)));
    const piece = at < end ? decoded : Buffer.concat([decoded, mend(decoder.end())]);
    here = { at, octets: here.octets + piece.length, decoder, lineEnds };
    yield { piece, next: here };
  }
}

/** What `partial` asks of a part, `places` being those of that part. Rejects as MessageOctets.read. */
export async function* readDecoded(
  part: EncodedPart,
  partial: Partial | undefined,
  octets: MessageOctets,
  turns: Turns,
  places: DecodedPlaces,
): AsyncGenerator<Buffer> {
  const offset = partial?.offset ?? 0;
  const end = partial === undefined ? Number.POSITIVE_INFINITY : offset + partial.count;
  let place = places.nearest(offset) ?? beginning(part);
  places.note(place, offset);
  for await (const { piece, next } of decodeFrom(place, part.end, octets)) {
    await turns.spend(next.at - place.at);
    const wanted = piece.subarray(Math.max(offset - place.octets, 0), end - place.octets);
    if (wanted.length > 0) yield wanted;
    if (next.octets >= end) return;
    place = next;
    places.note(place, offset);
  }
}

/** What is said of a decoded part before its octets are. */
export interface DecodedMeasure {
  readonly octets: number;
  /** Whether NUL is among them: then only a literal8 can carry them. */
  readonly holdsNul: boolean;
  /** All of them, where they are few; else they have to be decoded once more. */
  readonly whole: Buffer | undefined;
}

/** Reads `pieces` to their end; keeps up to a chunk of the store's. */
export async function measure(pieces: AsyncIterable<Buffer>): Promise<DecodedMeasure> {
  let octets = 0;
  let holdsNul = false;
  let kept: Buffer[] = [];
  for await (const piece of pieces) {
    octets += piece.length;
    holdsNul ||= piece.includes(0);
    if (octets <= CHUNK_BYTES) kept.push(piece);
    else kept = [];
  }
  const whole = octets <= CHUNK_BYTES ? Buffer.concat(kept) : undefined;
  return { octets, holdsNul, whole };
}
