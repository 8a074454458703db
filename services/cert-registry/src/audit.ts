/**
 * The audit trail: who did what, when, with which outcome. Reading calls are not in it, refused ones are.
 * What is recorded has happened: a trail that can't be written is told in the log, entry and all, and
 * changes nothing of what came of the call.
 */
import type { AuditEvent } from '@mail/proto';
import type { Logger } from '@mail/service';
import type { AuditRow, RegistryDatabase } from './database.ts';

const MAX_TEXT_LENGTH = 500;

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
   * For callers without the right: they can send thousands a second, each of which would sync the disk.
   * Throws nothing.
   */
  recordDenial(entry: AuditEntry): void {
    this.#write(entry, (event) => this.#database.insertAuditEventWithoutSync(event));
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
