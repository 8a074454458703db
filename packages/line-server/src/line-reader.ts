/**
 * Cuts a stream of octets into lines and literals. Knows nothing of sockets. Work and memory are linear
 * in what arrives, whatever its chunks: no octet is searched twice, and small chunks are joined.
 */
import { LineServerError } from './errors.ts';

const LF = 0x0a;
const CR = 0x0d;

/** A chunk is an object of some 250 octets: less than this behind another is copied into a slab. */
const SMALL_BYTES = 1024;
const SLAB_BYTES = 4096;

export class LineReader {
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  /** Chunks at the front that are known to hold no LF, and their octets; and so much of the next one. */
  #searchedChunks = 0;
  #searchedBytes = 0;
  #searchedInNext = 0;
  /** What the last chunk lies at the start of, where small ones were joined. */
  #slab: Buffer | undefined;

  /** Octets that wait to be taken. */
  get bytes(): number {
    return this.#bytes;
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#bytes += chunk.length;
    const last = this.#chunks.at(-1);
    const joinable = last !== undefined && chunk.length < SMALL_BYTES;
    if (joinable && last.length + chunk.length <= SLAB_BYTES) this.#join(last, chunk);
    else {
      this.#chunks.push(chunk);
      this.#slab = undefined;
    }
  }

  #join(last: Buffer, chunk: Buffer): void {
    if (this.#slab === undefined) {
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      last.copy(this.#slab);
    }
    chunk.copy(this.#slab, last.length);
    this.#chunks[this.#chunks.length - 1] = this.#slab.subarray(0, last.length + chunk.length);
  }

  /**
   * The next line without its end, or undefined until there is one. Lines end in CRLF; a bare LF is
   * taken as well, as most servers do, since clients and scripts send it. Throws line-too-long when a
   * line has more than `limit` octets.
   */
  takeLine(limit: number): Buffer | undefined {
    while (this.#searchedChunks < this.#chunks.length) {
      const chunk = this.#chunks[this.#searchedChunks] as Buffer;
      const at = chunk.indexOf(LF, this.#searchedInNext);
      if (at >= 0) {
        const line = this.#remove(this.#searchedBytes + at + 1);
        const end = line.length - (line.at(-2) === CR ? 2 : 1);
        if (end > limit) throw tooLong(limit);
        return line.subarray(0, end);
      }
      this.#searchedInNext = chunk.length;
      // the last one may grow
      if (this.#searchedChunks === this.#chunks.length - 1) break;
      this.#searchedChunks += 1;
      this.#searchedBytes += chunk.length;
      this.#searchedInNext = 0;
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
    this.#searchedInNext = 0;
    this.#slab = undefined;
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
