/**
 * What a client hears of a command that takes long (RFC 9585): it shows its user that something happens,
 * and neither it nor what lies between takes the connection for dead.
 */
import type { Session } from './session.ts';
import { encodeString } from './strings.ts';

/** RFC 9585 §4: not often; below what mail clients wait for an answer. */
const INTERVAL_MS = 10_000;

export class Progress {
  readonly #session: Session;
  readonly #goal: number;
  #toldAt = performance.now();

  /** Begins now; `goal` in messages. */
  constructor(session: Session, goal: number) {
    this.#session = session;
    this.#goal = goal;
  }

  /** Says how far the command is, if nothing was said for long. Not within a response. Undefined where nothing is said. */
  tell(done: number): Promise<void> | undefined {
    const now = performance.now();
    if (now - this.#toldAt < INTERVAL_MS) return undefined;
    this.#toldAt = now;
    const { response, tag } = this.#session;
    const code = `INPROGRESS (${encodeString(tag)} ${done} ${this.#goal})` as const;
    response.notice(code, 'Still working');
    return response.flush();
  }
}
