/**
 * Ends sessions that keep a connection and get nowhere. RFC 5321 §4.5.3.2 gives each command its own time,
 * so a stranger may stay for ever on a command every few minutes; what bounds that is how long a session
 * goes, and how many commands it sends, between two steps forward: a login, a message.
 */
import { MAX_COMMANDS_WITHOUT_PROGRESS, PROGRESS_TIMEOUT_MS } from './config.ts';

/** Verbs that are bounded by other limits: recipients by their number, messages by their size. */
const COUNTED_ELSEWHERE = new Set(['RCPT', 'DATA']);

export class ProgressWatch {
  readonly #onOverdue: () => void;
  #timer: NodeJS.Timeout | undefined;
  #commands = 0;

  /** `onOverdue` is called once in each period without a step, until it is stopped. */
  constructor(onOverdue: () => void) {
    this.#onOverdue = onOverdue;
    this.noteStep();
  }

  /** A login, or the end of a message. */
  noteStep(): void {
    this.#commands = 0;
    clearInterval(this.#timer);
    this.#timer = setInterval(this.#onOverdue, PROGRESS_TIMEOUT_MS);
  }

  /** Counts a command; false when it is one too many. */
  allows(verb: string): boolean {
    if (!COUNTED_ELSEWHERE.has(verb)) this.#commands += 1;
    return this.#commands <= MAX_COMMANDS_WITHOUT_PROGRESS;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
