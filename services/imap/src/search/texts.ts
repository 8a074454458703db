/**
 * Which of the texts that a SEARCH looks for a message has (RFC 3501 §6.4.4: BODY, TEXT). The message is
 * read and decoded once, a piece at a time, and others have their turn between pieces and texts.
 */
import { type MessageStructure, pieceText, searchedPieces } from '@mail/message';
import type { Turns } from '../turns.ts';

/** Texts in lower case; the empty one is everywhere. */
export interface FoundTexts {
  readonly header: ReadonlySet<string>;
  readonly text: ReadonlySet<string>;
}

/** Octets of a message from `start` up to `end`. */
export type ReadOctets = (start: number, end: number) => Promise<Buffer>;

/** `wanted` in lower case; `turns` in octets. Rejects as `read` does. */
export async function findTexts(
  structure: MessageStructure,
  wanted: ReadonlySet<string>,
  read: ReadOctets,
  turns: Turns,
): Promise<FoundTexts> {
  const found = { header: new Set(['']), text: new Set(['']) };
  for (const piece of searchedPieces(structure)) {
    const foundHere = found[piece.kind];
    const missing = [...wanted].filter((value) => !foundHere.has(value));
    if (missing.length === 0) continue;
    const octets = await read(piece.start, piece.end);
    // in any case, as i;unicode-casemap has it (RFC 5051)
    const text = pieceText(octets, piece).toLowerCase();
    await turns.spend(octets.length);
    for (const value of missing) {
      if (text.includes(value)) foundHere.add(value);
      await turns.spend(text.length);
    }
  }
  return found;
}
