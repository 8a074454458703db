/**
 * Maildrop locks over all processes and hosts: advisory locks of PostgreSQL, held by one connection of this
 * process. The server lets them go with that connection, however it ends, and then all sessions that held
 * one are told: another may have the maildrop by then.
 */
import type pg from 'pg';
import { StoreError } from '../../errors.ts';
import type { AccountId, MaildropLock } from '../../mail-store.ts';
import { MAILDROP_LOCKS } from './advisory-locks.ts';
import { createClient } from './connections.ts';
import { fromConnecting, fromConnection, fromPostgres } from './errors.ts';
import type { PostgresLocation } from './location.ts';

export class MaildropLocks {
  readonly #location: PostgresLocation;
  /** Also those that are still asked for: PostgreSQL would give one connection the same lock again. */
  readonly #held = new Map<AccountId, AbortController>();
  #connection: Promise<pg.Client> | undefined;
  /** One statement at a time. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(location: PostgresLocation) {
    this.#location = location;
  }

  /** Throws StoreError (maildrop-locked, database-unavailable). */
  async lock(accountId: AccountId): Promise<MaildropLock> {
    if (this.#held.has(accountId)) throw maildropLocked();
    const loss = new AbortController();
    this.#held.set(accountId, loss);
    try {
      const answer = await this.#ask('pg_try_advisory_lock', accountId);
      if (!answer) throw maildropLocked();
      if (loss.signal.aborted) throw connectionLost();
    } catch (error) {
      this.#forget(accountId, loss);
      throw error;
    }
    return { release: () => this.#release(accountId, loss), lost: loss.signal };
  }

  /** Lets go of all of them. */
  async close(): Promise<void> {
    this.#held.clear();
    const connection = await this.#connection?.catch(() => undefined);
    await connection?.end();
  }

  async #release(accountId: AccountId, loss: AbortController): Promise<void> {
    // who asks for it from now on has its turn behind us
    if (!this.#forget(accountId, loss)) return;
    try {
      await this.#ask('pg_advisory_unlock', accountId);
    } catch {
      // with the connection all its locks are gone
    }
  }

  #forget(accountId: AccountId, loss: AbortController): boolean {
    return this.#held.get(accountId) === loss && this.#held.delete(accountId);
  }

  #ask(call: 'pg_try_advisory_lock' | 'pg_advisory_unlock', id: AccountId): Promise<boolean> {
    const asked = this.#turn.then(async () => {
      const connection = await this.#connect();
      try {
        const key = String(MAILDROP_LOCKS + BigInt(id));
        const { rows } = await connection.query(`select ${call}($1) as yes`, [key]);
        return rows[0]?.yes === true;
      } catch (cause) {
        const error = fromConnection(cause);
        // an answer that never came: what this connection holds is not known any more
        if (error !== cause) connection.end().catch(() => {});
        throw fromPostgres(error);
      }
    });
    this.#turn = asked.catch(() => {});
    return asked;
  }

  #connect(): Promise<pg.Client> {
    this.#connection ??= this.#open();
    return this.#connection;
  }

  async #open(): Promise<pg.Client> {
    const client = createClient(this.#location);
    try {
      await client.connect();
    } catch (error) {
      this.#connection = undefined;
      client.end().catch(() => {});
      throw fromConnecting(error);
    }
    client.once('end', () => {
      this.#connection = undefined;
      const lost = [...this.#held.values()];
      this.#held.clear();
      for (const loss of lost) loss.abort(connectionLost());
    });
    return client;
  }
}

function maildropLocked(): StoreError {
  return new StoreError('maildrop-locked', 'another session has this maildrop');
}

function connectionLost(): StoreError {
  return new StoreError('database-unavailable', 'the lock was lost with its connection');
}
