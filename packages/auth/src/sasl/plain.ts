/** SASL PLAIN (RFC 4616): `[authzid] NUL authcid NUL passwd`. Pure. */
import { AuthError } from '../errors.ts';
import { textOf } from './gs2.ts';
import { challenge, type SaslStep } from './step.ts';

export interface PlainCredentials {
  readonly address: string;
  readonly password: string;
  /** As whom the client wants to act; undefined where it is the same. */
  readonly authorizationId: string | undefined;
}

/** Twice what RFC 4616 §2 asks to be accepted. */
const MAX_FIELD_BYTES = 510;
const NUL = 0;

export function startPlain(): SaslStep {
  return challenge('', (response) => ({ kind: 'password', ...parsePlain(response) }));
}

/** Reads a decoded response. Throws AuthError (malformed-response). */
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
  return { address, password, authorizationId: authorizationId || undefined };
}

function field(octets: Uint8Array): string {
  if (octets.length > MAX_FIELD_BYTES) throw malformed('a field is too long');
  return textOf(octets);
}

function malformed(why: string): AuthError {
  return new AuthError('malformed-response', `not a PLAIN response: ${why}`);
}
