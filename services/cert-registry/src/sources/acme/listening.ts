/**
 * That somebody answers http-01 as long as the source runs. That nobody can is told once, and taken back once
 * somebody does: also by another process, and also where the challenge is another by then.
 */
import type { Logger } from '@mail/service';
import type { SourceStatus } from '../source-status.ts';
import { AcmeError } from './errors.ts';
import type { KeptState } from './state.ts';

export interface Listener {
  /** Once it listens, again does nothing. Throws AcmeError (not-listening). */
  listen(): Promise<void>;
  close(): Promise<void>;
}

export interface ListeningParts {
  /** Undefined for dns-01. */
  readonly listener: Listener | undefined;
  readonly state: KeptState;
  readonly status: SourceStatus;
  readonly logger: Logger;
}

export class Listening {
  readonly #parts: ListeningParts;
  #told = false;

  constructor(parts: ListeningParts) {
    this.#parts = parts;
  }

  async begin(): Promise<void> {
    const { listener, state, status } = this.#parts;
    try {
      await listener?.listen();
    } catch (error) {
      if (!(error instanceof AcmeError)) throw error;
      this.#tell(error.message);
      return;
    }
    this.#told = false;
    if (!state.value.deaf) return;
    state.change({ deaf: false });
    status.recovered();
  }

  #tell(reason: string): void {
    if (this.#told) return;
    const { state, status, logger } = this.#parts;
    this.#told = true;
    state.change({ deaf: true });
    status.failed(reason);
    logger.error({ reason }, 'http-01 cannot be answered');
  }
}
