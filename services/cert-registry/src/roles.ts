/**
 * Who may call what. The caller's role comes from the one URI name of the certificate that it proved by
 * mutual TLS, and from nothing else. What is not in the table is refused.
 */
import {
  CertRegistryServiceService,
  CertSubscriptionServiceService,
  IdentityServiceService,
} from '@mail/proto';
import {
  IDENTITY_RULE,
  type IdentityName,
  identityFromAltName,
  identityUri,
  parseIdentityName,
  type Role,
} from '@mail/service';
import { RegistryError } from './errors.ts';

export { REGISTRY_IDENTITY } from '@mail/service';

export type Identity = IdentityName;

/** An authenticated caller. */
export interface Caller extends Identity {
  /** When its certificate ends, in milliseconds since the epoch. TLS has looked once; connections last. */
  readonly expiresAt: number;
}

/** What grpc-js tells of a caller; nothing of it is there unless TLS has verified the certificate. */
export interface PeerContext {
  readonly sslPeerCertificate?: {
    readonly subjectaltname?: string | undefined;
    readonly valid_to: string;
  };
}

/** "service/imap" or "operator/alice" as an identity. Throws RegistryError (invalid-argument). */
export function parseIdentity(text: string): Identity {
  const identity = parseIdentityName(text);
  if (identity !== undefined) return identity;
  throw new RegistryError(
    'invalid-argument',
    `"${text.slice(0, 80)}" is no identity; ${IDENTITY_RULE}`,
  );
}

/** The caller of a gRPC call, undefined where it has proved none. */
export function identityOf({ sslPeerCertificate: peer }: PeerContext): Caller | undefined {
  const identity = identityFromAltName(peer?.subjectaltname);
  if (peer === undefined || identity === undefined) return undefined;
  return { ...identity, expiresAt: Date.parse(peer.valid_to) };
}

/** What a caller is told whose certificate has ended. */
export function expired({ uri, expiresAt }: Caller): RegistryError {
  const end = Number.isNaN(expiresAt) ? 'at no known time' : new Date(expiresAt).toISOString();
  return new RegistryError(
    'unauthenticated',
    `the identity ${uri} expired ${end}; connect with a renewed one`,
  );
}

const OPERATORS: readonly Role[] = ['operator'];
const SERVICES: readonly Role[] = ['service'];
const BOTH: readonly Role[] = ['operator', 'service'];

type Methods<Definition> = { readonly [Method in keyof Definition]: readonly Role[] };

const REGISTRY_ROLES: Methods<typeof CertRegistryServiceService> = {
  importCertificate: OPERATORS,
  createSigningRequest: OPERATORS,
  completeSigningRequest: OPERATORS,
  createSelfSigned: OPERATORS,
  listCertificates: OPERATORS,
  getCertificate: OPERATORS,
  deleteCertificate: OPERATORS,
  previewRotation: OPERATORS,
  rotateCertificate: OPERATORS,
  rollbackCertificate: OPERATORS,
  getFleet: OPERATORS,
  watchFleet: OPERATORS,
  listRotations: OPERATORS,
  getRequiredNames: OPERATORS,
  setRequiredNames: OPERATORS,
  listAuditEvents: OPERATORS,
  listSources: OPERATORS,
  runSource: OPERATORS,
  listTlsaRecords: OPERATORS,
};
const SUBSCRIPTION_ROLES: Methods<typeof CertSubscriptionServiceService> = { subscribe: SERVICES };
const IDENTITY_ROLES: Methods<typeof IdentityServiceService> = {
  renewIdentity: BOTH,
  issueIdentity: OPERATORS,
};

function byPath<Definition extends Record<string, { path: string }>>(
  definition: Definition,
  roles: Methods<Definition>,
): [string, readonly Role[]][] {
  return Object.entries(definition).map(([method, { path }]) => [path, roles[method] ?? []]);
}

/** Each RPC's path with the roles that may call it. */
export const ROLES: ReadonlyMap<string, readonly Role[]> = new Map([
  ...byPath(CertRegistryServiceService, REGISTRY_ROLES),
  ...byPath(CertSubscriptionServiceService, SUBSCRIPTION_ROLES),
  ...byPath(IdentityServiceService, IDENTITY_ROLES),
  ['/grpc.health.v1.Health/Check', BOTH],
  ['/grpc.health.v1.Health/Watch', BOTH],
  ['/grpc.reflection.v1.ServerReflection/ServerReflectionInfo', BOTH],
  ['/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo', BOTH],
]);

/**
 * Returns the caller, or throws RegistryError: forbidden, which says who and what is needed, or
 * unauthenticated. `now` in milliseconds since the epoch.
 */
export function authorise(path: string, caller: Caller | undefined, now: number): Caller {
  const allowed = ROLES.get(path) ?? [];
  if (caller !== undefined && !(now < caller.expiresAt)) throw expired(caller);
  if (caller !== undefined && allowed.includes(caller.role)) return caller;
  const method = path.split('/').at(-1) ?? path;
  const who = caller?.uri ?? 'a certificate without a Concert identity';
  const needed = allowed.map((role) => identityUri(`${role}/NAME`)).join(' or ');
  throw new RegistryError(
    'forbidden',
    needed === ''
      ? `${who} may not call ${method}: nobody may`
      : `${who} may not call ${method}; it takes ${needed}`,
  );
}
