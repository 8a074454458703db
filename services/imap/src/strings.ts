/**
 * How strings and mailbox names are written: to clients of IMAP4rev1 in ASCII (RFC 3501 §4.3, §5.1.3), to
 * those that have enabled it in UTF-8 (RFC 9051 §4.3, §5.1; RFC 9755 §3). Pure.
 */
import { ImapStrings } from '@mail/message';
import { encodeMailboxName } from './utf7.ts';

const ATOM_ONLY = /^[!#$&'+,\-./0-9:;<=>?@A-Z[^_`a-z|}~]+$/;

/** One of the two ways; texts are Unicode. */
export class StringEncoder extends ImapStrings {
  /** astring: bare where it can be. */
  astring(text: string): string {
    return ATOM_ONLY.test(text) && text.toUpperCase() !== 'NIL' ? text : this.string(text);
  }

  mailbox(name: string): string {
    return this.astring(this.utf8 ? name : encodeMailboxName(name));
  }
}

export const ASCII_STRINGS = new StringEncoder(false);
export const UTF8_STRINGS = new StringEncoder(true);

/** string to any client: 8-bit text is a literal (RFC 3501 §4.3). */
export function encodeString(text: string): string {
  return ASCII_STRINGS.string(text);
}
