/**
 * The audit trail: who did what, when, with which outcome. Reading calls are not in it, refused ones are.
 * What is recorded has happened: a trail that can't be written is told in the log, entry and all, and
 * changes nothing of what came of the call.
 */
import type { AuditEvent } from '@mail/proto';
import type { Logger } from '@mail/service';
import type { AuditRow, RegistryDatabase } from './database.ts';

const MAX_TEXT_LENGTH = 500;
/** Denials of one actor, action and outcome are one row in this time: they must not push others out. */
const DENIAL_INTERVAL_MS = 600_000;
/** Different denials that are told apart; far more than there are identities times calls. */
const MAX_DENIALS = 1_000;

export interface AuditEntry {
  /** An identity's URI, or what stands for a caller that has none. */
  readonly actor: string;
  /** The RPC, "start" or "ticket-seed". */
  readonly action: string;
  /** The certificate, rotation, identity or names concerned; may be empty. */
  readonly target: string;
  /** "ok", or the gRPC status and message. */
  readonly outcome: string;
}

export class AuditTrail {
  readonly #database: RegistryDatabase;
  readonly #now: () => number;
  readonly #logger: Logger;
  /** By actor, action and outcome: when it was recorded last, and how many came since. */
  readonly #denials = new Map<string, { at: number; since: number }>();

  constructor(database: RegistryDatabase, now: () => number, logger: Logger) {
    this.#database = database;
    this.#now = now;
    this.#logger = logger;
  }

  /** Throws nothing. */
  record(entry: AuditEntry): void {
    this.#write(entry, (event) => this.#database.insertAuditEvent(event));
  }

  /**
   * For callers without the right, who can send thousands a second: no sync of the disk, and of those that
   * are alike one row in ten minutes, which says how many there were before it. Throws nothing.
   */
  recordDenial(entry: AuditEntry): void {
    const { actor, action, outcome } = shortened(entry);
    const key = JSON.stringify([actor, action, outcome]);
    const now = this.#now();
    const known = this.#denials.get(key);
    if (known !== undefined && now - known.at < DENIAL_INTERVAL_MS) {
      known.since += 1;
      return;
    }
    const before = known?.since ?? 0;
    this.#denials.delete(key);
    const [oldest] = this.#denials.keys();
    if (this.#denials.size >= MAX_DENIALS && oldest !== undefined) this.#denials.delete(oldest);
    this.#denials.set(key, { at: now, since: 0 });
    const told =
      before === 0 ? entry : { ...entry, outcome: `${outcome} (and ${before} more before)` };
    this.#write(told, (event) => this.#database.insertAuditEventWithoutSync(event));
  }

  #write(entry: AuditEntry, insert: (event: Omit<AuditRow, 'id'>) => void): void {
    const event = { at: this.#now(), ...shortened(entry) };
    try {
      insert(event);
    } catch (error) {
      this.#logger.error({ error, event }, 'the audit trail could not be written');
    }
  }

  /** Newest first. */
  list(limit: number, beforeId: number | undefined): AuditEvent[] {
    return this.#database
      .auditEvents(limit, beforeId)
      .map(({ id, at, ...entry }) => ({ id: BigInt(id), at: new Date(at), ...entry }));
  }
}

function shortened({ actor, action, target, outcome }: AuditEntry): AuditEntry {
  const cut = (text: string) => text.slice(0, MAX_TEXT_LENGTH);
  return { actor: cut(actor), action: cut(action), target: cut(target), outcome: cut(outcome) };
}
