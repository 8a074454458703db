/**
 * Finds what a section names: `1.2`, `3.HEADER`, `3.1.MIME` (RFC 9051 §6.4.5.1). Octets are then
 * [headerStart, bodyStart) for HEADER and MIME, [bodyStart, bodyEnd) for TEXT and for the part itself.
 */
import type { MessagePart, MessageStructure } from './structure.ts';

/**
 * The part with this number, for `BODY[1.2]` and `BODY[1.2.MIME]`; an empty path is the message itself.
 * Undefined where there is no such part. The one part of a message that is no multipart is part 1.
 */
export function findPart(
  structure: MessageStructure,
  path: readonly number[],
): MessagePart | undefined {
  let part = structure.root;
  /** Whether `part` is a whole message, whose number 1 is itself unless it is a multipart. */
  let isMessage = true;
  for (const number of path) {
    if (part.kind === 'message' && !isMessage) {
      part = part.content;
      isMessage = true;
    }
    if (part.kind === 'multipart') {
      const child = part.children[number - 1];
      if (!child) return undefined;
      part = child;
    } else if (!isMessage || number !== 1) {
      return undefined;
    }
    isMessage = false;
  }
  return part;
}

/**
 * The message for `HEADER` and `TEXT`: the whole one for an empty path, else the one embedded in the
 * message/rfc822 part with this number. Undefined where that part is none.
 */
export function findMessage(
  structure: MessageStructure,
  path: readonly number[],
): MessagePart | undefined {
  if (path.length === 0) return structure.root;
  const part = findPart(structure, path);
  return part?.kind === 'message' ? part.content : undefined;
}
