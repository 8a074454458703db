/**
 * Health of a process: whether it has started, and whether it is ready, which is that each of some named
 * conditions holds. Liveness is that it answers.
 */

/** Condition to what is missing, for people. */
export type UnmetConditions = Readonly<Record<string, string>>;

export class Health {
  readonly #unmet = new Map<string, string>();
  readonly #observers = new Set<() => void>();
  #started = false;

  /**
   * Declares or renews a condition. `why` says, for people, what is missing; undefined = it holds. Probes
   * show it to whoever asks: no addresses, paths or names in it.
   */
  set(condition: string, why: string | undefined): void {
    if (this.#unmet.get(condition) === why) return;
    if (why === undefined) this.#unmet.delete(condition);
    else this.#unmet.set(condition, why);
    for (const observer of this.#observers) observer();
  }

  get ready(): boolean {
    return this.#unmet.size === 0;
  }

  get unmet(): UnmetConditions {
    return Object.fromEntries(this.#unmet);
  }

  /**
   * What a process needs from its own host is there: settings, files, databases. What it may have to wait
   * for, such as a certificate, is readiness.
   */
  get started(): boolean {
    return this.#started;
  }

  noteStarted(): void {
    this.#started = true;
  }

  /** Calls `observer` after each change of a condition. */
  observe(observer: () => void): void {
    this.#observers.add(observer);
  }
}
