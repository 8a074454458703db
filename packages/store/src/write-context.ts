/** What a write works with; made anew for each. */
import type { Kysely } from 'kysely';
import type { AccountId, MailboxId, ModSeq } from './mail-store.ts';
import type { Schema } from './schema.ts';
import type { TextIndex } from './search-index.ts';

export interface WriteContext {
  /** Inside the write's transaction. */
  readonly db: Kysely<Schema>;
  /** Whether other writes run at the same time, so that rows must be locked (locks.ts). */
  readonly locksRows: boolean;
  /** Undefined where the database has none, and texts are gone through. */
  readonly textIndex: TextIndex | undefined;
  readonly now: Date;
  /** 128 random bits, in the letters of object ids (RFC 8474 §5.1). */
  readonly randomId: () => string;
  /** Tells the watchers, once the write is committed. */
  readonly touch: (mailboxId: MailboxId, modSeq: ModSeq) => void;
  /** The same for what an account has besides messages: see advance-account.ts. */
  readonly touchAccount: (accountId: AccountId) => void;
}
