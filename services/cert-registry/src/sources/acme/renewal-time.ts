/** When a certificate is to be renewed: pure. Times are milliseconds since the epoch; nothing assumes days. */

export interface Validity {
  readonly notBefore: number;
  readonly notAfter: number;
}

/** What a CA suggests (RFC 9773 §4.2). */
export interface RenewalWindow {
  readonly start: number;
  readonly end: number;
}

/** Which part of its life a certificate has behind it when it is renewed. */
const RENEWED_AT = 2 / 3;
/** It is renewed up to this part of its life earlier, so that not all of a CA's customers come at once. */
const JITTER = 1 / 20;
/** Whatever the CA says: what is left is needed for failures. */
const LATEST = 9 / 10;
/** However soon the CA wants it renewed. */
const KEPT_MS = 3_600_000;

function lifeOf({ notBefore, notAfter }: Validity): number {
  return Math.max(0, notAfter - notBefore);
}

/**
 * Without a word of the CA's. One that comes with most of its life behind it is kept for half of the rest,
 * so that it is not ordered again and again. `random` is from 0 to below 1.
 */
export function renewalTime(validity: Validity, arrivedAt: number, random: number): number {
  const planned = validity.notBefore + lifeOf(validity) * (RENEWED_AT - JITTER * random);
  return Math.round(Math.max(planned, (arrivedAt + validity.notAfter) / 2));
}

/**
 * A random moment of the CA's window (RFC 9773 §4.2); one that has gone by means now. Not before the
 * certificate has been there for a while: a CA that always suggests the past is not to be asked for
 * certificates without end.
 */
export function suggestedRenewalTime(
  { start, end }: RenewalWindow,
  certificate: Validity & { readonly arrivedAt: number },
  random: number,
): number {
  const latest = certificate.notBefore + lifeOf(certificate) * LATEST;
  const kept = Math.min(KEPT_MS, lifeOf(certificate) * JITTER);
  const picked = Math.min(start + random * (end - start), latest);
  return Math.round(Math.max(picked, certificate.arrivedAt + kept));
}
