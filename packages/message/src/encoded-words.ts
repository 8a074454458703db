/** RFC 2047 words in header texts, decoded for people and for SEARCH. */
import { decodeCharset, findCharset } from './charsets.ts';
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
    if (findCharset(charset) === undefined) {
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

/** §4.2: quoted-printable with "_" for a blank. */
function decodeQ(content: string): Buffer {
  return decodeQuotedPrintable(Buffer.from(content.replaceAll('_', ' '), 'latin1'));
}
