/**
 * The key of the next certificate: it waits in a signing request of its own, so that its TLSA record can be
 * published before it is used (RFC 7671 §8.1). Here is the decision: pure.
 */

/** As the registry holds them. */
export interface HeldKey {
  readonly id: string;
  readonly spki: string;
  /** As describeKey says: "ECDSA P-256". */
  readonly keyType: string;
}

export interface HeldRequest extends HeldKey {
  readonly names: readonly string[];
}

export interface NextKeyFacts {
  /** The request that waits now. */
  readonly request: HeldRequest | undefined;
  /** The certificate that came last. */
  readonly last: HeldKey | undefined;
  /** `reuse`: the next certificate has the key of the last. */
  readonly policy: 'fresh' | 'reuse';
  /** As describeKey says. */
  readonly keyType: string;
  readonly names: readonly string[];
}

export type NextKeyPlan =
  | { readonly kind: 'keep' }
  /** A request is to be made: under a fresh key, or under that of `keyOf`. It takes the place of the one now. */
  | { readonly kind: 'make'; readonly keyOf: string | undefined };

export function planNextKey({ request, last, policy, keyType, names }: NextKeyFacts): NextKeyPlan {
  const reused = policy === 'reuse' && last?.keyType === keyType ? last : undefined;
  const fits =
    request !== undefined &&
    request.keyType === keyType &&
    (reused === undefined
      ? policy === 'reuse' || request.spki !== last?.spki
      : request.spki === reused.spki);
  if (fits && sameNames(request.names, names)) return { kind: 'keep' };
  // other names are no reason for another key, whose record may be published already
  return { kind: 'make', keyOf: fits ? request.id : reused?.id };
}

export function sameNames(some: readonly string[], others: readonly string[]): boolean {
  return [...some].sort().join() === [...others].sort().join();
}
