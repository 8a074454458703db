/**
 * string and nstring as IMAP writes them: to clients of IMAP4rev1 in ASCII (RFC 3501 §4.3), to those that have
 * enabled it in UTF-8 (RFC 9051 §4.3, RFC 9755 §3).
 */

/** Longer strings go as literals: some clients bound their quoted strings. */
const MAX_QUOTED_CHARS = 1000;
const QUOTABLE = /^[\t\x20-\x7e]*$/;
const QUOTABLE_UTF8 = /^[\t\x20-\x7e\u00a0-\uffff]*$/;

/** One of the two ways; texts are Unicode. */
export class ImapStrings {
  readonly utf8: boolean;
  readonly #quotable: RegExp;

  constructor(utf8: boolean) {
    this.utf8 = utf8;
    this.#quotable = utf8 ? QUOTABLE_UTF8 : QUOTABLE;
  }

  /** string: quoted where it can be, else a literal; 8-bit text of IMAP4rev1 always is one. */
  string(text: string): string {
    if (text.length <= MAX_QUOTED_CHARS && this.#quotable.test(text)) {
      return `"${text.replaceAll(/["\\]/g, '\\$&')}"`;
    }
    return `{${Buffer.byteLength(text)}}\r\n${text}`;
  }

  /** nstring. */
  nullable(text: string | null | undefined): string {
    return text === null || text === undefined ? 'NIL' : this.string(text);
  }
}
