/**
 * Messages that came as literal8 (RFC 3516 §4.4, RFC 9051 §4.3.1), as the store takes them: without NUL, with CRLF
 * line ends. Parts that are binary go into base64, of which FETCH BINARY gives back the same octets.
 */
import { BASE64_PIECE_OCTETS, encodeBase64Lines, encodeBinaryParts } from '@mail/message';
import { refuse } from './errors.ts';
import { LineEnds } from './line-ends.ts';
import { Turns } from './turns.ts';

/** Octets that are gone through before other sessions have their turn. */
const TURN_OCTETS = 1024 * 1024;

/** Whether the pieces of a message can be stored as they are. */
export function isStorable(pieces: readonly Buffer[]): boolean {
  const lineEnds = new LineEnds();
  return pieces.every((piece) => !piece.includes(0) && lineEnds.mend(piece) === piece);
}

/** The message to be stored. Throws ReplyError (UNKNOWN-CTE) where NUL has to stay, and in what is signed. */
export async function* encodeBinary(raw: Buffer): AsyncGenerator<Buffer, void, void> {
  const changes = encodeBinaryParts(raw);
  if (changes === undefined) {
    throw refuse('UNKNOWN-CTE', 'Binary content that may not be given another encoding');
  }
  const lineEnds = new LineEnds();
  const turns = new Turns(TURN_OCTETS);
  let at = 0;
  for (const { start, end, text } of changes) {
    yield lineEnds.mend(withoutNul(raw.subarray(at, start)));
    if (text === undefined) yield* inBase64(raw.subarray(start, end), turns);
    else yield Buffer.from(text);
    at = end;
  }
  yield lineEnds.mend(withoutNul(raw.subarray(at)));
}

function withoutNul(octets: Buffer): Buffer {
  if (!octets.includes(0)) return octets;
  throw refuse('UNKNOWN-CTE', 'NUL outside of parts whose encoding is binary');
}

async function* inBase64(octets: Buffer, turns: Turns): AsyncGenerator<Buffer, void, void> {
  for (let start = 0; start < octets.length; start += BASE64_PIECE_OCTETS) {
    const piece = octets.subarray(start, start + BASE64_PIECE_OCTETS);
    await turns.spend(piece.length);
    yield encodeBase64Lines(piece);
  }
}
