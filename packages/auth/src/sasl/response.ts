/** The base64 that IMAP, POP3 and SMTP wrap SASL responses in (RFC 4422, 4648 §4). */
import { AuthError } from '../errors.ts';

/** What RFC 5034 §4 and RFC 4954 §4 want to be taken: tokens with many claims are that long. */
export const MAX_RESPONSE_CHARACTERS = 12_288;

/**
 * Decodes one response. "=" is an empty initial response (RFC 4954 §4, 5034 §4, 4959 §3). Throws
 * AuthError: cancelled for "*", malformed-response for what is no base64.
 */
export function decodeResponse(text: string): Buffer {
  if (text === '*') throw new AuthError('cancelled', 'the client gave up authenticating');
  if (text === '=') return Buffer.alloc(0);
  if (
    text.length > MAX_RESPONSE_CHARACTERS ||
    text.length % 4 !== 0 ||
    !/^[A-Za-z0-9+/]*={0,2}$/.test(text)
  ) {
    throw new AuthError('malformed-response', 'the response is no base64');
  }
  return Buffer.from(text, 'base64');
}
