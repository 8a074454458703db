/** What the thread that prepares writes and its owner say to each other. */
import type { PreparedWrite, WriteArguments, WriteName } from '../../writes.ts';
import type { SentError } from '../sent-error.ts';

export interface PrepareRequest {
  readonly id: number;
  readonly name: WriteName;
  readonly args: WriteArguments<WriteName>;
}

export type PrepareAnswer =
  | { readonly id: number; readonly ok: true; readonly prepared: PreparedWrite<WriteName> }
  | { readonly id: number; readonly ok: false; readonly error: SentError };
