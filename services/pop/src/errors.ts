/**
 * What a command can fail with. `ReplyError` is an expected refusal, answered `-ERR` in its own words;
 * after `SessionEnd`, answered the same way, the connection closes. Anything else is answered
 * `-ERR [SYS/TEMP]`, and logged unless it comes from the store.
 */

/** Extended response codes that we send (RFC 2449 §8, RFC 3206 §4). */
export type ResponseCode = 'AUTH' | 'IN-USE' | 'SYS/TEMP' | 'SYS/PERM';

export class ReplyError extends Error {
  readonly code: ResponseCode | undefined;

  /** `message` is shown to the client: one line, ASCII, nothing of the client's own octets. */
  constructor(code: ResponseCode | undefined, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ReplyError';
    this.code = code;
  }
}

/** The session is over, whatever its client had in mind. `cause` is what it failed with. */
export class SessionEnd extends Error {
  readonly code: ResponseCode;

  constructor(code: ResponseCode, message: string, cause: unknown) {
    super(message, { cause });
    this.name = 'SessionEnd';
    this.code = code;
  }
}
