/** Mailbox names as IMAP4rev1 writes them (RFC 3501 §5.1.3). Pure. */
import { decodeModifiedUtf7, encodeModifiedUtf7 } from '@mail/store';
import { ImapSyntaxError } from './errors.ts';

/** Unicode to its wire form, which is ASCII. */
export const encodeMailboxName = encodeModifiedUtf7;

/** The wire form to Unicode. Throws ImapSyntaxError for what encodeMailboxName would not have written. */
export function decodeMailboxName(wire: string): string {
  const name = decodeModifiedUtf7(wire);
  if (name === undefined) {
    throw new ImapSyntaxError('malformed', 'Mailbox name is not modified UTF-7');
  }
  return name;
}
