/** Who vouches for the tokens that OAUTHBEARER and XOAUTH2 log in with. */
import { z } from 'zod';

/** Tokens come from there, and what they are checked by: in the clear on this host alone. */
const issuerUrl = z.string().refine((text) => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.search !== '' || url.hash !== '') return false;
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname));
}, 'wants https://host/path as the issuer writes itself');

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host);
}

const schema = z.object({
  /**
   * OpenID Connect issuer whose access tokens log in by OAUTHBEARER and XOAUTH2: its URL as its tokens have
   * it in "iss". Without it neither is offered.
   */
  CONCERT_OIDC_ISSUER: issuerUrl.optional(),
  /**
   * What a token's "aud" has to name: one or several, blanks between them; as a rule the client id that
   * the mail programs are registered with. Needed with CONCERT_OIDC_ISSUER.
   */
  CONCERT_OIDC_AUDIENCE: z.string().regex(/\S/, 'wants an audience').optional(),
  /** The claim that has the address of the account. "email" counts only where "email_verified" is not false. */
  CONCERT_OIDC_CLAIM: z.string().min(1).default('email'),
  /** As whom the issuer is asked about tokens that are no JWT (RFC 7662); without it those are refused. */
  CONCERT_OIDC_CLIENT_ID: z.string().min(1).optional(),
  /** The secret that goes with it. */
  CONCERT_OIDC_CLIENT_SECRET: z.string().min(1).optional(),
});
export type OidcSettings = z.output<typeof schema>;

/** What is to be checked; undefined where no issuer is set. */
export interface OidcConfig {
  readonly issuer: string;
  readonly audience: readonly string[];
  readonly claim: string;
  readonly introspection: { readonly clientId: string; readonly clientSecret: string } | undefined;
}

/** What services read: settings that belong together come together. */
export const oidcSettings = schema
  .refine((read) => read.CONCERT_OIDC_ISSUER === undefined || read.CONCERT_OIDC_AUDIENCE, {
    path: ['CONCERT_OIDC_AUDIENCE'],
    message: 'is needed with CONCERT_OIDC_ISSUER: tokens for others would log in',
  })
  .refine((read) => !read.CONCERT_OIDC_CLIENT_ID === !read.CONCERT_OIDC_CLIENT_SECRET, {
    path: ['CONCERT_OIDC_CLIENT_SECRET'],
    message: 'goes with CONCERT_OIDC_CLIENT_ID, both or none',
  });

export function oidcConfig(settings: OidcSettings): OidcConfig | undefined {
  const issuer = settings.CONCERT_OIDC_ISSUER;
  if (issuer === undefined) return undefined;
  const audience = (settings.CONCERT_OIDC_AUDIENCE ?? '').split(/\s+/);
  const clientId = settings.CONCERT_OIDC_CLIENT_ID;
  const clientSecret = settings.CONCERT_OIDC_CLIENT_SECRET;
  return {
    issuer,
    audience: audience.filter((name) => name !== ''),
    claim: settings.CONCERT_OIDC_CLAIM,
    introspection: clientId && clientSecret ? { clientId, clientSecret } : undefined,
  };
}
