/** Readiness of a process: named conditions, all of which must hold. Liveness is that it answers. */

/** Condition to what is missing, for people. */
export type UnmetConditions = Readonly<Record<string, string>>;

export class Health {
  readonly #unmet = new Map<string, string>();
  readonly #observers = new Set<() => void>();

  /** Declares or renews a condition. `why` says, for people, what is missing; undefined = it holds. */
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

  /** Calls `observer` after each change. */
  observe(observer: () => void): void {
    this.#observers.add(observer);
  }
}
