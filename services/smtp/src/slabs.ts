/**
 * A text gathered in few large buffers, whatever the pieces that it comes in: smtp-server gives one for
 * each line that begins with a dot, and a Buffer takes far more memory than the three octets in it.
 */
import type { MemoryShare } from '@mail/service';

/** The first slab; each next one is as large as all before it, up to the second figure. */
const SLAB_BYTES = { least: 4 * 1024, most: 256 * 1024 };

export class Slabs {
  readonly #memory: MemoryShare;
  readonly #maxBytes: number;
  readonly #full: Buffer[] = [];
  #slab = Buffer.alloc(0);
  #filled = 0;
  #allocated = 0;

  /** Never takes more than `maxBytes` from `memory`; the caller pushes no more. */
  constructor(memory: MemoryShare, maxBytes: number) {
    this.#memory = memory;
    this.#maxBytes = maxBytes;
  }

  /** Copies. False where there is no memory for it: the text is then incomplete. */
  push(chunk: Buffer): boolean {
    for (let at = 0; at < chunk.length; ) {
      if (this.#filled === this.#slab.length && !this.#grow()) return false;
      const copied = chunk.copy(this.#slab, this.#filled, at);
      this.#filled += copied;
      at += copied;
    }
    return true;
  }

  /** The text so far, in order. */
  get pieces(): Buffer[] {
    return [...this.#full, this.#slab.subarray(0, this.#filled)];
  }

  #grow(): boolean {
    const wanted = Math.min(Math.max(this.#allocated, SLAB_BYTES.least), SLAB_BYTES.most);
    const octets = Math.min(wanted, this.#maxBytes - this.#allocated);
    if (octets <= 0 || !this.#memory.take(octets)) return false;
    if (this.#filled > 0) this.#full.push(this.#slab);
    this.#slab = Buffer.allocUnsafeSlow(octets);
    this.#filled = 0;
    this.#allocated += octets;
    return true;
  }
}
