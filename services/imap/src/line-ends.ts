/** Line ends of a message that arrives in pieces, made CRLF, which is what the store holds. */

const CR = 0x0d;
const LF = 0x0a;

export class LineEnds {
  /** The last octet of the piece before. */
  #last = 0;

  /** One that has come as far, and goes on by itself. */
  copy(): LineEnds {
    const copy = new LineEnds();
    copy.#last = this.#last;
    return copy;
  }

  /** The next piece, with a CR in front of each LF that had none; the same buffer where all had one. */
  mend(piece: Buffer): Buffer {
    const before = this.#last;
    this.#last = piece.at(-1) ?? before;
    let bare = 0;
    for (let at = 0, last = before; at < piece.length; at += 1) {
      const octet = piece[at] ?? 0;
      if (octet === LF && last !== CR) bare += 1;
      last = octet;
    }
    if (bare === 0) return piece;
    const mended = Buffer.allocUnsafeSlow(piece.length + bare);
    let to = 0;
    for (let at = 0, last = before; at < piece.length; at += 1) {
      const octet = piece[at] ?? 0;
      if (octet === LF && last !== CR) {
        mended[to] = CR;
        to += 1;
      }
      mended[to] = octet;
      to += 1;
      last = octet;
    }
    return mended;
  }
}
