/** Mailbox names as arguments (RFC 3501 §9: mailbox, list-mailbox). */
import { isUtf8 } from 'node:buffer';
import { ImapSyntaxError } from '../errors.ts';
import { decodeMailboxName } from '../utf7.ts';
import type { Lexer } from './lexer.ts';
import { MAX_MAILBOX_OCTETS, MAX_PATTERNS, MAX_PATTERNS_OCTETS } from './limits.ts';
import { parseEntries } from './metadata-entry.ts';

/** The separator of levels in names. */
export const DELIMITER = '/';

function decode(lexer: Lexer, wire: string): string {
  if (wire.length > MAX_MAILBOX_OCTETS) {
    throw new ImapSyntaxError('too-long', 'Mailbox name too long');
  }
  if (!lexer.utf8) return decodeMailboxName(wire);
  const octets = Buffer.from(wire, 'latin1');
  return isUtf8(octets) ? octets.toString('utf8') : lexer.fail('Mailbox name is not UTF-8');
}

/** A mailbox name in Unicode, as it was said: its one spelling is the store's affair (RFC 3501 §5.1). */
export function parseMailbox(lexer: Lexer): string {
  return decode(lexer, lexer.astring());
}

/** The same behind a space. */
export function parseOneMailbox(lexer: Lexer): string {
  lexer.space();
  return parseMailbox(lexer);
}

export interface RenameArguments {
  readonly from: string;
  readonly to: string;
}

export function parseRename(lexer: Lexer): RenameArguments {
  const from = parseOneMailbox(lexer);
  return { from, to: parseOneMailbox(lexer) };
}

export interface CreateArguments {
  readonly mailbox: string;
  /** As they were written: "\\Sent" (RFC 6154 §3). */
  readonly uses: readonly string[];
}

/** CREATE mailbox [(USE (uses))] (RFC 3501 §6.3.3, RFC 6154 §5.3). */
export function parseCreate(lexer: Lexer): CreateArguments {
  const mailbox = parseOneMailbox(lexer);
  if (!lexer.accept(' ')) return { mailbox, uses: [] };
  lexer.expect('(USE ');
  const uses = lexer.list(() => lexer.flag());
  lexer.expect(')');
  return { mailbox, uses };
}

export interface LsubArguments {
  readonly reference: string;
  /** With "*" and "%" as wildcards. */
  readonly pattern: string;
}

/** RFC 3501 §6.3.9. */
export function parseLsub(lexer: Lexer): LsubArguments {
  lexer.space();
  const reference = decode(lexer, lexer.astring());
  lexer.space();
  return { reference, pattern: decode(lexer, lexer.listMailbox()) };
}

const SELECTIONS = ['SUBSCRIBED', 'REMOTE', 'RECURSIVEMATCH', 'SPECIAL-USE'] as const;
export type ListSelection = (typeof SELECTIONS)[number];

const RETURNS = ['SUBSCRIBED', 'CHILDREN', 'SPECIAL-USE', 'MYRIGHTS'] as const;
export type ListReturn = (typeof RETURNS)[number];

export interface ListArguments {
  readonly reference: string;
  /** With "*" and "%" as wildcards. */
  readonly patterns: readonly string[];
  /** Which names; empty for all. */
  readonly select: readonly ListSelection[];
  /** What of them. */
  readonly returns: readonly ListReturn[];
  /** Items that STATUS would give of each; empty for none (RFC 5819). */
  readonly status: readonly StatusItem[];
  /** Annotations of each; empty for none (RFC 9590). */
  readonly metadata: readonly string[];
  /** Whether it was written as RFC 5258 has it, rather than RFC 3501. */
  readonly extended: boolean;
}

/** One of `words`, and nothing else. */
function oneOf<Word extends string>(lexer: Lexer, words: readonly Word[]): Word | undefined {
  const found = lexer.word();
  return words.find((word) => word === found);
}

function parseSelection(lexer: Lexer): ListSelection[] {
  const select = lexer.list(
    () => oneOf(lexer, SELECTIONS) ?? lexer.fail('Unknown LIST selection option'),
  );
  // RFC 5258 §3: RECURSIVEMATCH widens what another option selects
  if (
    select.includes('RECURSIVEMATCH') &&
    !select.some((option) => option === 'SUBSCRIBED' || option === 'SPECIAL-USE')
  ) {
    lexer.fail('RECURSIVEMATCH needs another selection option');
  }
  return select;
}

/** "(" patterns ")" (RFC 5258 §6). */
function parsePatterns(lexer: Lexer): string[] {
  let octets = 0;
  const patterns = lexer.filledList(() => {
    const wire = lexer.listMailbox();
    octets += wire.length;
    return decode(lexer, wire);
  });
  if (patterns.length > MAX_PATTERNS || octets > MAX_PATTERNS_OCTETS) {
    throw new ImapSyntaxError('too-many', 'Too many patterns');
  }
  return patterns;
}

/** LIST [selection] reference pattern(s) [RETURN (...)] (RFC 3501 §6.3.8, RFC 5258 §6). */
export function parseList(lexer: Lexer): ListArguments {
  lexer.space();
  let select: ListSelection[] | undefined;
  if (lexer.peek() === '(') {
    select = parseSelection(lexer);
    lexer.space();
  }
  const reference = decode(lexer, lexer.astring());
  lexer.space();
  const several = lexer.peek() === '(';
  const patterns = several ? parsePatterns(lexer) : [decode(lexer, lexer.listMailbox())];
  const returns: ListReturn[] = [];
  let status: readonly StatusItem[] = [];
  let metadata: readonly string[] = [];
  const returning = lexer.accept(' ');
  if (returning) {
    lexer.expect('RETURN ');
    lexer.list(() => {
      const word = lexer.word();
      const known = RETURNS.find((option) => option === word);
      if (known !== undefined) return returns.push(known);
      if (word !== 'STATUS' && word !== 'METADATA') {
        return lexer.fail('Unknown LIST return option');
      }
      lexer.space();
      if (word === 'STATUS') status = parseStatusItems(lexer);
      else metadata = parseEntries(lexer);
      return undefined;
    });
  }
  const extended = select !== undefined || several || returning;
  return { reference, patterns, select: select ?? [], returns, status, metadata, extended };
}

export const STATUS_ITEMS = [
  'MESSAGES',
  'RECENT',
  'UIDNEXT',
  'UIDVALIDITY',
  'UNSEEN',
  'DELETED',
  'DELETED-STORAGE',
  'SIZE',
  'MAILBOXID',
  'HIGHESTMODSEQ',
  'APPENDLIMIT',
] as const;
export type StatusItem = (typeof STATUS_ITEMS)[number];

/** Each once: some cost a look into the store. */
function parseStatusItems(lexer: Lexer): StatusItem[] {
  const items = lexer.filledList(
    () => oneOf(lexer, STATUS_ITEMS) ?? lexer.fail('Unknown status item'),
  );
  return [...new Set(items)];
}

export interface StatusArguments {
  readonly mailbox: string;
  readonly items: readonly StatusItem[];
}

/** RFC 3501 §6.3.10, RFC 8438, RFC 8474 §4.3, RFC 9208 §4.1.4. */
export function parseStatus(lexer: Lexer): StatusArguments {
  const mailbox = parseOneMailbox(lexer);
  lexer.space();
  return { mailbox, items: parseStatusItems(lexer) };
}
