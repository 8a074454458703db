/** The octets of a message that is handed in: in one piece or in several, one behind another. */
import type { NewMessage } from './mail-store.ts';

type Octets = NewMessage['raw'];

export function countOctets(raw: Octets): number {
  if (raw instanceof Uint8Array) return raw.byteLength;
  return raw.reduce((sum, piece) => sum + piece.byteLength, 0);
}

/** All of it in memory of its own, which can be handed to another thread. */
export function copyOctets(raw: Octets): Uint8Array<ArrayBuffer> {
  if (raw instanceof Uint8Array) return new Uint8Array(raw);
  const whole = new Uint8Array(countOctets(raw));
  let at = 0;
  for (const piece of raw) {
    whole.set(piece, at);
    at += piece.byteLength;
  }
  return whole;
}

/** All of it in one piece; copied only where it is in several. */
export function joinOctets(raw: Octets): Uint8Array {
  return raw instanceof Uint8Array ? raw : copyOctets(raw);
}
