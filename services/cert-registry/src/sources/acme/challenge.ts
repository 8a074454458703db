/** How a CA is shown that a name is ours (RFC 8555 §8); http-challenge.ts and dns-challenge.ts do it. */

export type ChallengeType = 'http-01' | 'dns-01';

export interface Proof {
  /** Without "*.". */
  readonly name: string;
  readonly token: string;
  /** What is to be found: the key authorization for http-01, the text of the TXT record for dns-01. */
  readonly value: string;
}

export interface ChallengeResponder {
  readonly type: ChallengeType;
  /**
   * Puts the proofs where the CA will look, and resolves once it may. What it resolves with takes them away
   * again, as far as that can be done, and never throws; after a failure it has taken them away itself.
   * Throws AcmeError (proof-failed, not-listening, stopped).
   */
  provide(proofs: readonly Proof[], signal: AbortSignal): Promise<() => Promise<void>>;
}
