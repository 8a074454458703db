/**
 * The UIDs of a mailbox as bits, in blocks: a million messages cost 128 KiB, and both their count up to one
 * and the one at a place are found without looking at the others. A mailbox's blocks are stored as they are
 * held here, so that a session knows its sequence numbers without reading a row for each message.
 */
import type { Uid } from './mail-store.ts';

export const UIDS_PER_BLOCK = 4096;
const BITS_PER_OCTET = 8;
const OCTETS_PER_BLOCK = UIDS_PER_BLOCK / BITS_PER_OCTET;

/** UIDs from `number * UIDS_PER_BLOCK`: bit 0 of octet 0 is the first. Octets of zeros at the end are left out. */
export interface UidBlock {
  readonly number: number;
  readonly bits: Uint8Array;
}

/** How many bits each octet has. */
const COUNTS = Uint8Array.from({ length: 256 }, (_, octet) => countBits(octet));

/** Of 32 bits: pairs, then fours, then octets are summed side by side. */
function countBits(word: number): number {
  const pairs = word - ((word >>> 1) & 0x55555555);
  const fours = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((fours + (fours >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** One block that can be changed, with its count. */
interface HeldBlock {
  readonly number: number;
  readonly bits: Uint8Array;
  count: number;
}

function hold({ number, bits }: UidBlock): HeldBlock {
  const own = new Uint8Array(OCTETS_PER_BLOCK);
  own.set(bits);
  // by words and without an iterator: a million messages are counted at every SELECT
  const words = new Uint32Array(own.buffer);
  let count = 0;
  for (let at = 0; at < words.length; at += 1) count += countBits(words[at] ?? 0);
  return { number, bits: own, count };
}

const blockOf = (uid: Uid): number => Math.floor(uid / UIDS_PER_BLOCK);
const octetOf = (uid: Uid): number => (uid % UIDS_PER_BLOCK) >> 3;
const bitOf = (uid: Uid): number => 1 << (uid & 7);

/** Whether a block's bits have `uid`, which lies in that block. */
export function blockHas(bits: Uint8Array, uid: Uid): boolean {
  return ((bits[octetOf(uid)] ?? 0) & bitOf(uid)) !== 0;
}

/** Ascending UIDs, counted from 0. */
export class UidSet {
  /** Ascending; none is empty. */
  #blocks: HeldBlock[];
  /** How many UIDs lie before each block; made anew when they are asked for after a change. */
  #before: number[] | undefined;

  constructor(blocks: Iterable<UidBlock> = []) {
    this.#blocks = [...blocks].map(hold).filter(({ count }) => count > 0);
  }

  get size(): number {
    const before = this.#countsBefore();
    return (before.at(-1) ?? 0) + (this.#blocks.at(-1)?.count ?? 0);
  }

  /** 0 where there is none. */
  get last(): Uid {
    return this.at(this.size - 1) ?? 0;
  }

  has(uid: Uid): boolean {
    const block = this.#blocks[this.#placeOf(blockOf(uid))];
    return block?.number === blockOf(uid) && blockHas(block.bits, uid);
  }

  /** How many are less than `uid`. */
  countBelow(uid: Uid): number {
    const place = this.#placeOf(blockOf(uid));
    const block = this.#blocks[place];
    if (block === undefined) return this.size;
    let count = this.#countsBefore()[place] ?? 0;
    if (block.number > blockOf(uid)) return count;
    const octet = octetOf(uid);
    for (let at = 0; at < octet; at += 1) count += COUNTS[block.bits[at] ?? 0] ?? 0;
    return count + (COUNTS[(block.bits[octet] ?? 0) & (bitOf(uid) - 1)] ?? 0);
  }

  /** Its place; undefined where it is not here. */
  indexOf(uid: Uid): number | undefined {
    return this.has(uid) ? this.countBelow(uid) : undefined;
  }

  at(index: number): Uid | undefined {
    return this.slice(index, index + 1)[0];
  }

  /** Those from place `start` up to place `end`. */
  slice(start: number, end: number): Uid[] {
    const uids: Uid[] = [];
    if (start < 0 || end <= start) return uids;
    const before = this.#countsBefore();
    let place = this.#placeHolding(start);
    let skip = start - (before[place] ?? 0);
    for (; place < this.#blocks.length && uids.length < end - start; place += 1) {
      const block = this.#blocks[place];
      if (block === undefined) break;
      for (let at = 0; at < OCTETS_PER_BLOCK && uids.length < end - start; at += 1) {
        const octet = block.bits[at] ?? 0;
        const count = COUNTS[octet] ?? 0;
        if (count <= skip) {
          skip -= count;
          continue;
        }
        for (let bit = 0; bit < BITS_PER_OCTET; bit += 1) {
          if ((octet & (1 << bit)) === 0) continue;
          if (skip > 0) skip -= 1;
          else uids.push(block.number * UIDS_PER_BLOCK + at * BITS_PER_OCTET + bit);
        }
      }
    }
    // the last octet may have had more
    uids.length = Math.min(uids.length, end - start);
    return uids;
  }

  add(uid: Uid): void {
    const number = blockOf(uid);
    const place = this.#placeOf(number);
    let block = this.#blocks[place];
    if (block?.number !== number) {
      block = { number, bits: new Uint8Array(OCTETS_PER_BLOCK), count: 0 };
      this.#blocks.splice(place, 0, block);
      this.#before = undefined;
    }
    const octet = block.bits[octetOf(uid)] ?? 0;
    if ((octet & bitOf(uid)) !== 0) return;
    block.bits[octetOf(uid)] = octet | bitOf(uid);
    block.count += 1;
    if (place < this.#blocks.length - 1) this.#before = undefined;
  }

  delete(uid: Uid): void {
    if (!this.has(uid)) return;
    const place = this.#placeOf(blockOf(uid));
    const block = this.#blocks[place];
    if (block === undefined) return;
    block.bits[octetOf(uid)] = (block.bits[octetOf(uid)] ?? 0) & ~bitOf(uid);
    block.count -= 1;
    if (block.count === 0) this.#blocks.splice(place, 1);
    this.#before = undefined;
  }

  /** As they are stored. */
  *blocks(): Generator<UidBlock> {
    for (const { number, bits } of this.#blocks) {
      const length = bits.findLastIndex((octet) => octet !== 0) + 1;
      yield { number, bits: bits.subarray(0, length) };
    }
  }

  #countsBefore(): readonly number[] {
    if (this.#before !== undefined) return this.#before;
    let sum = 0;
    this.#before = this.#blocks.map(({ count }) => {
      sum += count;
      return sum - count;
    });
    return this.#before;
  }

  /** Where block `number` is, or would be. */
  #placeOf(number: number): number {
    return search(this.#blocks.length, (place) => (this.#blocks[place]?.number ?? 0) >= number);
  }

  /** The block in which the UID at `index` lies; the number of blocks where there is none. */
  #placeHolding(index: number): number {
    const before = this.#countsBefore();
    const holds = (place: number): boolean =>
      (before[place] ?? 0) + (this.#blocks[place]?.count ?? 0) > index;
    return search(this.#blocks.length, holds);
  }
}

/** The first of `length` places for which `reached` holds, which then holds for those behind it too. */
function search(length: number, reached: (place: number) => boolean): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (reached(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
