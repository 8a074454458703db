/** Reads what an IMAP server answers: lists, strings, literals, atoms (RFC 9051 §4). For tests: throws where it can't. */

/** Strings and atoms are octets as characters; NIL is null. */
export type ImapData = string | null | readonly ImapData[];

export class ImapReader {
  readonly #text: string;
  #at: number;

  constructor(text: string, at = 0) {
    this.#text = text;
    this.#at = at;
  }

  get at(): number {
    return this.#at;
  }

  /** Whether `text` comes next, which is then read. */
  accept(text: string): boolean {
    if (!this.#text.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  value(): ImapData {
    if (this.accept('(')) return this.#list();
    if (this.accept('"')) return this.#quoted();
    const literal = /^~?\{(\d+)\}\r\n/.exec(this.#text.slice(this.#at, this.#at + 40));
    if (literal !== null) {
      const start = this.#at + literal[0].length;
      this.#at = start + Number(literal[1]);
      return this.#text.slice(start, this.#at);
    }
    const atom = this.atom();
    return atom === 'NIL' ? null : atom;
  }

  /** Up to a blank, a parenthesis or the end of the line; brackets may hold blanks. */
  atom(): string {
    const pattern = /(?:\[[^\]]*\]|[^ ()\r\n[])+/y;
    pattern.lastIndex = this.#at;
    const atom = pattern.exec(this.#text)?.[0];
    if (atom === undefined)
      throw new Error(`no IMAP data: ${this.#text.slice(this.#at, this.#at + 80)}`);
    this.#at += atom.length;
    return atom;
  }

  #list(): ImapData[] {
    const items: ImapData[] = [];
    while (!this.accept(')')) {
      items.push(this.value());
      this.accept(' ');
    }
    return items;
  }

  #quoted(): string {
    let text = '';
    for (; this.#text[this.#at] !== '"'; this.#at += 1) {
      if (this.#at >= this.#text.length) throw new Error('a quoted string that is never closed');
      if (this.#text[this.#at] === '\\') this.#at += 1;
      text += this.#text[this.#at];
    }
    this.#at += 1;
    return text;
  }
}

/** The items of each `* n FETCH (...)`, by its number. Lines between them are passed over. */
export function readFetches(answer: Buffer): Map<number, Map<string, ImapData>> {
  const text = answer.toString('latin1');
  const found = new Map<number, Map<string, ImapData>>();
  const pattern = /\* (\d+) FETCH \(/g;
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    const reader = new ImapReader(text, pattern.lastIndex);
    const items = found.get(Number(match[1])) ?? new Map<string, ImapData>();
    while (!reader.accept(')')) {
      const name = reader.atom();
      reader.accept(' ');
      items.set(name, reader.value());
      reader.accept(' ');
    }
    found.set(Number(match[1]), items);
    pattern.lastIndex = reader.at;
  }
  return found;
}
