/**
 * What a command can fail with. `ImapSyntaxError` comes from the parsers and is answered BAD;
 * `ReplyError` is an expected refusal, answered in its own words; `SessionEnd` closes the connection
 * after a BYE. Anything else is a bug: logged, answered NO [SERVERBUG].
 */
import { StoreError } from '@mail/store';

export type SyntaxErrorCode = 'malformed' | 'too-long' | 'too-deep' | 'too-many';

/** A command that breaks the grammar (RFC 3501 §9) or one of our limits on it. */
export class ImapSyntaxError extends Error {
  readonly code: SyntaxErrorCode;

  /** `message` is shown to the client: one line, ASCII, nothing of the client's own octets. */
  constructor(code: SyntaxErrorCode, message: string) {
    super(message);
    this.name = 'ImapSyntaxError';
    this.code = code;
  }
}

/** Response codes that we send with NO or BAD (RFC 9051 §7.1, RFC 5530 §3, RFC 4469 §4.2, RFC 5464 §5, RFC 5465 §8, RFC 9586). */
export type RefusalCode =
  | 'ALREADYEXISTS'
  | 'AUTHENTICATIONFAILED'
  | `BADEVENT ${string}`
  | 'AUTHORIZATIONFAILED'
  | 'BADCHARSET (US-ASCII UTF-8)'
  | 'CANNOT'
  | 'EXPUNGEISSUED'
  | 'HASCHILDREN'
  | 'LIMIT'
  | `METADATA MAXSIZE ${number}`
  | 'METADATA TOOMANY'
  | 'NONEXISTENT'
  | 'NOPERM'
  | 'NOTIFICATIONOVERFLOW'
  | 'OVERQUOTA'
  | 'PRIVACYREQUIRED'
  | 'SERVERBUG'
  | 'TOOBIG'
  | 'TRYCREATE'
  | 'UIDREQUIRED'
  | 'UNAVAILABLE'
  | 'UNKNOWN-CTE'
  | 'USEATTR';

export class ReplyError extends Error {
  readonly status: 'NO' | 'BAD';
  readonly code: RefusalCode | undefined;

  constructor(
    status: 'NO' | 'BAD',
    code: RefusalCode | undefined,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'ReplyError';
    this.status = status;
    this.code = code;
  }
}

/** NO with a response code: the command was understood and is refused. */
export function refuse(
  code: RefusalCode | undefined,
  message: string,
  cause?: unknown,
): ReplyError {
  return new ReplyError('NO', code, message, cause === undefined ? undefined : { cause });
}

/** Whether the store is out of reach for now: what failed may be tried again. */
export function isStoreUnavailable(error: unknown): boolean {
  return error instanceof StoreError && error.code === 'database-unavailable';
}

/** Ends the session: `* BYE message`, then the connection closes (RFC 3501 §7.1.5). */
export class SessionEnd extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'SessionEnd';
  }
}
