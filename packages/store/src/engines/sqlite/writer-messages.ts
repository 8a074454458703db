/** What the writer thread and its owner say to each other. */

import type { Touched } from '../../engine.ts';
import { StoreError, type StoreErrorCode } from '../../errors.ts';
import type { WriteArguments, WriteName } from '../../writes.ts';

export interface WriterData {
  readonly path: string;
  readonly bellPath: string;
}

export interface WriteRequest {
  readonly kind: 'write';
  readonly id: number;
  readonly name: WriteName;
  readonly args: WriteArguments<WriteName>;
}

export type ToWriter = WriteRequest | { readonly kind: 'close' };

/** An error that has crossed threads. */
export interface SentError {
  /** Undefined for a bug. */
  readonly code: StoreErrorCode | undefined;
  readonly message: string;
  readonly stack: string | undefined;
}

export type Answer =
  | { readonly id: number; readonly ok: true; readonly result: unknown }
  | { readonly id: number; readonly ok: false; readonly error: SentError };

export type FromWriter =
  | { readonly kind: 'open' }
  | { readonly kind: 'not-open'; readonly error: SentError }
  /** Sent when a commit has been durable; `committed` is false where nothing was changed. */
  | {
      readonly kind: 'answers';
      readonly answers: readonly Answer[];
      readonly touched: Touched;
      readonly committed: boolean;
    };

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
