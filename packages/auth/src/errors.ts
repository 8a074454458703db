/** What authentication refuses, as codes that services turn into their protocol's words. */

export type AuthErrorCode =
  /** A SASL response that is not what its mechanism says. */
  | 'malformed-response'
  /** The client sent "*" instead of a response. */
  | 'cancelled'
  /** No mechanism that is offered on the connection. */
  | 'unsupported-mechanism'
  /** A channel binding that is not this connection's, or a client that was told there is none. */
  | 'channel-binding'
  /** Too many password computations wait already. */
  | 'busy'
  /** A new password that can't be taken: empty, or longer than the limit. */
  | 'bad-password'
  /** A stored hash that is no argon2id PHC string, or stored keys that are none of SCRAM. */
  | 'bad-hash';

export class AuthError extends Error {
  readonly code: AuthErrorCode;

  constructor(code: AuthErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'AuthError';
    this.code = code;
  }
}
