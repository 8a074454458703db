/**
 * How strings and mailbox names are written: to clients of IMAP4rev1 in ASCII (RFC 3501 §4.3, §5.1.3), to
 * those that have enabled it in UTF-8 (RFC 9051 §4.3, §5.1; RFC 9755 §3). Pure.
 */
import { encodeMailboxName } from './utf7.ts';

/** Longer strings go as literals: some clients bound their quoted strings. */
const MAX_QUOTED_CHARS = 1000;
const QUOTABLE = /^[\t\x20-\x7e]*$/;
const QUOTABLE_UTF8 = /^[\t\x20-\x7e\u00a0-\uffff]*$/;
const ATOM_ONLY = /^[!#$&'+,\-./0-9:;<=>?@A-Z[^_`a-z|}~]+$/;

/** string: quoted where it can be, else a literal; 8-bit text always is one (RFC 3501 §4.3). */
export function encodeString(text: string): string {
  return quoteOrNot(text, QUOTABLE);
}

function quoteOrNot(text: string, quotable: RegExp): string {
  if (text.length <= MAX_QUOTED_CHARS && quotable.test(text)) {
    return `"${text.replaceAll(/["\\]/g, '\\$&')}"`;
  }
  return `{${Buffer.byteLength(text)}}\r\n${text}`;
}

/** One of the two ways; texts are Unicode. */
export class StringEncoder {
  readonly utf8: boolean;
  readonly #quotable: RegExp;

  constructor(utf8: boolean) {
    this.utf8 = utf8;
    this.#quotable = utf8 ? QUOTABLE_UTF8 : QUOTABLE;
  }

  string(text: string): string {
    return quoteOrNot(text, this.#quotable);
  }

  /** nstring. */
  nullable(text: string | null | undefined): string {
    return text === null || text === undefined ? 'NIL' : this.string(text);
  }

  /** astring: bare where it can be. */
  astring(text: string): string {
    return ATOM_ONLY.test(text) && text.toUpperCase() !== 'NIL' ? text : this.string(text);
  }

  mailbox(name: string): string {
    return this.astring(this.utf8 ? name : encodeMailboxName(name));
  }
}

export const ASCII_STRINGS = new StringEncoder(false);
export const UTF8_STRINGS = new StringEncoder(true);
