/** What SEARCH asks for (RFC 3501 §6.4.4). Pure; ends in a tree that search/match.ts applies. */
import { isUtf8 } from 'node:buffer';
import { ImapSyntaxError } from '../errors.ts';
import { parseDate } from './date.ts';
import type { Lexer } from './lexer.ts';
import { MAX_SEARCH_KEYS } from './limits.ts';
import { type PartialRange, parsePartialRange } from './partial.ts';
import { type MessageSet, parseMessageSet } from './sequence-set.ts';

export type SearchKey =
  | { readonly kind: 'all' }
  | { readonly kind: 'and'; readonly keys: readonly SearchKey[] }
  | { readonly kind: 'or'; readonly left: SearchKey; readonly right: SearchKey }
  | { readonly kind: 'not'; readonly key: SearchKey }
  | { readonly kind: 'sequence'; readonly set: MessageSet }
  | { readonly kind: 'uid'; readonly set: MessageSet }
  /** A system flag, \Recent, or a keyword. */
  | { readonly kind: 'flag'; readonly flag: string }
  /** RFC 8474 §6; no message has a thread's id here. */
  | { readonly kind: 'email-id' | 'thread-id'; readonly id: string }
  /** Changed at that modification sequence or later (RFC 7162 §3.1.5). */
  | { readonly kind: 'modseq'; readonly atLeast: number }
  | { readonly kind: 'larger'; readonly octets: number }
  | { readonly kind: 'smaller'; readonly octets: number }
  | {
      readonly kind: 'date';
      readonly of: 'internal' | 'sent' | 'saved';
      readonly relation: 'before' | 'on' | 'since';
      /** Days since 1970-01-01. */
      readonly day: number;
    }
  /** Arrived less than, or at least, so many seconds ago (RFC 5032). */
  | { readonly kind: 'younger' | 'older'; readonly seconds: number }
  /** An empty `value` asks whether the field is there. */
  | { readonly kind: 'header'; readonly name: string; readonly value: string }
  | { readonly kind: 'body'; readonly value: string }
  | { readonly kind: 'text'; readonly value: string };

/** Whether a key names messages by sequence number; "$" names them by neither number. */
export function namesNumbers(key: SearchKey): boolean {
  switch (key.kind) {
    case 'and':
      return key.keys.some(namesNumbers);
    case 'or':
      return namesNumbers(key.left) || namesNumbers(key.right);
    case 'not':
      return namesNumbers(key.key);
    case 'sequence':
      return key.set !== 'saved';
    default:
      return false;
  }
}

export const RETURN_OPTIONS = ['MIN', 'MAX', 'ALL', 'COUNT', 'SAVE'] as const;
export type ReturnOption = (typeof RETURN_OPTIONS)[number];

/** What SEARCH has in common with SORT and THREAD. */
export interface SearchingArguments {
  /** What the client wants to know, in ESEARCH's way (RFC 4731); undefined for rev1's plain list. */
  readonly returns: readonly ReturnOption[] | undefined;
  /** The page of what was found that the client wants to know too. */
  readonly partial?: PartialRange;
  /** Undefined where the client names a charset that we have not. */
  readonly charset: 'US-ASCII' | 'UTF-8' | undefined;
  readonly key: SearchKey;
}

export interface SearchArguments extends SearchingArguments {
  /** Whether the client names a charset at all. */
  readonly namesCharset: boolean;
}

type KeyParser = (reader: SearchReader) => SearchKey;

const FLAG_WORDS: readonly (readonly [string, string])[] = [
  ['ANSWERED', '\\Answered'],
  ['DELETED', '\\Deleted'],
  ['DRAFT', '\\Draft'],
  ['FLAGGED', '\\Flagged'],
  ['SEEN', '\\Seen'],
];
const RECENT: SearchKey = { kind: 'flag', flag: '\\Recent' };
const UNSEEN: SearchKey = { kind: 'not', key: { kind: 'flag', flag: '\\Seen' } };

const date =
  (of: 'internal' | 'sent' | 'saved', relation: 'before' | 'on' | 'since'): KeyParser =>
  (reader) => ({ kind: 'date', of, relation, day: reader.day() });
const header =
  (name: string): KeyParser =>
  (reader) => ({ kind: 'header', name, value: reader.text() });

const KEYS: ReadonlyMap<string, KeyParser> = new Map<string, KeyParser>([
  ['ALL', () => ({ kind: 'all' })],
  ...FLAG_WORDS.flatMap(([word, flag]): [string, KeyParser][] => [
    [word, () => ({ kind: 'flag', flag })],
    [`UN${word}`, () => ({ kind: 'not', key: { kind: 'flag', flag } })],
  ]),
  ['RECENT', () => RECENT],
  ['OLD', () => ({ kind: 'not', key: RECENT })],
  ['NEW', () => ({ kind: 'and', keys: [RECENT, UNSEEN] })],
  ['KEYWORD', (reader) => ({ kind: 'flag', flag: reader.keyword() })],
  ['UNKEYWORD', (reader) => ({ kind: 'not', key: { kind: 'flag', flag: reader.keyword() } })],
  ['EMAILID', (reader) => ({ kind: 'email-id', id: reader.keyword() })],
  ['MODSEQ', (reader) => ({ kind: 'modseq', atLeast: reader.modSeq() })],
  ['THREADID', (reader) => ({ kind: 'thread-id', id: reader.keyword() })],
  ['BEFORE', date('internal', 'before')],
  ['ON', date('internal', 'on')],
  ['SINCE', date('internal', 'since')],
  ['SENTBEFORE', date('sent', 'before')],
  ['SENTON', date('sent', 'on')],
  ['SENTSINCE', date('sent', 'since')],
  ['SAVEDBEFORE', date('saved', 'before')],
  ['SAVEDON', date('saved', 'on')],
  ['SAVEDSINCE', date('saved', 'since')],
  // every mailbox has these dates (RFC 8514 §4.3)
  ['SAVEDATESUPPORTED', () => ({ kind: 'all' })],
  ['LARGER', (reader) => ({ kind: 'larger', octets: reader.number64() })],
  ['SMALLER', (reader) => ({ kind: 'smaller', octets: reader.number64() })],
  ['YOUNGER', (reader) => ({ kind: 'younger', seconds: reader.positive() })],
  ['OLDER', (reader) => ({ kind: 'older', seconds: reader.positive() })],
  ['BCC', header('Bcc')],
  ['CC', header('Cc')],
  ['FROM', header('From')],
  ['SUBJECT', header('Subject')],
  ['TO', header('To')],
  ['HEADER', (reader) => ({ kind: 'header', name: reader.text(), value: reader.text() })],
  ['BODY', (reader) => ({ kind: 'body', value: reader.text() })],
  ['TEXT', (reader) => ({ kind: 'text', value: reader.text() })],
  ['UID', (reader) => ({ kind: 'uid', set: reader.set() })],
  ['NOT', (reader) => ({ kind: 'not', key: reader.inner() })],
  ['OR', (reader) => ({ kind: 'or', left: reader.inner(), right: reader.inner() })],
]);

/** Reads keys and their operands, each behind a space; counts the keys. */
class SearchReader {
  readonly #lexer: Lexer;
  /** Whether strings are of a charset that we can read. */
  readonly #readable: boolean;
  #keys = 0;

  constructor(lexer: Lexer, readable: boolean) {
    this.#lexer = lexer;
    this.#readable = readable;
  }

  key(): SearchKey {
    this.#keys += 1;
    if (this.#keys > MAX_SEARCH_KEYS) throw new ImapSyntaxError('too-many', 'Too many search keys');
    const lexer = this.#lexer;
    const next = lexer.peek();
    if (next === '(') {
      return { kind: 'and', keys: lexer.filledList(() => this.key()) };
    }
    if (/[\d*$]/.test(next)) return { kind: 'sequence', set: parseMessageSet(lexer) };
    const parse = KEYS.get(lexer.word());
    return parse === undefined ? lexer.fail('Unknown search key') : parse(this);
  }

  /** An operand that is a key: of NOT and OR. */
  inner(): SearchKey {
    this.#lexer.space();
    return this.#lexer.nested(() => this.key());
  }

  text(): string {
    this.#lexer.space();
    const octets = this.#lexer.astring();
    if (!this.#readable) return octets;
    const buffer = Buffer.from(octets, 'latin1');
    // 8-bit octets without a charset are taken as UTF-8: nothing else could be meant today
    return isUtf8(buffer) ? buffer.toString('utf8') : this.#lexer.fail('Search text is not UTF-8');
  }

  keyword(): string {
    this.#lexer.space();
    return this.#lexer.atom();
  }

  number64(): number {
    this.#lexer.space();
    return this.#lexer.number64();
  }

  positive(): number {
    this.#lexer.space();
    return this.#lexer.positive();
  }

  /** An entry, which could name a single flag, changes nothing: one sequence counts for all of them. */
  modSeq(): number {
    const lexer = this.#lexer;
    lexer.space();
    if (lexer.peek() === '"') {
      lexer.string();
      lexer.space();
      if (!['ALL', 'PRIV', 'SHARED'].includes(lexer.word())) lexer.fail('Unknown kind of entry');
      lexer.space();
    }
    return lexer.number64();
  }

  day(): number {
    this.#lexer.space();
    return parseDate(this.#lexer);
  }

  set(): MessageSet {
    this.#lexer.space();
    return parseMessageSet(this.#lexer);
  }
}

/** Undefined for one that we have not. */
export function parseCharset(lexer: Lexer): SearchingArguments['charset'] {
  const name = lexer.astring().toUpperCase();
  lexer.space();
  return name === 'US-ASCII' || name === 'UTF-8' ? name : undefined;
}

/** "RETURN (...)"; none named is ALL (RFC 4731 §3.1), and PARTIAL goes without ALL (RFC 9394 §3.1). */
export function parseReturn(lexer: Lexer): Pick<SearchingArguments, 'returns' | 'partial'> {
  if (!lexer.accept('RETURN (')) return { returns: undefined };
  const options = new Set<ReturnOption>();
  let partial: PartialRange | undefined;
  if (!lexer.accept(')')) {
    do {
      const word = lexer.word();
      if (word === 'PARTIAL') {
        if (partial !== undefined) lexer.fail('Two PARTIAL options');
        lexer.space();
        partial = parsePartialRange(lexer);
      } else {
        options.add(
          RETURN_OPTIONS.find((option) => option === word) ?? lexer.fail('Unknown RETURN option'),
        );
      }
    } while (lexer.accept(' '));
    lexer.expect(')');
  }
  lexer.space();
  if (partial === undefined) return { returns: options.size === 0 ? ['ALL'] : [...options] };
  if (options.has('ALL')) lexer.fail('PARTIAL goes without ALL');
  return { returns: [...options], partial };
}

/** Keys up to the end, all of which a message has to match. */
export function parseKeys(lexer: Lexer, charset: SearchingArguments['charset']): SearchKey {
  const reader = new SearchReader(lexer, charset !== undefined);
  const keys = [reader.key()];
  while (lexer.accept(' ')) keys.push(reader.key());
  const only = keys.length === 1 ? keys[0] : undefined;
  return only ?? { kind: 'and', keys };
}

export function parseSearch(lexer: Lexer): SearchArguments {
  lexer.space();
  const wanted = parseReturn(lexer);
  const namesCharset = lexer.accept('CHARSET ');
  const charset = namesCharset ? parseCharset(lexer) : 'US-ASCII';
  return { ...wanted, charset, namesCharset, key: parseKeys(lexer, charset) };
}
