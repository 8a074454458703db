/** A message on its way into the store: in pieces, none of them moved again, with a limit and a hash. */
import { createHash } from 'node:crypto';
import { MAX_MESSAGE_BYTES } from '@mail/store';
import { LfToCrlf } from './line-ends.ts';

/** Pieces grow with the message: most are small. */
const PIECE_BYTES = { first: 8 * 1024, largest: 1024 * 1024 };

export class CollectedMessage {
  readonly pieces: Buffer[] = [];
  size = 0;
  readonly #lineEnds = new LfToCrlf();
  readonly #hash = createHash('sha256');
  #last = Buffer.alloc(0);
  #used = 0;

  /** Octets with any line ends. */
  add(octets: Uint8Array): void {
    const converted = this.#lineEnds.convert(octets);
    this.size += converted.length;
    if (this.tooLarge) {
      this.pieces.length = 0;
      return;
    }
    this.#hash.update(converted);
    for (let at = 0; at < converted.length; ) {
      if (this.#used === this.#last.length) this.#grow();
      const count = converted.copy(this.#last, this.#used, at);
      this.#used += count;
      at += count;
      this.pieces[this.pieces.length - 1] = this.#last.subarray(0, this.#used);
    }
  }

  /** Beyond what the store takes; its octets are let go. */
  get tooLarge(): boolean {
    return this.size > MAX_MESSAGE_BYTES;
  }

  /** Of the octets as they are stored. Once. */
  digest(): string {
    return this.#hash.digest('base64url');
  }

  #grow(): void {
    const { first, largest } = PIECE_BYTES;
    this.#last = Buffer.allocUnsafe(Math.min(largest, Math.max(first, this.#last.length * 4)));
    this.#used = 0;
    this.pieces.push(this.#last.subarray(0, 0));
  }
}
