/** Lines that begin with "From ", which in an mbox begin a message (mboxrd). Pure. */

const LF = 0x0a;
const QUOTE = 0x3e;
const FROM = Buffer.from('From ');
const QUOTED_FROM = /^>+From /;
/** As programs write them: somebody, and a time with a year, in some order. */
const FROM_LINE = /^From .*\d\d:\d\d.*\d{4}|^From .*\d{4}.*\d\d:\d\d/;
/** Of a line's beginning, that is looked at. */
const MAX_LOOK = 1_000;

/** Puts a ">" more into lines that begin with any number of them and "From "; octets come in any pieces. */
export class FromQuoter {
  /** Octets of "From " that have come at the beginning of a line, and wait for the rest; undefined elsewhere. */
  #matched: number | undefined = 0;

  quote(octets: Uint8Array): Buffer {
    const out: Buffer[] = [];
    let from = 0;
    const upTo = (end: number): void => {
      if (end > from) out.push(Buffer.from(octets.subarray(from, end)));
      from = end;
    };
    for (let at = 0; at < octets.length; at += 1) {
      const octet = octets[at];
      if (this.#matched !== undefined) {
        const matched: number = this.#matched;
        if (octet === FROM[matched]) {
          if (matched === 0) upTo(at);
          from = at + 1;
          this.#matched = matched + 1;
          if (this.#matched === FROM.length) {
            out.push(Buffer.from('>From '));
            this.#matched = undefined;
          }
          continue;
        }
        if (matched > 0) out.push(FROM.subarray(0, matched));
        this.#matched = octet === QUOTE && matched === 0 ? 0 : undefined;
      }
      if (octet === LF) this.#matched = 0;
    }
    upTo(octets.length);
    return Buffer.concat(out);
  }

  /** What waited. */
  end(): Buffer {
    return FROM.subarray(0, this.#matched ?? 0);
  }
}

/** A line without one ">" of those that quoting has put there. */
export function unquoteFrom(line: Buffer): Buffer {
  return QUOTED_FROM.test(line.toString('latin1', 0, MAX_LOOK)) ? line.subarray(1) : line;
}

/** Whether a line begins a message. */
export function isFromLine(line: Buffer): boolean {
  return FROM_LINE.test(line.toString('latin1', 0, MAX_LOOK));
}
