/** What a long export or import has done, could not do, and has left. */
import { plain, span } from '../output.ts';
import { StatusLine } from '../status-line.ts';
import type { Terminal } from '../terminal.ts';

/** Kept to be listed; the rest is counted. */
const MAX_FAILURES = 1_000;

export interface Failure {
  /** The mailbox, and the UID or file. */
  readonly where: string;
  readonly why: string;
}

export class WorkReport {
  /** Messages that were written. */
  done = 0;
  /** Messages that were there from before. */
  skipped = 0;
  octets = 0;
  failed = 0;
  readonly failures: Failure[] = [];
  readonly #status: StatusLine;
  readonly #terminal: Terminal;
  readonly #startedAt: number;
  #what = '';
  /** Of whichever unit is known beforehand. */
  #total = 0;
  #passed = 0;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
    this.#status = new StatusLine(terminal);
    this.#startedAt = terminal.now().getTime();
  }

  /** Work that is known to come: messages, or octets where those are not known. */
  expect(units: number): void {
    this.#total += units;
  }

  begin(what: string): void {
    this.#what = what;
  }

  /** So much of what was expected is behind us. */
  pass(units: number): void {
    this.#passed += units;
    this.#status.show(() => this.#describe());
  }

  fail(where: string, why: string): void {
    this.failed += 1;
    if (this.failures.length < MAX_FAILURES) this.failures.push({ where, why });
  }

  end(): void {
    this.#status.clear();
  }

  /** What failed, a line each; empty for nothing. */
  describeFailures(): string[] {
    const lines = this.failures.map(({ where, why }) => `  ${plain(where)}: ${plain(why)}`);
    const more = this.failed - this.failures.length;
    return more === 0 ? lines : [...lines, `  and ${more} more`];
  }

  #describe(): string {
    const ms = Math.max(1, this.#terminal.now().getTime() - this.#startedAt);
    const rate = `${megaoctets((this.octets * 1000) / ms)}/s`;
    const share = this.#total === 0 ? 0 : this.#passed / this.#total;
    const left = share > 0.001 ? `, ${span((ms * (1 - share)) / share)} left` : '';
    const messages = this.done + this.skipped;
    return `${plain(this.#what)}: ${messages} messages, ${megaoctets(this.octets)}, ${rate}${left}`;
  }
}

export function megaoctets(octets: number): string {
  return `${(octets / 1e6).toFixed(1)} MB`;
}
