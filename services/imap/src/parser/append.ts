/** APPEND mailbox [flags] [date-time] literal (RFC 3501 §6.3.11). */
import { parseDateTime } from './date.ts';
import { parseFlagList } from './flags.ts';
import type { Lexer } from './lexer.ts';
import { parseOneMailbox } from './mailbox.ts';

export interface AppendArguments {
  readonly mailbox: string;
  readonly flags: readonly string[];
  readonly internalDate: Date | undefined;
  /** In pieces. */
  readonly message: readonly Buffer[];
}

export function parseAppend(lexer: Lexer): AppendArguments {
  const mailbox = parseOneMailbox(lexer);
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
  return { mailbox, flags, internalDate, message: lexer.literalPieces() };
}
