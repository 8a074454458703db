/** The audit trail: who did what, when, with which outcome. Reading calls are not in it, refused ones are. */
import type { AuditEvent } from '@mail/proto';
import type { RegistryDatabase } from './database.ts';

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

  constructor(database: RegistryDatabase, now: () => number) {
    this.#database = database;
    this.#now = now;
  }

  record(entry: AuditEntry): void {
    this.#database.insertAuditEvent({ at: this.#now(), ...shortened(entry) });
  }

  /** For callers without the right: they can send thousands a second, each of which would sync the disk. */
  recordDenial(entry: AuditEntry): void {
    this.#database.insertAuditEventWithoutSync({ at: this.#now(), ...shortened(entry) });
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
