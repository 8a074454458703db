/**
 * What a command can fail with. `ReplyError` is an expected refusal, answered `-ERR` in its own words;
 * anything else is a bug: logged, answered `-ERR [SYS/TEMP]`.
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
