/**
 * Who watches which mailbox, and calling them. An engine says that something may have changed; the
 * feed finds out for the watched mailboxes by their modification sequences.
 */
import type { Logger } from '@mail/service';
import type { ChangeSignal, Engine, Touched } from './engine.ts';
import type { MailboxId, ModSeq } from './mail-store.ts';
import { readModSeqs } from './mailboxes.ts';

/** Before a check whose read failed is made again. */
const RETRY_MS = 1_000;

interface Watched {
  readonly callbacks: Set<() => void>;
  /**
   * Undefined until the first signal, which then calls back in any case: between a watcher's start and
   * a first reading of ours a change could slip through.
   */
  modSeq: ModSeq | undefined;
}

export class ChangeFeed {
  readonly #engine: Pick<Engine, 'read' | 'listen'>;
  readonly #logger: Logger;
  readonly #watched = new Map<MailboxId, Watched>();
  #stopListening: (() => void) | undefined;
  #checking = false;
  /** A signal came that the check under way may have been too early for. */
  #checkAgain = false;
  #retry: NodeJS.Timeout | undefined;

  constructor(engine: Pick<Engine, 'read' | 'listen'>, logger: Logger) {
    this.#engine = engine;
    this.#logger = logger;
  }

  watch(mailboxId: MailboxId, changed: () => void): () => void {
    // two watchers with one function are still two
    const callback = (): void => changed();
    let watched = this.#watched.get(mailboxId);
    if (watched === undefined) {
      watched = { callbacks: new Set(), modSeq: undefined };
      this.#watched.set(mailboxId, watched);
      this.#stopListening ??= this.#engine.listen(this.#signal);
    }
    watched.callbacks.add(callback);
    return () => {
      watched.callbacks.delete(callback);
      if (watched.callbacks.size > 0 || this.#watched.get(mailboxId) !== watched) return;
      this.#watched.delete(mailboxId);
      if (this.#watched.size === 0) this.close();
    };
  }

  close(): void {
    this.#watched.clear();
    clearTimeout(this.#retry);
    this.#stopListening?.();
    this.#stopListening = undefined;
  }

  readonly #signal: ChangeSignal = (touched) => {
    if (touched === undefined) void this.#check();
    else this.#take(touched);
  };

  #take(touched: Touched): void {
    for (const [mailboxId, modSeq] of touched) {
      const watched = this.#watched.get(mailboxId);
      if (watched === undefined || (watched.modSeq ?? 0) >= modSeq) continue;
      watched.modSeq = modSeq;
      this.#call(watched);
    }
  }

  async #check(): Promise<void> {
    this.#checkAgain = true;
    if (this.#checking) return;
    this.#checking = true;
    try {
      while (this.#checkAgain) {
        this.#checkAgain = false;
        await this.#checkOnce([...this.#watched.keys()]);
      }
    } catch (error) {
      this.#logger.warn({ error }, 'cannot read whether watched mailboxes changed');
      // the signal comes once: without another try a watcher would hear of nothing until the next commit
      clearTimeout(this.#retry);
      this.#retry = setTimeout(() => void this.#check(), RETRY_MS).unref();
    } finally {
      this.#checking = false;
    }
  }

  async #checkOnce(ids: readonly MailboxId[]): Promise<void> {
    if (ids.length === 0) return;
    const modSeqs = await this.#engine.read((db) => readModSeqs(db, ids));
    // a mailbox that is gone has changed for the last time
    this.#take(ids.map((id) => [id, modSeqs.get(id) ?? Number.POSITIVE_INFINITY]));
  }

  #call(watched: Watched): void {
    for (const callback of watched.callbacks) {
      try {
        callback();
      } catch (error) {
        this.#logger.error({ error }, 'a watcher of a mailbox failed');
      }
    }
  }
}
