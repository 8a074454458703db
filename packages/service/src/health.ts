/** Readiness of a process: named conditions, all of which must hold. Liveness is that it answers. */
export class Health {
  readonly #unmet = new Map<string, string>();
  readonly #observers = new Set<(ready: boolean) => void>();

  /** Declares or renews a condition. `why` says, for people, what is missing; undefined = it holds. */
  set(condition: string, why: string | undefined): void {
    const before = this.ready;
    if (why === undefined) this.#unmet.delete(condition);
    else this.#unmet.set(condition, why);
    if (this.ready !== before) for (const observer of this.#observers) observer(this.ready);
  }

  get ready(): boolean {
    return this.#unmet.size === 0;
  }

  /** Condition to what is missing. */
  get unmet(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.#unmet);
  }

  /** Calls `observer` on each change; returns how to stop it. */
  observe(observer: (ready: boolean) => void): () => void {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }
}
