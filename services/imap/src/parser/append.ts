/**
 * APPEND mailbox 1*([flags] [date-time] data) (RFC 3501 §6.3.11, RFC 3502, RFC 9051 §9: append-data), and
 * REPLACE, which has one message (RFC 8508 §5).
 */
import { ImapSyntaxError } from '../errors.ts';
import { parseDateTime } from './date.ts';
import { parseFlagList } from './flags.ts';
import type { Lexer } from './lexer.ts';
import { MAX_LITERALS } from './limits.ts';
import { parseOneMailbox } from './mailbox.ts';
import { parseSetNumber, type SequenceSet } from './sequence-set.ts';

export interface AppendedText {
  readonly flags: readonly string[];
  readonly internalDate: Date | undefined;
  /** In pieces, as they are to be stored. */
  readonly octets: readonly Buffer[];
}

export interface AppendArguments {
  readonly mailbox: string;
  /** At least one. */
  readonly messages: readonly AppendedText[];
}

function parseMessage(lexer: Lexer): AppendedText {
  lexer.space();
  let flags: string[] = [];
  if (lexer.peek() === '(') {
    flags = parseFlagList(lexer);
    lexer.space();
  }
  let internalDate: Date | undefined;
  if (lexer.peek() === '"') {
    internalDate = parseDateTime(lexer);
    lexer.space();
  }
  return { flags, internalDate, octets: parseData(lexer) };
}

/** literal, literal8, or the latter within "UTF8 (...)", as RFC 6855 §4 had it once UTF8=ACCEPT is enabled. */
function parseData(lexer: Lexer): readonly Buffer[] {
  if (lexer.utf8 && lexer.accept('UTF8 (')) {
    const octets = lexer.literal8Pieces();
    lexer.expect(')');
    return octets;
  }
  return lexer.peek() === '~' ? lexer.literal8Pieces() : lexer.literalPieces();
}

export function parseAppend(lexer: Lexer): AppendArguments {
  const mailbox = parseOneMailbox(lexer);
  const messages = [parseMessage(lexer)];
  while (lexer.peek() === ' ') {
    if (messages.length === MAX_LITERALS)
      throw new ImapSyntaxError('too-many', 'Too many messages');
    messages.push(parseMessage(lexer));
  }
  return { mailbox, messages };
}

export interface ReplaceArguments {
  /** One number. */
  readonly replaced: SequenceSet;
  readonly mailbox: string;
  readonly message: AppendedText;
}

export function parseReplace(lexer: Lexer): ReplaceArguments {
  lexer.space();
  const number = parseSetNumber(lexer.setText());
  const mailbox = parseOneMailbox(lexer);
  return { replaced: [{ from: number, to: number }], mailbox, message: parseMessage(lexer) };
}
