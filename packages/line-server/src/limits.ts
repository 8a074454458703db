/** How many connections a process takes: in all, from one address, of one account. */
import { isIPv4 } from 'node:net';
import ipaddr from 'ipaddr.js';

export interface ConnectionLimitSettings {
  readonly total: number;
  /** For one IPv4 address or one IPv6 /64, which is what one customer has. */
  readonly perAddress: number;
}

/** So many places for each holder, whoever that is. */
export class Places<Holder> {
  readonly #most: number;
  readonly #taken = new Map<Holder, number>();

  constructor(most: number) {
    this.#most = most;
  }

  /** Takes one; undefined where the holder has all of its own, else how to give it back (once). */
  take(holder: Holder): (() => void) | undefined {
    const taken = this.#taken.get(holder) ?? 0;
    if (taken >= this.#most) return undefined;
    this.#taken.set(holder, taken + 1);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      const rest = (this.#taken.get(holder) ?? 1) - 1;
      if (rest > 0) this.#taken.set(holder, rest);
      else this.#taken.delete(holder);
    };
  }
}

/** One for a process, shared by its listeners. */
export class ConnectionLimits {
  readonly #most: number;
  readonly #byAddress: Places<string>;
  #total = 0;

  constructor({ total, perAddress }: ConnectionLimitSettings) {
    this.#most = total;
    this.#byAddress = new Places(perAddress);
  }

  get total(): number {
    return this.#total;
  }

  /** Counts a connection; undefined when it is one too many, else how to give it back (once). */
  enter(remoteAddress: string): (() => void) | undefined {
    if (this.#total >= this.#most) return undefined;
    const giveBack = this.#byAddress.take(addressBlock(remoteAddress));
    if (giveBack === undefined) return undefined;
    this.#total += 1;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#total -= 1;
      giveBack();
    };
  }
}

/** The block of addresses that counts as one remote party: IPv4 whole, IPv6 by /64. */
export function addressBlock(address: string): string {
  if (isIPv4(address)) return address;
  if (!ipaddr.isValid(address)) return address;
  const parsed = ipaddr.process(address);
  if (!(parsed instanceof ipaddr.IPv6)) return parsed.toString();
  return `${parsed.parts
    .slice(0, 4)
    .map((part) => part.toString(16))
    .join(':')}::/64`;
}
