/** OAUTHBEARER (RFC 7628) and XOAUTH2, as Google has it: a token that somebody else has given out. Pure. */
import { AuthError } from '../errors.ts';
import { parseGs2Header, textOf } from './gs2.ts';
import { challenge, type SaslStep } from './step.ts';

/** Between the parts of a message. */
const SEPARATOR = '\x01';
/** A token as RFC 6750 §2.1 writes it. */
const AUTH = /^Bearer +([A-Za-z0-9._~+/-]+=*) *$/i;
const KEY = /^([A-Za-z]+)=([\t\r\n\x20-\x7e]*)$/;
const MAX_PAIRS = 16;

export function startOAuthBearer(): SaslStep {
  return challenge('', (response) => {
    const message = textOf(response);
    const { binding, authorizationId, text } = parseGs2Header(message);
    // RFC 7628 §3.1: no binding is defined
    if (typeof binding !== 'string') throw malformed('it wants a channel binding');
    const pairs = readPairs(message.slice(text.length), 'kvsep-first');
    return { kind: 'token', token: tokenOf(pairs), authorizationId };
  });
}

export function startXOAuth2(): SaslStep {
  return challenge('', (response) => {
    const pairs = readPairs(textOf(response), 'pair-first');
    return {
      kind: 'token',
      token: tokenOf(pairs),
      authorizationId: pairs.get('user') || undefined,
    };
  });
}

/** Ends with two separators (RFC 7628 §3.1); each pair with one. */
function readPairs(text: string, begin: 'kvsep-first' | 'pair-first'): Map<string, string> {
  const parts = text.split(SEPARATOR);
  if (begin === 'kvsep-first' && parts.shift() !== '') throw malformed('it begins wrongly');
  if (parts.pop() !== '' || parts.pop() !== '') throw malformed('it ends wrongly');
  if (parts.length > MAX_PAIRS) throw malformed('it has too many parts');
  const pairs = new Map<string, string>();
  for (const part of parts) {
    // beyond ASCII there is nothing but XOAUTH2's user, an address
    const user = begin === 'pair-first' ? /^(user)=([^\0]*)$/.exec(part) : null;
    const [, key, value] = user ?? KEY.exec(part) ?? [];
    if (key === undefined || value === undefined || pairs.has(key)) {
      throw malformed('a part of it is broken');
    }
    pairs.set(key, value);
  }
  return pairs;
}

/** Empty where the client only wants to hear where tokens are to be had. */
function tokenOf(pairs: ReadonlyMap<string, string>): string {
  const auth = pairs.get('auth');
  if (auth === undefined) throw malformed('it has no token');
  if (auth === '') return '';
  const [, token] = AUTH.exec(auth) ?? [];
  if (token === undefined) throw malformed('it is not of type Bearer');
  return token;
}

function malformed(why: string): AuthError {
  return new AuthError('malformed-response', `not an OAuth response: ${why}`);
}
