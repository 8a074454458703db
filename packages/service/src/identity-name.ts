/**
 * Who is who inside the fleet: the names that certificates of the internal CA carry as their one URI
 * (RFC 5280 §4.2.1.6, in the manner of SPIFFE). What a role may do is the registry's.
 */

export type Role = 'operator' | 'service' | 'registry';

export interface IdentityName {
  readonly role: Role;
  /** "imap", "alice"; empty for the registry itself. */
  readonly name: string;
  /** "spiffe://concert/service/imap" */
  readonly uri: string;
}

const TRUST_DOMAIN = 'spiffe://concert';
const NAME = /^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$/;

export const REGISTRY_IDENTITY: IdentityName = {
  role: 'registry',
  name: '',
  uri: `${TRUST_DOMAIN}/registry`,
};

/** For refusals: how names are written. */
export const IDENTITY_RULE =
  'write service/NAME or operator/NAME with a name of a-z, 0-9, dots, hyphens, underscores';

/** Whether a service or an operator may have this name. */
export function isIdentityName(text: string): boolean {
  return NAME.test(text);
}

/** The URI of "service/imap". */
export function identityUri(name: string): string {
  return `${TRUST_DOMAIN}/${name}`;
}

/** "service/imap" or "operator/alice" as an identity; undefined for anything else. */
export function parseIdentityName(text: string): IdentityName | undefined {
  const [role, name = '', ...rest] = text.split('/');
  if ((role !== 'service' && role !== 'operator') || !NAME.test(name) || rest.length > 0) {
    return undefined;
  }
  return { role, name, uri: identityUri(text) };
}

/**
 * The identity in a certificate's subjectAltName as Node writes it; undefined for none, or for several
 * URIs. Node quotes names that hold a comma or a quote; no identity has such, so a list with any quote
 * has no identity, and one without splits safely (CVE-2021-44532).
 */
export function identityFromAltName(altName: string | undefined): IdentityName | undefined {
  if (altName === undefined || altName.includes('"')) return undefined;
  const uris = altName
    .split(', ')
    .filter((name) => name.startsWith('URI:'))
    .map((name) => name.slice('URI:'.length));
  const [uri] = uris;
  if (uris.length !== 1 || uri === undefined) return undefined;
  if (uri === REGISTRY_IDENTITY.uri) return REGISTRY_IDENTITY;
  if (!uri.startsWith(`${TRUST_DOMAIN}/`)) return undefined;
  return parseIdentityName(uri.slice(TRUST_DOMAIN.length + 1));
}

/**
 * Node's checkServerIdentity for connections to the registry: it proves itself by its URI name, so the
 * host it is reached under does not matter.
 */
export function checkRegistryIdentity(
  _host: string,
  { subjectaltname }: { readonly subjectaltname?: string | undefined },
): Error | undefined {
  if (identityFromAltName(subjectaltname) === REGISTRY_IDENTITY) return undefined;
  return new Error(`the peer does not prove that it is ${REGISTRY_IDENTITY.uri}`);
}
