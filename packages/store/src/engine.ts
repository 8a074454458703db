/**
 * What a database must bring so that the store can be built on it (store.ts). The queries are Kysely
 * and belong to no engine; an engine says how they are run.
 */
import type { Kysely } from 'kysely';
import type {
  AccountId,
  MailboxId,
  MaildropLock,
  ModSeq,
  StoreStatistics,
  TextPage,
} from './mail-store.ts';
import type { Schema } from './schema.ts';
import type { TextQuery } from './search.ts';
import type { WriteArguments, WriteName, WriteResult } from './writes.ts';

/** What a write has changed. */
export interface Touched {
  /** With their modification sequence after it. */
  readonly mailboxes: readonly (readonly [MailboxId, ModSeq])[];
  /** Whose names, subscriptions or annotations it changed. */
  readonly accounts: readonly AccountId[];
}

/** `touched` where it is known (our own writes), undefined where another process wrote something. */
export type ChangeSignal = (touched: Touched | undefined) => void;

/** Every method throws StoreError (closed, database-unavailable, database-corrupt). */
export interface Engine {
  /** Each query sees all writes that have resolved. */
  read<T>(query: (db: Kysely<Schema>) => Promise<T>): Promise<T>;
  /** As read; the queries of one call see one state. */
  readAtOnce<T>(queries: (db: Kysely<Schema>) => Promise<T>): Promise<T>;
  /** As findText of search.ts, which takes its time: where that holds up nobody. */
  findText(query: TextQuery): Promise<TextPage>;
  /** Durable when it resolves, or undone as a whole. */
  write<N extends WriteName>(name: N, args: WriteArguments<N>): Promise<WriteResult<N>>;
  /** Says when anything may have changed, until the returned function is called. */
  listen(signal: ChangeSignal): () => void;
  /**
   * What the engine finds wrong in its own files, a sentence each; takes long where those are large. Empty
   * where another program sees to them.
   */
  examine(quick: boolean): Promise<string[]>;
  /** Throws maildrop-locked. */
  lockMaildrop(accountId: AccountId): Promise<MaildropLock>;
  readonly failed: Promise<never>;
  statistics(): StoreStatistics;
  close(): Promise<void>;
}
