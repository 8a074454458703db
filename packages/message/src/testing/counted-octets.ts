/** A Buffer that counts what is done with it, so that tests tell linear from quadratic without a clock. */

export interface CountedOctets {
  readonly raw: Buffer;
  /** Octets looked at so far: one by one, or by a call that runs over them. */
  steps(): number;
}

/** Calls that look at octets from their second argument, or their first, up to the last one. */
const RANGED = new Set(['subarray', 'toString', 'includes', 'indexOf']);

export function countOctets(octets: Buffer): CountedOctets {
  let steps = 0;
  const call =
    (name: string, method: (...args: unknown[]) => unknown) =>
    (...args: unknown[]): unknown => {
      const result = method.apply(octets, args);
      if (name === 'indexOf') {
        const from = Number(args[1] ?? 0);
        steps += (Number(result) < 0 ? octets.length : Number(result)) - from + 1;
      } else if (result instanceof Uint8Array || typeof result === 'string') {
        steps += result.length;
      } else {
        steps += octets.length;
      }
      return result;
    };
  const raw = new Proxy(octets, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof key === 'string' && /^\d+$/.test(key)) steps += 1;
      if (typeof value !== 'function') return value;
      if (typeof key !== 'string' || !RANGED.has(key)) throw new Error(`uncounted: ${String(key)}`);
      return call(key, value as (...args: unknown[]) => unknown);
    },
  });
  return { raw, steps: () => steps };
}
