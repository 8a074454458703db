/** Line ends on their way out and in: CRLF in the store, LF in files. Pure; octets may come in any pieces. */

const LF = 0x0a;
const CR = 0x0d;

/**
 * CRLF to LF. A CR in front of a CRLF would look like a line end on the way back, so such a message is to be
 * written as it is: `ambiguous` tells so.
 */
export class CrlfToLf {
  ambiguous = false;
  #held = false;
  #doubled = false;

  convert(octets: Uint8Array): Buffer {
    const out = Buffer.allocUnsafe(octets.length + 1);
    let length = 0;
    for (const octet of octets) {
      if (octet === CR) {
        if (this.#held) out[length++] = CR;
        this.#doubled = this.#held;
        this.#held = true;
        continue;
      }
      if (octet === LF) this.ambiguous ||= this.#held && this.#doubled;
      else if (this.#held) out[length++] = CR;
      this.#held = false;
      out[length++] = octet;
    }
    return out.subarray(0, length);
  }

  /** What was kept back: a CR at the very end. */
  end(): Buffer {
    return Buffer.from(this.#held ? [CR] : []);
  }
}

/** LF to CRLF; what is CRLF already stays. */
export class LfToCrlf {
  #afterCr = false;

  convert(octets: Uint8Array): Buffer {
    const out = Buffer.allocUnsafe(octets.length * 2);
    let length = 0;
    for (const octet of octets) {
      if (octet === LF && !this.#afterCr) out[length++] = CR;
      out[length++] = octet;
      this.#afterCr = octet === CR;
    }
    return out.subarray(0, length);
  }
}
