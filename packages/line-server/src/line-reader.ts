/**
 * Cuts a stream of octets into lines and literals. Knows nothing of sockets. Work is linear in what
 * arrives, whatever its chunks: no octet is searched twice.
 */
import { LineServerError } from './errors.ts';

const LF = 0x0a;
const CR = 0x0d;

export class LineReader {
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  /** Chunks at the front that are known to hold no LF, and their octets. */
  #searchedChunks = 0;
  #searchedBytes = 0;

  /** Octets that wait to be taken. */
  get bytes(): number {
    return this.#bytes;
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
  }

  /**
   * The next line without its end, or undefined until there is one. Lines end in CRLF; a bare LF is
   * taken as well, as most servers do, since clients and scripts send it. Throws line-too-long when a
   * line has more than `limit` octets.
   */
  takeLine(limit: number): Buffer | undefined {
    while (this.#searchedChunks < this.#chunks.length) {
      const chunk = this.#chunks[this.#searchedChunks] as Buffer;
      const at = chunk.indexOf(LF);
      if (at >= 0) {
        const line = this.#remove(this.#searchedBytes + at + 1);
        const end = line.length - (line.at(-2) === CR ? 2 : 1);
        if (end > limit) throw tooLong(limit);
        return line.subarray(0, end);
      }
      this.#searchedChunks += 1;
      this.#searchedBytes += chunk.length;
    }
    // one more for the CR that may end it
    if (this.#bytes > limit + 1) throw tooLong(limit);
    return undefined;
  }

  /** `size` octets whatever they are, or undefined until they are there. */
  take(size: number): Buffer | undefined {
    return this.#bytes < size ? undefined : this.#remove(size);
  }

  /** Throws away what waits; returns how much that was. */
  clear(): number {
    const bytes = this.#bytes;
    if (bytes > 0) this.#remove(bytes);
    return bytes;
  }

  #remove(size: number): Buffer {
    this.#searchedChunks = 0;
    this.#searchedBytes = 0;
    this.#bytes -= size;
    let whole = 0;
    let left = size;
    while (left > 0 && left >= (this.#chunks[whole] as Buffer).length) {
      left -= (this.#chunks[whole] as Buffer).length;
      whole += 1;
    }
    const taken = this.#chunks.splice(0, whole);
    if (left > 0) {
      const first = this.#chunks[0] as Buffer;
      taken.push(first.subarray(0, left));
      this.#chunks[0] = first.subarray(left);
    }
    return taken.length === 1 ? (taken[0] as Buffer) : Buffer.concat(taken, size);
  }
}

function tooLong(limit: number): LineServerError {
  return new LineServerError('line-too-long', `a line is longer than ${limit} octets`);
}
