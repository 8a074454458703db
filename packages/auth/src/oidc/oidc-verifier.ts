/**
 * Bearer tokens of an OpenID Connect issuer: a JWT by its signature (RFC 9068, RFC 7519), whatever else by
 * asking the issuer (RFC 7662), if it is told as whom.
 */
import { errors, type JWTPayload, jwtVerify } from 'jose';
import type { TokenVerdict, TokenVerifier } from '../token-verifier.ts';
import { fetchObject } from './bounded-fetch.ts';
import { Issuer } from './issuer.ts';
import { type OidcConfig, type OidcSettings, oidcConfig } from './settings.ts';

export interface OidcVerifierOptions {
  readonly logger: { warn(fields: object, message: string): void };
  readonly now?: () => Date;
}

/** Signatures that only the issuer can make: none by a shared secret, none by nobody. */
const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];
/** Between our clock and the issuer's. */
const CLOCK_TOLERANCE_S = 30;
/** Questions to the issuer at once. */
const MAX_QUESTIONS = 32;
const JWT = /^[\w-]+\.[\w-]+\.[\w-]+$/;
const MS_PER_SECOND = 1_000;

const BAD: TokenVerdict = { kind: 'bad', forged: false };
const FORGED: TokenVerdict = { kind: 'bad', forged: true };

export class OidcVerifier implements TokenVerifier {
  readonly #config: OidcConfig;
  readonly #issuer: Issuer;
  readonly #logger: OidcVerifierOptions['logger'];
  readonly #now: () => Date;
  #questions = 0;

  constructor(config: OidcConfig, options: OidcVerifierOptions) {
    this.#config = config;
    this.#issuer = new Issuer(config.issuer);
    this.#logger = options.logger;
    this.#now = options.now ?? (() => new Date());
  }

  get discoveryUrl(): string {
    return this.#issuer.discoveryUrl;
  }

  async verify(token: string): Promise<TokenVerdict> {
    try {
      return JWT.test(token) ? await this.#verifyJwt(token) : await this.#askFor(token);
    } catch (error) {
      if (error instanceof errors.JWTExpired) return BAD;
      if (error instanceof errors.JOSEError && !isOutage(error)) return FORGED;
      this.#logger.warn({ error }, 'the issuer of tokens does not answer as it should');
      return { kind: 'unavailable' };
    }
  }

  async #verifyJwt(token: string): Promise<TokenVerdict> {
    const { keys } = await this.#issuer.metadata();
    const { payload } = await jwtVerify(token, keys, {
      algorithms: ALGORITHMS,
      issuer: this.#config.issuer,
      audience: [...this.#config.audience],
      requiredClaims: ['exp', 'iss', 'aud'],
      clockTolerance: CLOCK_TOLERANCE_S,
      currentDate: this.#now(),
    });
    return this.#addressIn(payload);
  }

  /** RFC 7662 §2. */
  async #askFor(token: string): Promise<TokenVerdict> {
    const { audience, introspection, issuer } = this.#config;
    if (introspection === undefined) return FORGED;
    const { introspectionUrl } = await this.#issuer.metadata();
    if (introspectionUrl === undefined) throw new Error('the issuer answers no questions');
    if (this.#questions >= MAX_QUESTIONS) return { kind: 'unavailable' };
    this.#questions += 1;
    try {
      // RFC 6749 §2.3.1: encoded as in a form, then as Basic has it
      const name = [introspection.clientId, introspection.clientSecret].map(encodeURIComponent);
      const found = await fetchObject(introspectionUrl, {
        method: 'POST',
        headers: {
          accept: 'application/json',
          authorization: `Basic ${Buffer.from(name.join(':')).toString('base64')}`,
        },
        body: new URLSearchParams({ token, token_type_hint: 'access_token' }),
      });
      if (found['active'] !== true) return FORGED;
      // a token that is good for others is not for us; where it says nothing, who got it counts
      const meantFor = [found['aud'] ?? found['client_id'] ?? []].flat();
      const ours = meantFor.some((name) => audience.includes(String(name)));
      const { iss = issuer, exp, nbf } = found;
      const now = this.#now().getTime() / MS_PER_SECOND;
      const early = typeof nbf === 'number' && now < nbf - CLOCK_TOLERANCE_S;
      const late = typeof exp === 'number' && now >= exp + CLOCK_TOLERANCE_S;
      return ours && iss === issuer && !early && !late ? this.#addressIn(found) : BAD;
    } finally {
      this.#questions -= 1;
    }
  }

  #addressIn(claims: JWTPayload | Record<string, unknown>): TokenVerdict {
    const { claim } = this.#config;
    const address = claims[claim];
    if (typeof address !== 'string' || address === '') return BAD;
    // whoever may write any address at the issuer must not become its owner here
    if (claim === 'email' && String(claims['email_verified'] ?? true) === 'false') return BAD;
    return { kind: 'good', address };
  }
}

/** Undefined where the settings name no issuer: then no tokens are taken. */
export function createTokenVerifier(
  settings: OidcSettings,
  options: OidcVerifierOptions,
): TokenVerifier | undefined {
  const config = oidcConfig(settings);
  return config && new OidcVerifier(config, options);
}

/** Of the issuer's keys, not of the token. */
function isOutage({ code }: errors.JOSEError): boolean {
  return code === 'ERR_JWKS_TIMEOUT' || code === 'ERR_JWKS_INVALID' || code === 'ERR_JOSE_GENERIC';
}
