/** The base subject (RFC 5256 §2.1): what is left of a subject without "Re:", "[list]", "(fwd)" and the like. */
import { decodeWords } from './encoded-words.ts';

export interface BaseSubject {
  readonly text: string;
  /** Whether the subject says that the message answers or forwards another (RFC 5256 §3). */
  readonly isReply: boolean;
}

// WSP is one blank, once all others have become one
/** (*subj-blob subj-refwd) */
const LEADER = /(?:\[[^[\]]*\] ?)*(?:re|fwd?) ?(?:\[[^[\]]*\] ?)?:/iy;
/** subj-blob */
const BLOB = /\[[^[\]]*\] ?/y;
/** subj-trailer, blanks aside */
const FWD_TRAILER = '(fwd)';
/** subj-fwd-hdr */
const FWD_HEADER = '[fwd:';

/** `subject` as an envelope has it. Takes linear time. */
export function baseSubject(subject: string | null): BaseSubject {
  // (1)
  const text = decodeWords(subject ?? '').replace(/[ \t\r\n]+/g, ' ');
  let start = 0;
  let end = text.length;
  let isReply = false;
  const isAt = (at: number, word: string) => {
    return text.slice(at, at + word.length).toLowerCase() === word;
  };
  /** Where what `pattern` finds at `start` ends; undefined for nothing. */
  const endOf = (pattern: RegExp): number | undefined => {
    pattern.lastIndex = start;
    return pattern.test(text) && pattern.lastIndex <= end ? pattern.lastIndex : undefined;
  };

  for (;;) {
    // (2)
    for (;;) {
      const trailer = end - FWD_TRAILER.length;
      if (end > start && text[end - 1] === ' ') end -= 1;
      else if (trailer >= start && isAt(trailer, FWD_TRAILER)) {
        end = trailer;
        isReply = true;
      } else break;
    }
    // (3)
    for (;;) {
      if (start < end && text[start] === ' ') start += 1;
      const leader = endOf(LEADER);
      if (leader === undefined) break;
      start = leader;
      isReply = true;
    }
    // (4), (5): where no leader follows all of these blobs, none follows some of them
    for (let blob = endOf(BLOB); blob !== undefined && blob < end; blob = endOf(BLOB)) start = blob;
    // (6)
    if (!isAt(start, FWD_HEADER) || text[end - 1] !== ']') break;
    if (start + FWD_HEADER.length >= end) break;
    start += FWD_HEADER.length;
    end -= 1;
    isReply = true;
  }
  return { text: text.slice(start, end), isReply };
}
