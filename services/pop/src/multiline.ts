/**
 * Multi-line responses (RFC 1939 §3): a dot in front of each line that begins with one, a line with a
 * single dot at the end. Pure; octets pass in pieces, and where they are cut makes no difference.
 */

const LF = 0x0a;
const CR = 0x0d;
const DOT = Buffer.from('.');
const CRLF = Buffer.from('\r\n');

/** Doubles leading dots. A bare LF counts as a line end too, since some clients take it as one. */
export class DotStuffer {
  #atLineStart = true;
  /** The last two octets that passed. */
  #last: number | undefined;
  #beforeLast: number | undefined;

  /** The piece, stuffed; most pass as they are. */
  stuff(piece: Buffer): Buffer {
    if (piece.length === 0) return piece;
    const parts: Buffer[] = [];
    let from = 0;
    if (this.#atLineStart && piece[0] === DOT[0]) parts.push(DOT);
    for (let at = piece.indexOf('\n.'); at >= 0; at = piece.indexOf('\n.', at + 1)) {
      parts.push(piece.subarray(from, at + 1), DOT);
      from = at + 1;
    }
    this.#beforeLast = piece.length > 1 ? piece.at(-2) : this.#last;
    this.#last = piece.at(-1);
    this.#atLineStart = this.#last === LF;
    if (parts.length === 0) return piece;
    parts.push(piece.subarray(from));
    return Buffer.concat(parts);
  }

  /** What ends the response: a line end if the last line has none, then the dot. */
  end(): Buffer {
    const complete = this.#last === undefined || (this.#last === LF && this.#beforeLast === CR);
    return Buffer.concat(complete ? [DOT, CRLF] : [CRLF, DOT, CRLF]);
  }
}

/** Lets a header, the blank line and so many lines of the body pass: what TOP wants (RFC 1939 §7). */
export class TopCutter {
  #inHeader = true;
  #linesLeft: number;
  /** Octets so far of the current line, and whether the last is CR. */
  #lineBytes = 0;
  #afterCr = false;

  constructor(lines: number) {
    this.#linesLeft = lines;
  }

  /** Nothing more will pass. */
  get done(): boolean {
    return !this.#inHeader && this.#linesLeft === 0;
  }

  cut(piece: Buffer): Buffer {
    let at = 0;
    while (at < piece.length && !this.done) {
      const found = piece.indexOf(LF, at);
      const end = found < 0 ? piece.length : found;
      const text = piece.subarray(at, end);
      this.#lineBytes += text.length;
      if (text.length > 0) this.#afterCr = text.at(-1) === CR;
      if (found < 0) return piece;
      const blank = this.#lineBytes === (this.#afterCr ? 1 : 0);
      if (!this.#inHeader) this.#linesLeft -= 1;
      else if (blank) this.#inHeader = false;
      this.#lineBytes = 0;
      this.#afterCr = false;
      at = found + 1;
    }
    return piece.subarray(0, at);
  }
}
