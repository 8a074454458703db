/** SETACL, DELETEACL, LISTRIGHTS (RFC 4314 §7); GETACL and MYRIGHTS have a mailbox alone. */
import type { FlagChange } from '@mail/store';
import { expandRights } from '../access/rights.ts';
import type { Lexer } from './lexer.ts';
import { parseOneMailbox } from './mailbox.ts';

export interface IdentifierArguments {
  readonly mailbox: string;
  /** As it was written. */
  readonly identifier: string;
}

export interface SetAclArguments extends IdentifierArguments {
  readonly change: FlagChange;
  /** Without those of RFC 2086, which stand for others. */
  readonly rights: string;
}

const LETTERS = /^[lrswipkxteacd]*$/;

export function parseIdentified(lexer: Lexer): IdentifierArguments {
  const mailbox = parseOneMailbox(lexer);
  lexer.space();
  const identifier = Buffer.from(lexer.astring(), 'latin1').toString('utf8');
  return identifier === '' ? lexer.fail('Empty identifier') : { mailbox, identifier };
}

function parseRights(lexer: Lexer): Pick<SetAclArguments, 'change' | 'rights'> {
  const written = lexer.astring();
  const [sign] = written;
  const change = sign === '+' ? 'add' : sign === '-' ? 'remove' : 'replace';
  const letters = change === 'replace' ? written : written.slice(1);
  // RFC 4314 §2, §3.1
  if (/[A-Z]/.test(letters)) lexer.fail('Uppercase rights are not allowed');
  if (!LETTERS.test(letters)) lexer.fail('There is no such right');
  return { change, rights: expandRights(letters) };
}

export function parseSetAcl(lexer: Lexer): SetAclArguments {
  const identified = parseIdentified(lexer);
  lexer.space();
  return { ...identified, ...parseRights(lexer) };
}
