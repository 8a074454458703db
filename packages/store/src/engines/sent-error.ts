/** Errors on their way between threads, which keep no class. */
import { StoreError, type StoreErrorCode } from '../errors.ts';

export interface SentError {
  /** Undefined for a bug. */
  readonly code: StoreErrorCode | undefined;
  readonly message: string;
  readonly stack: string | undefined;
}

export function sendError(error: unknown): SentError {
  if (!(error instanceof Error))
    return { code: undefined, message: String(error), stack: undefined };
  const cause = error.cause instanceof Error ? ` (${error.cause.message})` : '';
  return {
    code: error instanceof StoreError ? error.code : undefined,
    message: error.message + cause,
    stack: error.stack,
  };
}

export function receiveError(sent: SentError): Error {
  if (sent.code !== undefined) return new StoreError(sent.code, sent.message);
  const error = new Error(sent.message);
  if (sent.stack !== undefined) error.stack = sent.stack;
  return error;
}
