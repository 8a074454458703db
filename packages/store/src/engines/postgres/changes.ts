/**
 * How processes that share a PostgreSQL database hear of each other's commits: who has committed notifies a
 * channel, and who watches listens to it.
 *
 * The notification is a transaction of its own, behind the commit. In the same one it would make all
 * commits of the database queue up: PostgreSQL lets one transaction with a notification commit at a time,
 * and each would flush the disk alone. One that only notifies flushes nothing, and those of many writes
 * share one. A process that dies in between leaves its last changes unsaid, which the poll finds.
 */

import type { Logger } from '@mail/service';
import { type Kysely, sql } from 'kysely';
import type pg from 'pg';
import type { ChangeSignal, Touched } from '../../engine.ts';
import type { Schema } from '../../schema.ts';
import { Touches } from '../../touches.ts';
import { createClient } from './connections.ts';
import type { PostgresLocation } from './location.ts';

const CHANNEL = 'concert_changes';
/** Of one notification; PostgreSQL takes 7,999 octets, and a mailbox has at most 35, an account 19. */
const MAX_TOUCHED = 200;
/** For notifications that were never made or never arrived. */
const POLL_MS = 10_000;
/** Before another try to connect, doubled up to the second figure. */
const RETRY_MS = { least: 100, most: 5_000 };

function waitBefore(attempt: number): number {
  const wait = Math.min(RETRY_MS.least * 2 ** attempt, RETRY_MS.most);
  return wait * (0.5 + Math.random() / 2);
}

/** A list: of each mailbox its id and modification sequence, of each account its id alone. */
function writeTouched({ mailboxes, accounts }: Touched): string {
  return JSON.stringify([...mailboxes, ...accounts.map((accountId) => [accountId])]);
}

/** Undefined for what no process of ours sends: anything may have changed then. */
function parseTouched(payload: string): Touched | undefined {
  const touched = new Touches();
  try {
    const value: unknown = JSON.parse(payload);
    if (!Array.isArray(value)) return undefined;
    for (const entry of value) {
      if (!Array.isArray(entry) || !entry.every(Number.isSafeInteger)) return undefined;
      if (entry.length === 2) touched.touch(entry[0], entry[1]);
      else if (entry.length === 1) touched.touchAccount(entry[0]);
      else return undefined;
    }
    return touched.take();
  } catch {
    return undefined;
  }
}

/** Tells the other processes of our commits, one notification at a time. */
export class ChangeNotifier {
  readonly #db: Kysely<Schema>;
  readonly #logger: Logger;
  readonly #untold = new Touches();
  #telling: Promise<void> | undefined;
  #closing = false;

  constructor(db: Kysely<Schema>, logger: Logger) {
    this.#db = db;
    this.#logger = logger;
  }

  tell(touched: Touched): void {
    this.#untold.add(touched);
    this.#telling ??= this.#tellAll();
  }

  /** Tells what is untold, if PostgreSQL is there. */
  async close(): Promise<void> {
    this.#closing = true;
    await this.#telling;
  }

  async #tellAll(): Promise<void> {
    // what is touched in the same turn goes along
    await undefined;
    for (let attempt = 0; !this.#untold.isEmpty; ) {
      const told = this.#untold.take(MAX_TOUCHED);
      try {
        await sql`select pg_notify(${CHANNEL}, ${writeTouched(told)})`.execute(this.#db);
        this.#untold.remove(told);
        attempt = 0;
      } catch (error) {
        // others find the changes by their poll, and when they are connected again
        if (this.#closing) break;
        if (attempt === 0) this.#logger.warn({ error }, 'cannot tell other processes of a change');
        const wait = waitBefore(attempt++);
        await new Promise((resolve) => setTimeout(resolve, wait));
      }
    }
    this.#telling = undefined;
  }
}

/** Calls `heard` for the commits of all processes, until it is closed; connects again when it must. */
export class ChangeListener {
  readonly #location: PostgresLocation;
  readonly #heard: ChangeSignal;
  readonly #logger: Logger;
  readonly #poll: NodeJS.Timeout;
  #client: pg.Client | undefined;
  #retry: NodeJS.Timeout | undefined;
  #attempts = 0;
  #closed = false;

  constructor(location: PostgresLocation, heard: ChangeSignal, logger: Logger) {
    this.#location = location;
    this.#heard = heard;
    this.#logger = logger;
    this.#poll = setInterval(() => heard(undefined), POLL_MS).unref();
    void this.#connect();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#poll);
    clearTimeout(this.#retry);
    await this.#client?.end();
  }

  async #connect(): Promise<void> {
    const client = createClient(this.#location);
    this.#client = client;
    client.on('notification', ({ payload }) => this.#heard(parseTouched(payload ?? '')));
    try {
      await client.connect();
      await client.query(`listen ${CHANNEL}`);
      client.once('end', () => this.#connectAgain(undefined));
      if (this.#attempts > 0) this.#logger.info('hearing of changes by other processes again');
      this.#attempts = 0;
      // what was told before we listened
      this.#heard(undefined);
    } catch (error) {
      client.end().catch(() => {});
      this.#connectAgain(error);
    }
  }

  #connectAgain(error: unknown): void {
    if (this.#closed) return;
    if (this.#attempts === 0) {
      this.#logger.warn({ error }, 'changes by other processes are heard late: no connection');
    }
    this.#retry = setTimeout(() => void this.#connect(), waitBefore(this.#attempts));
    this.#attempts += 1;
  }
}
