/**
 * What is logged of one connection that became a session: fields that all its lines share, and one line at
 * its end with what it came to.
 */
import { randomBytes } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { type LogFields, type Logger, withLogFields } from '@mail/service';

/** Session ids begin so: like no other process's. */
const ID_PREFIX = randomBytes(6).toString('hex');
let sessions = 0;

export interface SessionFacts {
  readonly logger: Logger;
  readonly listener: string;
  readonly remoteAddress: string;
  /** One that nobody need hear of, such as a probe of our own. */
  readonly quiet: boolean;
}

export class SessionLog {
  /** Unique over processes and restarts. */
  readonly id: string;
  readonly #logger: Logger;
  readonly #quiet: boolean;
  readonly #common: LogFields;
  readonly #counts: Record<string, number> = {};
  readonly #begunAt = performance.now();

  constructor({ logger, listener, remoteAddress, quiet }: SessionFacts) {
    sessions += 1;
    this.id = `${ID_PREFIX}.${sessions.toString(36)}`;
    this.#logger = logger;
    this.#quiet = quiet;
    this.#common = { session: this.id, listener, remoteAddress };
  }

  /** Runs a part of the session: its lines, and those of what it calls, say whose they are. */
  run<T>(work: () => T): T {
    return withLogFields(this.#common, work);
  }

  /** From here on lines say who is logged in. `account` is the store's id of it. */
  noteAccount(account: number): void {
    this.#common['account'] = account;
  }

  noteTls(socket: TLSSocket, generation: number): void {
    this.#common['tls'] = socket.getProtocol() ?? '';
    this.#common['cipher'] = socket.getCipher()?.standardName ?? '';
    this.#common['generation'] = generation;
  }

  /** Counts something that the last line tells, such as "messages". */
  count(what: string, by = 1): void {
    this.#counts[what] = (this.#counts[what] ?? 0) + by;
  }

  begin(): void {
    this.run(() => this.#logger.debug('a session begins'));
  }

  /** `received` and `sent` are octets on the wire. Who came and said nothing is no news. */
  end(received: number, sent: number): void {
    const level = this.#quiet || received === 0 ? 'debug' : 'info';
    const seconds = Math.round(performance.now() - this.#begunAt) / 1000;
    const fields = { seconds, received, sent, ...this.#counts };
    this.run(() => this.#logger[level](fields, 'a session has ended'));
  }
}
