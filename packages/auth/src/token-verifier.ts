/** Who vouches for bearer tokens, as logins see it. */

export type TokenVerdict =
  /** The issuer says that the bearer has this address. */
  | { readonly kind: 'good'; readonly address: string }
  /** `forged` where no token of the issuer was shown; an old one is nobody's guess. */
  | { readonly kind: 'bad'; readonly forged: boolean }
  /** The issuer did not answer; nothing was checked. */
  | { readonly kind: 'unavailable' };

export interface TokenVerifier {
  /** Where clients learn how to get a token (OpenID Connect Discovery 1.0 §4). */
  readonly discoveryUrl: string;
  /** Never rejects. */
  verify(token: string): Promise<TokenVerdict>;
}
