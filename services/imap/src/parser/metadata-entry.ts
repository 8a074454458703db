/** Names of annotations (RFC 5464 §3.2): those that break its rules are BAD in any command. */
import { ImapSyntaxError } from '../errors.ts';
import type { Lexer } from './lexer.ts';
import { MAX_ENTRY_OCTETS } from './limits.ts';

/** Components of printable ASCII without wildcards, the first of which says whose the value is. */
const ENTRY = /^\/(?:private|shared)(?:\/[ -$&-)+-.0-~]+)*$/;
/** "/private/vendor/TOKEN" has something below it, and so has "/private". */
const PREFIX_ONLY = /^\/[^/]+(?:\/vendor(?:\/[^/]+)?)?$/;

/** In lower case: names have none. May be one that only others are below. */
export function parseEntry(lexer: Lexer): string {
  const entry = lexer.astring();
  if (entry.length > MAX_ENTRY_OCTETS) throw new ImapSyntaxError('too-long', 'Entry name too long');
  const name = entry.toLowerCase();
  return ENTRY.test(name) ? name : lexer.fail('Bad entry name');
}

/** The name of an entry that can have a value. */
export function parseValuedEntry(lexer: Lexer): string {
  const name = parseEntry(lexer);
  return PREFIX_ONLY.test(name) ? lexer.fail('An entry name has more components') : name;
}

/** entries: one, or a list. */
export function parseEntries(lexer: Lexer): string[] {
  return lexer.peek() === '(' ? lexer.filledList(() => parseEntry(lexer)) : [parseEntry(lexer)];
}
