/**
 * How far long work is, on standard error: one line that is written over on a terminal, and a line now and
 * then where there is none.
 */
import type { Terminal } from './terminal.ts';

const OVERWRITE_MS = 200;
const LINE_MS = 30_000;
const CLEAR_LINE = '\r\x1b[K';

export class StatusLine {
  readonly #terminal: Pick<Terminal, 'err' | 'interactive' | 'now'>;
  #lastAt: number;
  #shown = false;

  constructor(terminal: Pick<Terminal, 'err' | 'interactive' | 'now'>) {
    this.#terminal = terminal;
    // short work says nothing
    this.#lastAt = terminal.now().getTime();
  }

  /** `text` gives one line; it is not asked for more often than it is shown. */
  show(text: () => string): void {
    const now = this.#terminal.now().getTime();
    const { interactive } = this.#terminal;
    if (now - this.#lastAt < (interactive ? OVERWRITE_MS : LINE_MS)) return;
    this.#lastAt = now;
    this.#terminal.err(interactive ? `${CLEAR_LINE}${text()}` : `${text()}\n`);
    this.#shown = interactive;
  }

  /** Before something else is written. */
  clear(): void {
    if (this.#shown) this.#terminal.err(CLEAR_LINE);
    this.#shown = false;
  }
}
