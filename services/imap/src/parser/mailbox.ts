/** Mailbox names as arguments (RFC 3501 §9: mailbox, list-mailbox). */
import { ImapSyntaxError } from '../errors.ts';
import { decodeMailboxName } from '../utf7.ts';
import type { Lexer } from './lexer.ts';
import { MAX_MAILBOX_OCTETS } from './limits.ts';

/** The separator of levels in names. */
export const DELIMITER = '/';

function decode(wire: string): string {
  if (wire.length > MAX_MAILBOX_OCTETS) {
    throw new ImapSyntaxError('too-long', 'Mailbox name too long');
  }
  return decodeMailboxName(wire);
}

/** A mailbox name in Unicode, as it was said: its one spelling is the store's affair (RFC 3501 §5.1). */
export function parseOneMailbox(lexer: Lexer): string {
  lexer.space();
  return decode(lexer.astring());
}

export interface RenameArguments {
  readonly from: string;
  readonly to: string;
}

export function parseRename(lexer: Lexer): RenameArguments {
  const from = parseOneMailbox(lexer);
  return { from, to: parseOneMailbox(lexer) };
}

export interface ListArguments {
  readonly reference: string;
  /** With "*" and "%" as wildcards. */
  readonly pattern: string;
}

/** Of LIST and LSUB (RFC 3501 §6.3.8). */
export function parseList(lexer: Lexer): ListArguments {
  lexer.space();
  const reference = decode(lexer.astring());
  lexer.space();
  return { reference, pattern: decode(lexer.listMailbox()) };
}

export const STATUS_ITEMS = ['MESSAGES', 'RECENT', 'UIDNEXT', 'UIDVALIDITY', 'UNSEEN'] as const;
export type StatusItem = (typeof STATUS_ITEMS)[number];

export interface StatusArguments {
  readonly mailbox: string;
  readonly items: readonly StatusItem[];
}

/** RFC 3501 §6.3.10. */
export function parseStatus(lexer: Lexer): StatusArguments {
  const mailbox = parseOneMailbox(lexer);
  lexer.space();
  const items = lexer.filledList((): StatusItem => {
    const word = lexer.word();
    return STATUS_ITEMS.find((item) => item === word) ?? lexer.fail('Unknown status item');
  });
  return { mailbox, items };
}
