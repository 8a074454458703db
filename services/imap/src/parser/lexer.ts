/**
 * The one grammar of octets (RFC 3501 §9): atoms, strings, numbers, lists. Each command's parser is
 * made of these. Pure; throws ImapSyntaxError and nothing else. Text is handled as one character per
 * octet (latin1); who knows the charset decodes it.
 */
import { ImapSyntaxError } from '../errors.ts';
import {
  MAX_ATOM_OCTETS,
  MAX_DEPTH,
  MAX_LINE_OCTETS,
  MAX_LIST_ITEMS,
  MAX_NUMBER64_DIGITS,
  MAX_TAG_OCTETS,
  MAX_UINT32,
} from './limits.ts';

/** A command as it came: its lines without CRLF, and the literal that each line but the last announced. */
export interface CommandText {
  readonly lines: readonly string[];
  /** Each in pieces. */
  readonly literals: readonly (readonly Buffer[])[];
}

/** The announcement that ends a line before a literal: {size} or {size+} (RFC 7888 §3). */
export interface LiteralHead {
  readonly octets: number;
  /** ~{size}: a literal8, which may hold NUL (RFC 9051 §4.3). */
  readonly binary: boolean;
  /** Whether the client waits for our go-ahead. */
  readonly synchronising: boolean;
}

/** number64 (RFC 9051 §9). */
const LITERAL_HEAD = /\{(\d{1,19})(\+?)\}$/;
const LITERAL_HEAD_CHARS = 23;

/** What a line's end announces; undefined when the command ends with it. */
export function literalHead(line: string): LiteralHead | undefined {
  // a quoted string may end in "}" only before its closing quote, so the end alone decides
  const end = line.slice(-LITERAL_HEAD_CHARS);
  const match = LITERAL_HEAD.exec(end);
  if (match?.[1] === undefined) return undefined;
  const binary = end[match.index - 1] === '~';
  return { octets: Number(match[1]), binary, synchronising: match[2] === '' };
}

// each class as a table of 256 flags: one look-up an octet
function table(test: (octet: number) => boolean): readonly boolean[] {
  return Array.from({ length: 256 }, (_, octet) => test(octet));
}

const among = (text: string) => (octet: number) => text.includes(String.fromCharCode(octet));
const isAtomSpecial = among('(){ %*"\\]');
const isPrintable = (octet: number): boolean => octet > 0x20 && octet < 0x7f;
const ATOM = table((octet) => isPrintable(octet) && !isAtomSpecial(octet));
/** ASTRING-CHAR: ATOM-CHAR and "]". */
const ASTRING = table((octet) => ATOM[octet] === true || octet === 0x5d);
/** list-char: ATOM-CHAR, the wildcards, "]". */
const LIST = table((octet) => ATOM[octet] === true || among('%*]')(octet));
const TAG = table((octet) => ASTRING[octet] === true && octet !== 0x2b);
const DIGIT = table((octet) => octet >= 0x30 && octet <= 0x39);
/** Names of FETCH items and sections: letters, digits, dots. */
const ITEM = table(
  (octet) => DIGIT[octet] === true || /[A-Za-z.]/.test(String.fromCharCode(octet)),
);
const BASE64 = table((octet) => /[A-Za-z0-9+/=]/.test(String.fromCharCode(octet)));
/** What may stand bare in a sequence set. */
const SET = table((octet) => DIGIT[octet] === true || among(':,*')(octet));

export class Lexer {
  /** Whether the client writes mailbox names in UTF-8 (RFC 9051 §5.1, RFC 9755 §3). */
  readonly utf8: boolean;
  readonly #text: CommandText;
  #index = 0;
  #line: string;
  #at = 0;
  #depth = 0;

  constructor(text: CommandText, { utf8 }: { readonly utf8: boolean } = { utf8: false }) {
    this.utf8 = utf8;
    this.#text = text;
    this.#line = text.lines[0] ?? '';
    if (this.#line.length > MAX_LINE_OCTETS) throw new ImapSyntaxError('too-long', 'Line too long');
  }

  /** Throws; typed so that callers can `return lexer.fail(...)`. */
  fail(message: string): never {
    throw new ImapSyntaxError('malformed', message);
  }

  /** The next octet as a character; '' at the end of the line. */
  peek(): string {
    return this.#line.charAt(this.#at);
  }

  /** Takes `text` if it comes next; letters in any case. */
  accept(text: string): boolean {
    const found = this.#line.slice(this.#at, this.#at + text.length);
    if (found !== text && found.toUpperCase() !== text.toUpperCase()) return false;
    this.#at += text.length;
    return true;
  }

  expect(text: string): void {
    if (!this.accept(text)) this.fail(`Expected ${text === ' ' ? 'a space' : text}`);
  }

  space(): void {
    this.expect(' ');
  }

  /** The command ends here. */
  end(): void {
    if (this.#at < this.#line.length || this.#index + 1 < this.#text.lines.length) {
      this.fail('Unexpected text after the arguments');
    }
  }

  #take(allowed: readonly boolean[], most: number): string {
    const start = this.#at;
    let at = start;
    while (at < this.#line.length && allowed[this.#line.charCodeAt(at)] === true) at += 1;
    if (at - start > most) throw new ImapSyntaxError('too-long', 'Word too long');
    this.#at = at;
    return this.#line.slice(start, at);
  }

  tag(): string {
    const tag = this.#take(TAG, MAX_TAG_OCTETS);
    return tag === '' ? this.fail('Expected a tag') : tag;
  }

  atom(): string {
    const atom = this.#take(ATOM, MAX_ATOM_OCTETS);
    return atom === '' ? this.fail('Expected an atom') : atom;
  }

  /** An atom in upper case: a word of the protocol. */
  word(): string {
    return this.atom().toUpperCase();
  }

  /** Letters, digits and dots in upper case; may be empty. */
  itemName(): string {
    return this.#take(ITEM, MAX_ATOM_OCTETS).toUpperCase();
  }

  /** number: 0 to 4294967295. */
  number(): number {
    const digits = this.#take(DIGIT, 20);
    if (digits === '') return this.fail('Expected a number');
    const value = Number(digits);
    return value > MAX_UINT32 ? this.fail('Number too large') : value;
  }

  /** nz-number: 1 to 4294967295. */
  positive(): number {
    const value = this.number();
    return value === 0 ? this.fail('Expected a number above zero') : value;
  }

  /** Exactly `count` digits. */
  digits(count: number): number {
    const digits = this.#line.slice(this.#at, this.#at + count);
    if (digits.length !== count || !/^\d+$/.test(digits)) return this.fail('Expected digits');
    this.#at += count;
    return Number(digits);
  }

  /** number64: 0 to 2^63-1, nothing here being above 2^53 (RFC 9051 §9; RFC 7162 §7, mod-sequence-valzer). */
  number64(): number {
    const digits = this.#take(DIGIT, MAX_NUMBER64_DIGITS);
    if (digits === '' || BigInt(digits) >= 2n ** 63n) return this.fail('Expected a number');
    return Math.min(Number(digits), Number.MAX_SAFE_INTEGER);
  }

  /** The text of a base64 string, unchecked; may be "=" alone. */
  base64(): string {
    const text = this.#take(BASE64, MAX_LINE_OCTETS);
    return text === '' ? this.fail('Expected base64') : text;
  }

  /** The text of a sequence set, unchecked. */
  setText(): string {
    const text = this.#take(SET, MAX_LINE_OCTETS);
    return text === '' ? this.fail('Expected a sequence set') : text;
  }

  #quoted(): string {
    this.expect('"');
    const line = this.#line;
    let at = this.#at;
    let escaped = false;
    for (; ; at += 1) {
      const octet = line.charCodeAt(at);
      if (Number.isNaN(octet)) return this.fail('Quoted string without an end');
      if (octet === 0x22) break;
      if (octet === 0x5c) {
        escaped = true;
        at += 1;
        if (line[at] !== '"' && line[at] !== '\\') return this.fail('Only " and \\ can be escaped');
      } else if (octet === 0 || octet === 0x0d || octet === 0x0a) {
        return this.fail('Forbidden octet in a quoted string');
      }
    }
    const inner = line.slice(this.#at, at);
    this.#at = at + 1;
    return escaped ? inner.replaceAll(/\\(["\\])/g, '$1') : inner;
  }

  /** literal; as it came, not copied. */
  literalPieces(): readonly Buffer[] {
    const literal = this.#takeLiteral();
    // RFC 3501 §9: CHAR8 is any octet but NUL; only literal8 can carry it
    return literal.some((piece) => piece.includes(0)) ? this.fail('NUL in a literal') : literal;
  }

  /** literal8: may hold NUL (RFC 9051 §4.3). */
  literal8Pieces(): readonly Buffer[] {
    this.expect('~');
    return this.#takeLiteral();
  }

  #takeLiteral(): readonly Buffer[] {
    const head = LITERAL_HEAD.exec(this.#line.slice(this.#at));
    const literal = this.#text.literals[this.#index];
    if (head === null || head.index !== 0 || literal === undefined) {
      return this.fail('Expected a literal');
    }
    this.#index += 1;
    this.#line = this.#text.lines[this.#index] ?? '';
    this.#at = 0;
    if (this.#line.length > MAX_LINE_OCTETS) throw new ImapSyntaxError('too-long', 'Line too long');
    return literal;
  }

  /** string: quoted or literal. */
  string(): string {
    switch (this.peek()) {
      case '"':
        return this.#quoted();
      case '{':
        return Buffer.concat(this.literalPieces()).toString('latin1');
      default:
        return this.fail('Expected a string');
    }
  }

  #isString(): boolean {
    const next = this.peek();
    return next === '"' || next === '{';
  }

  /** astring: string, or atom characters and "]". */
  astring(): string {
    if (this.#isString()) return this.string();
    const text = this.#take(ASTRING, MAX_ATOM_OCTETS);
    return text === '' ? this.fail('Expected a string or an atom') : text;
  }

  /** list-mailbox: string, or atom characters with wildcards. */
  listMailbox(): string {
    if (this.#isString()) return this.string();
    const text = this.#take(LIST, MAX_ATOM_OCTETS);
    return text === '' ? this.fail('Expected a mailbox pattern') : text;
  }

  /** nstring: string or NIL. */
  nstring(): string | undefined {
    if (this.#isString()) return this.string();
    this.expect('NIL');
    return undefined;
  }

  /** A flag: an atom, or a backslash and an atom (RFC 3501 §2.3.2). */
  flag(): string {
    return this.accept('\\') ? `\\${this.atom()}` : this.atom();
  }

  /** "(" members apart by one space ")"; may be empty. */
  list<T>(member: () => T): T[] {
    this.expect('(');
    const members: T[] = [];
    if (this.accept(')')) return members;
    this.nested(() => {
      do {
        if (members.length === MAX_LIST_ITEMS) {
          throw new ImapSyntaxError('too-many', 'List too long');
        }
        members.push(member());
      } while (this.accept(' '));
    });
    this.expect(')');
    return members;
  }

  /** As list, with at least one member. */
  filledList<T>(member: () => T): T[] {
    const members = this.list(member);
    return members.length === 0 ? this.fail('Empty list') : members;
  }

  /** Runs `inner` one level deeper, so that no nesting overflows the stack. */
  nested<T>(inner: () => T): T {
    if (this.#depth === MAX_DEPTH) throw new ImapSyntaxError('too-deep', 'Nested too deep');
    this.#depth += 1;
    const value = inner();
    this.#depth -= 1;
    return value;
  }
}
