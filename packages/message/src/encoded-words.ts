/** RFC 2047 words in header texts, decoded for people and for SEARCH. Charsets are TextDecoder's. */
import { decodeQuotedPrintable } from './transfer-encoding.ts';

/** A word, and the blank behind it where another word may follow. */
const WORDS = /=\?([^?\s]{1,60})\?([bqBQ])\?([!->@-~]{0,2000})\?=(?:[ \t]+(?==\?))?/g;

/** Replaces every encoded word that can be decoded; adjacent ones join without the blank (§6.2). */
export function decodeWords(text: string): string {
  if (!text.includes('=?')) return text;
  let pending: { charset: string; octets: Buffer[] } | undefined;
  let output = '';
  let at = 0;
  const flush = () => {
    // octets of one character may be split over words, though they may not (§5)
    if (pending) output += decodeCharset(Buffer.concat(pending.octets), pending.charset) ?? '';
    pending = undefined;
  };
  for (const match of text.matchAll(WORDS)) {
    const [whole, language = '', encoding = '', content = ''] = match;
    const charset = (language.split('*')[0] ?? '').toLowerCase();
    if (match.index > at) flush();
    output += text.slice(at, match.index);
    at = match.index + whole.length;
    if (!isKnownCharset(charset)) {
      flush();
      output += whole;
      continue;
    }
    if (pending && pending.charset !== charset) flush();
    pending ??= { charset, octets: [] };
    pending.octets.push(/^b$/i.test(encoding) ? Buffer.from(content, 'base64') : decodeQ(content));
  }
  flush();
  return output + text.slice(at);
}

/** Text of octets in a charset by its MIME name; undefined for one that is unknown. */
export function decodeCharset(octets: Uint8Array, charset: string): string | undefined {
  try {
    return new TextDecoder(charset).decode(octets);
  } catch {
    return undefined;
  }
}

function isKnownCharset(charset: string): boolean {
  return decodeCharset(new Uint8Array(), charset) !== undefined;
}

/** §4.2: quoted-printable with "_" for a blank. */
function decodeQ(content: string): Buffer {
  return decodeQuotedPrintable(Buffer.from(content.replaceAll('_', ' '), 'latin1'));
}
