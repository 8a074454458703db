/** The GS2 header (RFC 5801 §4) that SCRAM and OAUTHBEARER begin with. Pure. */
import { AuthError } from '../errors.ts';

export interface Gs2Header {
  /**
   * "n": the client knows no channel binding; "y": it does, and thinks that we do not; otherwise the type
   * that it uses.
   */
  readonly binding: 'n' | 'y' | { readonly type: string };
  readonly authorizationId: string | undefined;
  /** The header as it came, its two commas included. */
  readonly text: string;
}

/** Octets of names, as RFC 4616 has it for PLAIN, twice over. */
const MAX_NAME_CHARACTERS = 510;
const HEADER = /^(?:([ny])|p=([A-Za-z0-9.-]{1,64})),(?:a=([^,\0]+))?,/;

/** Reads the head of a message. Throws AuthError (malformed-response). */
export function parseGs2Header(message: string): Gs2Header {
  const [text, flag, type, name] = HEADER.exec(message) ?? [];
  if (text === undefined) throw new AuthError('malformed-response', 'the GS2 header is broken');
  return {
    binding: type === undefined ? (flag as 'n' | 'y') : { type },
    authorizationId: name === undefined ? undefined : decodeName(name),
    text,
  };
}

/** A saslname: "=2C" is a comma, "=3D" an equals sign (RFC 5801 §4). Throws AuthError. */
export function decodeName(text: string): string {
  if (text.length > MAX_NAME_CHARACTERS || /=(?!2C|3D)/.test(text)) {
    throw new AuthError('malformed-response', 'a name is too long, or escaped wrongly');
  }
  return text.replaceAll('=2C', ',').replaceAll('=3D', '=');
}

/** Text of a response. Throws AuthError where it is no UTF-8. */
export function textOf(octets: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(octets);
  } catch (cause) {
    throw new AuthError('malformed-response', 'a response is no UTF-8', { cause });
  }
}
