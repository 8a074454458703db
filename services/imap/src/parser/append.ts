/**
 * APPEND mailbox 1*([flags] [date-time] literal) (RFC 3501 §6.3.11, RFC 3502), and REPLACE, which has one
 * message (RFC 8508 §5).
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
  /** In pieces. */
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
  return { flags, internalDate, octets: lexer.literalPieces() };
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
