/**
 * SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, the server's side (RFC 5802 §5 to §7, RFC 7677). Pure: nonce, keys and
 * channel binding are handed in.
 *
 * A failure is told by the protocol alone: the "e=" of a server-final-message would be one more round
 * trip that no client makes use of.
 */
import { timingSafeEqual } from 'node:crypto';
import { AuthError } from '../errors.ts';
import { hmac, type ScramKeys, sha256 } from '../scram-keys.ts';
import { decodeName, type Gs2Header, parseGs2Header, textOf } from './gs2.ts';
import { type ChallengeStep, challenge, type ScramProof, type ScramStep } from './step.ts';

/**
 * Data of a type of channel binding on the connection; undefined for a type that it has not. The types
 * are those of RFC 9266 ("tls-exporter") and RFC 5929 ("tls-server-end-point").
 */
export type ChannelBinding = (type: string) => Buffer | undefined;

export interface ScramOptions {
  /** The mechanism is SCRAM-SHA-256-PLUS. */
  readonly plus: boolean;
  /** Set where SCRAM-SHA-256-PLUS is offered on the connection. */
  readonly binding: ChannelBinding | undefined;
  /** Fresh for each exchange: printable ASCII without commas. */
  readonly nonce: string;
}

/** `reserved-mext` is refused by not being matched (RFC 5802 §5.1: "m="). Extensions behind are ours to ignore. */
const CLIENT_FIRST = /^n=([^,\0]+),r=([\x21-\x2b\x2d-\x7e]{1,256})(?:,[A-Za-z]=[^,\0]+)*$/;
const CLIENT_FINAL =
  /^c=([A-Za-z0-9+/]+={0,2}),r=([\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-z]=[^,\0]+)*,p=([A-Za-z0-9+/]{43}=)$/;
/** Of a client's nonce: less would be no nonce. */
const MIN_NONCE_CHARACTERS = 8;

export function startScram(options: ScramOptions): ChallengeStep<ScramStep> {
  return challenge('', (response) => readClientFirst(textOf(response), options));
}

function readClientFirst(message: string, options: ScramOptions): ScramStep {
  const header = parseGs2Header(message);
  const binding = bindingOf(header, options);
  const bare = message.slice(header.text.length);
  const [, name, clientNonce = ''] = CLIENT_FIRST.exec(bare) ?? [];
  if (name === undefined || clientNonce.length < MIN_NONCE_CHARACTERS) {
    throw malformed('the first message is broken');
  }
  const nonce = `${clientNonce}${options.nonce}`;
  return {
    kind: 'scram',
    address: decodeName(name),
    authorizationId: header.authorizationId,
    next: (keys) => {
      const [{ salt, iterations }] = keys;
      const serverFirst = `r=${nonce},s=${salt.toString('base64')},i=${iterations}`;
      const sent = `${bare},${serverFirst}`;
      return challenge(serverFirst, (response) =>
        readClientFinal(textOf(response), { keys, nonce, binding, sent }),
      );
    },
  };
}

/** What "c=" has to be: header and binding data (RFC 5802 §6). Throws AuthError. */
function bindingOf(header: Gs2Header, { plus, binding }: ScramOptions): Buffer {
  const text = Buffer.from(header.text, 'utf8');
  if (typeof header.binding === 'string') {
    // the mechanism is chosen by whether there is a binding
    if (plus) throw malformed('there is no channel binding');
    if (header.binding === 'y' && binding !== undefined) {
      const message = 'the client was not told of SCRAM-SHA-256-PLUS: somebody is in between';
      throw new AuthError('channel-binding', message);
    }
    return text;
  }
  if (!plus) throw malformed('a channel binding wants SCRAM-SHA-256-PLUS');
  const data = binding?.(header.binding.type);
  if (data === undefined) {
    throw new AuthError('channel-binding', 'the connection has no channel binding of that type');
  }
  return Buffer.concat([text, data]);
}

interface Sent {
  readonly keys: readonly ScramKeys[];
  readonly nonce: string;
  readonly binding: Buffer;
  /** The first two messages, as AuthMessage begins. */
  readonly sent: string;
}

function readClientFinal(message: string, { keys, nonce, binding, sent }: Sent): ScramProof {
  const [, bound = '', echoed, proof = ''] = CLIENT_FINAL.exec(message) ?? [];
  if (echoed === undefined) throw malformed('the final message is broken');
  if (echoed !== nonce) throw malformed('the nonce is another');
  if (!Buffer.from(bound, 'base64').equals(binding)) {
    throw new AuthError('channel-binding', 'the client speaks of another connection');
  }
  const authMessage = `${sent},${message.slice(0, message.lastIndexOf(',p='))}`;
  const clientProof = Buffer.from(proof, 'base64');
  let fits: number | undefined;
  // all of them, so that how long it takes does not tell which one it was
  for (const [at, { storedKey }] of keys.entries()) {
    const clientKey = exclusiveOr(clientProof, hmac(storedKey, authMessage));
    if (timingSafeEqual(sha256(clientKey), storedKey)) fits ??= at;
  }
  const serverKey = (keys[fits ?? 0] as ScramKeys).serverKey;
  const signature = hmac(serverKey, authMessage).toString('base64');
  return { fits, serverFinal: Buffer.from(`v=${signature}`) };
}

function exclusiveOr(a: Buffer, b: Buffer): Buffer {
  return Buffer.from(a.map((octet, at) => octet ^ (b[at] ?? 0)));
}

function malformed(why: string): AuthError {
  return new AuthError('malformed-response', `not a SCRAM message: ${why}`);
}
