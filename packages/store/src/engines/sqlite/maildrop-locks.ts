/**
 * Maildrop locks over all processes of a host: a file for each account, locked by the operating system
 * through an exclusive SQLite transaction, so that the lock ends with its process whatever kills that.
 * A held lock costs one file descriptor and about 20 KB; an account whose maildrop was ever locked
 * keeps an empty file.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { StoreError } from '../../errors.ts';
import type { AccountId, MaildropLock } from '../../mail-store.ts';
import { fromSqlite, isBusy } from './errors.ts';

/** The operating system takes no lock back. */
const NEVER = new AbortController().signal;

export class MaildropLocks {
  readonly #folder: string;
  readonly #held = new Set<DatabaseSync>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Throws StoreError (maildrop-locked, database-unavailable). */
  lock(accountId: AccountId): MaildropLock {
    let file: DatabaseSync | undefined;
    try {
      mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
      file = new DatabaseSync(join(this.#folder, `${accountId}.lock`));
      // nothing is ever written, so there is no journal and nothing to flush
      file.exec('pragma cache_size = 0; begin exclusive');
    } catch (error) {
      file?.close();
      if (isBusy(error)) {
        throw new StoreError('maildrop-locked', 'another session has this maildrop');
      }
      throw fromSqlite(error);
    }
    const held = file;
    this.#held.add(held);
    return {
      release: async () => {
        if (this.#held.delete(held)) held.close();
      },
      lost: NEVER,
    };
  }

  close(): void {
    for (const file of this.#held) file.close();
    this.#held.clear();
  }
}
