/** SASL LOGIN (draft-murchison-sasl-login): a name, then a password. Obsolete, and what Outlook speaks. Pure. */
import { AuthError } from '../errors.ts';
import { textOf } from './gs2.ts';
import { challenge, type SaslStep } from './step.ts';

/** As for PLAIN. */
const MAX_FIELD_BYTES = 510;

/** A name may come with the command: it answers the first challenge. */
export function startLogin(): SaslStep {
  return challenge('Username:', (name) => {
    const address = field(name);
    return challenge('Password:', (password) => ({
      kind: 'password',
      address,
      password: field(password),
      authorizationId: undefined,
    }));
  });
}

function field(octets: Buffer): string {
  if (octets.length === 0 || octets.length > MAX_FIELD_BYTES) {
    throw new AuthError('malformed-response', 'a LOGIN response is empty or too long');
  }
  return textOf(octets);
}
