/**
 * Octets that no message may have. A line ends with CRLF and nothing else (RFC 5321 §2.3.8): where one
 * server takes a lone LF or CR for a line end and the next does not, the second message of a text lies
 * hidden in the first, under whatever sender it pleases (SMTP smuggling, CVE-2023-51764). NUL is not
 * text (RFC 5321 §2.3.7 by way of RFC 5322 §2.2). Pure.
 */

export type ContentFault = 'bare-lf' | 'bare-cr' | 'nul';

const NUL = 0x00;
const LF = 0x0a;
const CR = 0x0d;

/** Looks at a message piece by piece; how it is cut makes no difference. */
export class ContentScan {
  #fault: ContentFault | undefined;
  #afterCr = false;

  push(chunk: Uint8Array): void {
    if (this.#fault !== undefined || chunk.length === 0) return;
    if (this.#afterCr && chunk[0] !== LF) this.#fault = 'bare-cr';
    else this.#fault = this.#find(chunk);
    this.#afterCr = chunk.at(-1) === CR;
  }

  /** After the last piece: the first fault, if there was one. */
  finish(): ContentFault | undefined {
    if (this.#fault === undefined && this.#afterCr) this.#fault = 'bare-cr';
    return this.#fault;
  }

  /** The first fault of a piece, by three searches that each run at memory speed. */
  #find(chunk: Uint8Array): ContentFault | undefined {
    if (chunk.includes(NUL)) return 'nul';
    for (let at = chunk.indexOf(LF); at >= 0; at = chunk.indexOf(LF, at + 1)) {
      const before = at === 0 ? this.#afterCr : chunk[at - 1] === CR;
      if (!before) return 'bare-lf';
    }
    for (let at = chunk.indexOf(CR); at >= 0; at = chunk.indexOf(CR, at + 1)) {
      // a CR at the end waits for the next piece
      if (at + 1 < chunk.length && chunk[at + 1] !== LF) return 'bare-cr';
    }
    return undefined;
  }
}
