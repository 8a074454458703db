/**
 * What the issuer says of itself (OpenID Connect Discovery 1.0 §4) and the keys it signs with: fetched when
 * first wanted, kept, fetched anew in time and when a token names a key that nobody knows.
 */
import { createRemoteJWKSet, customFetch, type JWTVerifyGetKey } from 'jose';
import { boundedFetch, fetchObject } from './bounded-fetch.ts';

interface Metadata {
  readonly keys: JWTVerifyGetKey;
  readonly jwksUrl: string;
  /** Undefined where the issuer answers no questions about tokens (RFC 7662). */
  readonly introspectionUrl: string | undefined;
}

const KEEP_MS = 3_600_000;
/** Before an issuer that did not answer is asked again. */
const RETRY_MS = 5_000;
/** Between two looks for a key that nobody knows, which any stranger can ask for. */
const KEY_COOLDOWN_MS = 30_000;

export class Issuer {
  readonly discoveryUrl: string;
  readonly #issuer: string;
  readonly #now: () => number;
  #metadata: Metadata | undefined;
  #loading: Promise<Metadata> | undefined;
  #loadAgainAt = 0;

  /** `issuer` as tokens have it in "iss"; `now` in milliseconds, never going back. */
  constructor(issuer: string, now: () => number = () => performance.now()) {
    this.#issuer = issuer;
    this.#now = now;
    this.discoveryUrl = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  }

  /** Rejects where the issuer has never answered, with why it does not. */
  async metadata(): Promise<Metadata> {
    if (this.#loading !== undefined) return this.#metadata ?? this.#loading;
    if (this.#now() < this.#loadAgainAt) {
      if (this.#metadata !== undefined) return this.#metadata;
      throw new Error('the issuer did not answer a moment ago');
    }
    const loading = this.#load();
    this.#loading = loading;
    try {
      this.#metadata = await loading;
      this.#loadAgainAt = this.#now() + KEEP_MS;
    } catch (error) {
      this.#loadAgainAt = this.#now() + RETRY_MS;
      // what it once said is good until it says something else
      if (this.#metadata === undefined) throw error;
    } finally {
      this.#loading = undefined;
    }
    return this.#metadata;
  }

  async #load(): Promise<Metadata> {
    const found = await fetchObject(this.discoveryUrl);
    // Discovery §4.3: another's document must not speak for this issuer
    if (found['issuer'] !== this.#issuer) {
      throw new Error(`${this.discoveryUrl} speaks for another issuer`);
    }
    const jwksUrl = this.#url(found['jwks_uri']);
    if (jwksUrl === undefined) throw new Error(`${this.discoveryUrl} names no keys`);
    const known = this.#metadata;
    return {
      jwksUrl,
      introspectionUrl: this.#url(found['introspection_endpoint']),
      keys: known?.jwksUrl === jwksUrl ? known.keys : keysAt(jwksUrl),
    };
  }

  /** As safe as the issuer's own. */
  #url(value: unknown): string | undefined {
    if (typeof value !== 'string' || !URL.canParse(value)) return undefined;
    const { protocol } = new URL(value);
    return protocol === 'https:' || protocol === new URL(this.#issuer).protocol ? value : undefined;
  }
}

function keysAt(url: string): JWTVerifyGetKey {
  return createRemoteJWKSet(new URL(url), {
    [customFetch]: (from, options) => boundedFetch(from, options as RequestInit),
    cacheMaxAge: KEEP_MS,
    cooldownDuration: KEY_COOLDOWN_MS,
  });
}
