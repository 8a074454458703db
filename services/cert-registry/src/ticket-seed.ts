/**
 * The ticket seed's age: a seed that no switch has replaced for a day is replaced by one of its own, over
 * the same path, so that a seed that leaks opens the sessions of a day at most. Runs from `start` to `stop`.
 */
import type { Logger } from '@mail/service';
import type { AuditTrail } from './audit.ts';
import { MAX_TIMER_MS, TICKET_SEED_RETRY_MS } from './config.ts';
import type { RegistryDatabase } from './database.ts';
import { describeOutcome } from './errors.ts';
import { REGISTRY_IDENTITY } from './roles.ts';
import type { Rotations } from './rotations.ts';

export interface TicketSeedOptions {
  readonly database: RegistryDatabase;
  readonly rotations: Rotations;
  readonly audit: AuditTrail;
  readonly logger: Logger;
  readonly maxAgeMs: number;
  /** Wall clock, milliseconds: the seed's age goes on while the registry is down. */
  readonly now: () => number;
  readonly onFatal: (error: unknown) => void;
}

export class TicketSeed {
  readonly #options: TicketSeedOptions;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: TicketSeedOptions) {
    this.#options = options;
  }

  start(): void {
    this.#lookIn(this.#leftMs);
  }

  /** One that is being changed is the rotations' to wait for. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  /** Until the seed in force is due; negative when it is overdue. */
  get #leftMs(): number {
    const { database, maxAgeMs, now } = this.#options;
    return (database.activeGeneration()?.committedAt ?? 0) + maxAgeMs - now();
  }

  #lookIn(ms: number): void {
    if (this.#stopped) return;
    const look = () => this.#look().catch(this.#options.onFatal);
    this.#timer = setTimeout(look, Math.min(Math.max(ms, 0), MAX_TIMER_MS));
  }

  async #look(): Promise<void> {
    if (this.#leftMs > 0) this.#lookIn(this.#leftMs);
    else this.#lookIn(await this.#change());
  }

  /** Resolves with how long to wait before the next look. */
  async #change(): Promise<number> {
    const { rotations, audit, logger } = this.#options;
    const record = (target: string, outcome: string) => {
      // the database may be closed by then
      if (this.#stopped) return;
      audit.record({ actor: REGISTRY_IDENTITY.uri, action: 'ticket-seed', target, outcome });
    };
    try {
      const { toGeneration } = await rotations.renewTicketSeed();
      record(`generation ${toGeneration}`, 'ok');
      return this.#leftMs;
    } catch (error) {
      logger.warn({ error }, 'the ticket seed could not be changed; trying again later');
      record('', describeOutcome(error));
      return TICKET_SEED_RETRY_MS;
    }
  }
}
