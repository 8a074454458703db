/** How many connections a process takes, in all and from one address. */
import { isIPv4 } from 'node:net';
import ipaddr from 'ipaddr.js';

export interface ConnectionLimitSettings {
  readonly total: number;
  /** For one IPv4 address or one IPv6 /64, which is what one customer has. */
  readonly perAddress: number;
}

/** One for a process, shared by its listeners. */
export class ConnectionLimits {
  readonly #settings: ConnectionLimitSettings;
  readonly #byAddress = new Map<string, number>();
  #total = 0;

  constructor(settings: ConnectionLimitSettings) {
    this.#settings = settings;
  }

  get total(): number {
    return this.#total;
  }

  /** Counts a connection; undefined when it is one too many, else how to give it back (once). */
  enter(remoteAddress: string): (() => void) | undefined {
    const key = addressBlock(remoteAddress);
    const count = this.#byAddress.get(key) ?? 0;
    if (this.#total >= this.#settings.total || count >= this.#settings.perAddress) return undefined;
    this.#total += 1;
    this.#byAddress.set(key, count + 1);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#total -= 1;
      const rest = (this.#byAddress.get(key) ?? 1) - 1;
      if (rest > 0) this.#byAddress.set(key, rest);
      else this.#byAddress.delete(key);
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
