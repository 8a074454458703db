/**
 * A part of a message without its transfer encoding (RFC 9051 §6.4.5.1, BINARY), decoded as it is read:
 * whatever its size, a chunk of the store's is held.
 */
import {
  createTransferDecoder,
  findPart,
  type MessagePart,
  type MessageStructure,
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

/** All of it, as it decodes; pieces may be empty. Rejects as MessageOctets.read. */
async function* decode(
  { start, end, encoding, mendsLineEnds }: EncodedPart,
  octets: MessageOctets,
  turns: Turns,
): AsyncGenerator<Buffer> {
  const decoder = createTransferDecoder(encoding);
  if (decoder === undefined) throw new Error(`${encoding} was said to be known`);
  const lineEnds = mendsLineEnds ? new LineEnds() : undefined;
  const mend = (piece: Buffer): Buffer => lineEnds?.mend(piece) ?? piece;
  for (let at = start; at < end; ) {
    const next = Math.min(at - (at % CHUNK_BYTES) + CHUNK_BYTES, end);
    yield mend(decoder.decode(await octets.read(at, next)));
    await turns.spend(next - at);
    at = next;
  }
  yield mend(decoder.end());
}

/** What `partial` asks of the decoded part. Rejects as MessageOctets.read. */
export async function* readDecoded(
  part: EncodedPart,
  partial: Partial | undefined,
  octets: MessageOctets,
  turns: Turns,
): AsyncGenerator<Buffer> {
  let skip = partial?.offset ?? 0;
  let left = partial?.count ?? Number.POSITIVE_INFINITY;
  for await (const piece of decode(part, octets, turns)) {
    const wanted = piece.subarray(skip, skip + left);
    skip -= Math.min(skip, piece.length);
    left -= wanted.length;
    if (wanted.length > 0) yield wanted;
    if (left === 0) return;
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
