/** The flags of one block's UIDs, an octet for each, so that those of a thousand messages are one value. */
import { decodeFlags, type StoredFlags } from './flags.ts';
import type { Uid } from './mail-store.ts';
import { UIDS_PER_BLOCK } from './uid-set.ts';

/** Beside the bits of flags.ts: it has keywords, which stand in its row. */
const HAS_KEYWORDS = 0x20;

function octetOf({ flags, keywords }: StoredFlags): number {
  return flags | (keywords === '' ? 0 : HAS_KEYWORDS);
}

export class FlagOctets {
  readonly #octets = new Uint8Array(UIDS_PER_BLOCK);

  constructor(stored: Uint8Array = new Uint8Array()) {
    this.#octets.set(stored);
  }

  set(uid: Uid, flags: StoredFlags): void {
    this.#octets[uid % UIDS_PER_BLOCK] = octetOf(flags);
  }

  /** Whether it has these flags of this message. */
  says(message: StoredFlags & { readonly uid: Uid }): boolean {
    return this.#octets[message.uid % UIDS_PER_BLOCK] === octetOf(message);
  }

  /** Undefined where keywords belong to them. */
  get(uid: Uid): readonly string[] | undefined {
    const octet = this.#octets[uid % UIDS_PER_BLOCK] ?? 0;
    if ((octet & HAS_KEYWORDS) !== 0) return undefined;
    return decodeFlags({ flags: octet, keywords: '' });
  }

  /** As they are stored: octets of zeros at the end are left out. */
  get octets(): Uint8Array {
    const length = this.#octets.findLastIndex((octet) => octet !== 0) + 1;
    return this.#octets.subarray(0, length);
  }
}
