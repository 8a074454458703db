/**
 * Octets in a charset by its MIME name (RFC 2045 §6, RFC 2047 §2) to text. What browsers know is decoded as they
 * do; iconv-lite knows what mail has besides: UTF-7, UTF-32, UTF-16 by its mark, the code pages of DOS.
 */
import iconv from 'iconv-lite';
import { asBuffer } from './headers.ts';

/** Names of iconv-lite's that are no charsets. */
const NO_CHARSET = /^(?:base64|binary|hex|internal|utf-?7-?imap)/i;
/** RFC 2781 §4.3: big-endian unless a mark says otherwise. Browsers take it for little-endian. */
const BY_ITS_MARK = /^utf-?16$/i;

/** A decoder of whole texts; undefined for a charset that is unknown. None throws. */
export function findCharset(charset: string): ((octets: Uint8Array) => string) | undefined {
  const name = charset.trim();
  if (!BY_ITS_MARK.test(name)) {
    try {
      const decoder = new TextDecoder(name);
      return (octets) => decoder.decode(octets);
    } catch {
      // RangeError: unknown there
    }
  }
  if (NO_CHARSET.test(name) || !iconv.encodingExists(name)) return undefined;
  return (octets) => iconv.decode(asBuffer(octets), name, { defaultEncoding: 'utf16be' });
}

/** Undefined for a charset that is unknown. */
export function decodeCharset(octets: Uint8Array, charset: string): string | undefined {
  return findCharset(charset)?.(octets);
}
