/** What the writer thread and its owner say to each other. */

import type { Touched } from '../../engine.ts';
import type { WriteArguments, WriteName } from '../../writes.ts';
import type { SentError } from '../sent-error.ts';

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
