/** SASL PLAIN (RFC 4616): `[authzid] NUL authcid NUL passwd`. Pure. */
import { AuthError } from '../errors.ts';

export interface PlainCredentials {
  readonly address: string;
  readonly password: string;
}

/** Twice what RFC 4616 §2 asks to be accepted. */
const MAX_FIELD_BYTES = 510;
const NUL = 0;

/**
 * Reads a decoded response. Nobody acts for somebody else here, so an authorization identity must be
 * absent or the same as the authentication identity. Throws AuthError (malformed-response).
 */
export function parsePlain(response: Uint8Array): PlainCredentials {
  const first = response.indexOf(NUL);
  const second = first < 0 ? -1 : response.indexOf(NUL, first + 1);
  if (second < 0 || response.indexOf(NUL, second + 1) >= 0) {
    throw malformed('it has not three fields');
  }
  const authorizationId = field(response.subarray(0, first));
  const address = field(response.subarray(first + 1, second));
  const password = field(response.subarray(second + 1));
  if (address === '' || password === '') throw malformed('name or password is empty');
  if (authorizationId !== '' && authorizationId.toLowerCase() !== address.toLowerCase()) {
    throw malformed('it asks to act for somebody else');
  }
  return { address, password };
}

function field(octets: Uint8Array): string {
  if (octets.length > MAX_FIELD_BYTES) throw malformed('a field is too long');
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(octets);
  } catch (cause) {
    throw malformed('a field is no UTF-8', cause);
  }
}

function malformed(why: string, cause?: unknown): AuthError {
  return new AuthError('malformed-response', `not a PLAIN response: ${why}`, { cause });
}
