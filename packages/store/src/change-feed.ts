/**
 * Who watches which mailbox, and calling them. An engine says that something may have changed; the
 * feed finds out for the watched mailboxes by their modification sequences.
 */
import type { Logger } from '@mail/service';
import type { ChangeSignal, Engine, Touched } from './engine.ts';
import type { MailboxId, ModSeq } from './mail-store.ts';
import { readModSeqs } from './mailboxes.ts';

interface Watched {
  readonly callbacks: Set<() => void>;
  /** Undefined until it is first read. */
  modSeq: ModSeq | undefined;
}

export class ChangeFeed {
  readonly #engine: Pick<Engine, 'read' | 'listen'>;
  readonly #logger: Logger;
  readonly #watched = new Map<MailboxId, Watched>();
  #stopListening: (() => void) | undefined;
  /** The check under way; signals that come meanwhile ask for one more. */
  #checking: Promise<void> | undefined;
  #checkAgain = false;

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
      this.#check();
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
    this.#stopListening?.();
    this.#stopListening = undefined;
  }

  readonly #signal: ChangeSignal = (touched) => {
    if (touched === undefined) this.#check();
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

  #check(): void {
    this.#checkAgain = true;
    this.#checking ??= this.#checkAll()
      .catch((error: unknown) => {
        this.#logger.warn({ error }, 'cannot read whether watched mailboxes changed');
      })
      .finally(() => {
        this.#checking = undefined;
      });
  }

  async #checkAll(): Promise<void> {
    while (this.#checkAgain && this.#watched.size > 0) {
      this.#checkAgain = false;
      const ids = [...this.#watched.keys()];
      const modSeqs = await this.#engine.read((db) => readModSeqs(db, ids));
      for (const id of ids) {
        const watched = this.#watched.get(id);
        if (watched === undefined) continue;
        // a mailbox that is gone has changed for the last time
        const modSeq = modSeqs.get(id) ?? Number.POSITIVE_INFINITY;
        const before = watched.modSeq;
        if (before !== undefined && before >= modSeq) continue;
        watched.modSeq = modSeq;
        if (before !== undefined) this.#call(watched);
      }
    }
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
