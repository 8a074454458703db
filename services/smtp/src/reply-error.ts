/** Refusals meant for the client. Anything else that is thrown is a bug, and is told as 451. */
import type { Logger } from '@mail/service';
import { StoreError } from '@mail/store';

/** A reply of 4xx or 5xx with its enhanced status code (RFC 3463). */
export class ReplyError extends Error {
  /** Read by smtp-server. */
  readonly responseCode: number;
  /** RFC 3463, such as "5.7.1". */
  readonly enhanced: string;

  /** `enhanced` as "5.7.1"; `text` is one line without anything that a client sent unchecked. */
  constructor(code: number, enhanced: string, text: string, options?: ErrorOptions) {
    super(`${enhanced} ${text}`, options);
    this.name = 'ReplyError';
    this.responseCode = code;
    this.enhanced = enhanced;
  }
}

/** For now: its user may make room, and the sender tries again until then (RFC 3463 §3.3). */
export function mailboxFull(options?: ErrorOptions): ReplyError {
  return new ReplyError(452, '4.2.2', 'The mailbox is full', options);
}

export function tooLargeForMailbox(options?: ErrorOptions): ReplyError {
  return new ReplyError(
    552,
    '5.2.3',
    'The message is larger than all that the mailbox may hold',
    options,
  );
}

function isStoreUnavailable(error: unknown): boolean {
  return (
    error instanceof StoreError &&
    (error.code === 'database-unavailable' || error.code === 'closed')
  );
}

/** What the client hears of `error`; logs what it must not hear. */
export function toReply(error: unknown, logger: Logger): ReplyError {
  if (error instanceof ReplyError) return error;
  // the store's own word, logged and counted where it lost its database
  if (isStoreUnavailable(error)) {
    return new ReplyError(451, '4.3.0', 'The mail store is not available, try again', {
      cause: error,
    });
  }
  logger.error({ error }, 'a command failed');
  return new ReplyError(451, '4.3.0', 'Something went wrong here, try again later', {
    cause: error,
  });
}
