/** Flags as arguments (RFC 3501 §2.3.2, §9: flag, flag-list). */
import type { FlagChange } from '@mail/store';
import type { Lexer } from './lexer.ts';
import { type MessageSet, parseMessageSet } from './sequence-set.ts';

export const SYSTEM_FLAGS = ['\\Answered', '\\Flagged', '\\Deleted', '\\Seen', '\\Draft'] as const;

/**
 * One flag in its usual spelling. `\Recent` gives undefined: no client can alter it (RFC 3501 §2.3.2),
 * and some send back what they were told.
 */
function parseFlag(lexer: Lexer): string | undefined {
  const flag = lexer.flag();
  if (!flag.startsWith('\\')) return flag;
  const lower = flag.toLowerCase();
  if (lower === '\\recent') return undefined;
  return (
    SYSTEM_FLAGS.find((known) => known.toLowerCase() === lower) ?? lexer.fail('Unknown system flag')
  );
}

function settable(flags: readonly (string | undefined)[]): string[] {
  return [...new Set(flags.filter((flag) => flag !== undefined))];
}

/** "(" flags ")"; may be empty. */
export function parseFlagList(lexer: Lexer): string[] {
  return settable(lexer.list(() => parseFlag(lexer)));
}

export interface StoreArguments {
  readonly set: MessageSet;
  /** Messages that have changed since are left alone (RFC 7162 §3.1.3). */
  readonly unchangedSince: number | undefined;
  readonly change: FlagChange;
  readonly silent: boolean;
  readonly flags: readonly string[];
}

/** Of STORE and UID STORE (RFC 3501 §6.4.6). */
export function parseStore(lexer: Lexer): StoreArguments {
  lexer.space();
  const set = parseMessageSet(lexer);
  lexer.space();
  let unchangedSince: number | undefined;
  if (lexer.accept('(UNCHANGEDSINCE ')) {
    unchangedSince = lexer.number64();
    lexer.expect(') ');
  }
  const change = lexer.accept('+') ? 'add' : lexer.accept('-') ? 'remove' : 'replace';
  lexer.expect('FLAGS');
  const silent = lexer.accept('.SILENT');
  lexer.space();
  if (lexer.peek() === '(')
    return { set, unchangedSince, change, silent, flags: parseFlagList(lexer) };
  const flags = [parseFlag(lexer)];
  while (lexer.accept(' ')) flags.push(parseFlag(lexer));
  return { set, unchangedSince, change, silent, flags: settable(flags) };
}
