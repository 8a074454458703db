/**
 * Who watches which mailbox or account, and calling them. An engine says that something may have changed;
 * the feed finds out for what is watched: of mailboxes by their modification sequences, of accounts by
 * their versions (account-overview.ts), which are read in any case.
 */
import type { Logger } from '@mail/service';
import { readAccountVersions, readOwners } from './account-overview.ts';
import type { ChangeSignal, Engine, Touched } from './engine.ts';
import type { AccountId, MailboxId, ModSeq } from './mail-store.ts';
import { readModSeqs } from './mailboxes.ts';
import { Touches } from './touches.ts';

/** Before a check whose read failed is made again. */
const RETRY_MS = 1_000;

interface Watched<State> {
  readonly callbacks: Set<() => void>;
  /**
   * Undefined until the first signal, which then calls back in any case: between a watcher's start and
   * a first reading of ours a change could slip through.
   */
  state: State | undefined;
}

export class ChangeFeed {
  readonly #engine: Pick<Engine, 'read' | 'listen'>;
  readonly #logger: Logger;
  readonly #mailboxes = new Map<MailboxId, Watched<ModSeq>>();
  readonly #accounts = new Map<AccountId, Watched<string>>();
  #stopListening: (() => void) | undefined;
  #checking = false;
  /** Signals came that the check under way may have been too early for: of anything, or of accounts. */
  #checkAll = false;
  #suspects = new Touches();
  #retry: NodeJS.Timeout | undefined;

  constructor(engine: Pick<Engine, 'read' | 'listen'>, logger: Logger) {
    this.#engine = engine;
    this.#logger = logger;
  }

  watch(mailboxId: MailboxId, changed: () => void): () => void {
    return this.#watch(this.#mailboxes, mailboxId, changed);
  }

  watchAccount(accountId: AccountId, changed: () => void): () => void {
    return this.#watch(this.#accounts, accountId, changed);
  }

  #watch<State>(among: Map<number, Watched<State>>, id: number, changed: () => void): () => void {
    // two watchers with one function are still two
    const callback = (): void => changed();
    let watched = among.get(id);
    if (watched === undefined) {
      watched = { callbacks: new Set(), state: undefined };
      among.set(id, watched);
      this.#stopListening ??= this.#engine.listen(this.#signal);
    }
    watched.callbacks.add(callback);
    return () => {
      watched.callbacks.delete(callback);
      if (watched.callbacks.size > 0 || among.get(id) !== watched) return;
      among.delete(id);
      if (this.#mailboxes.size + this.#accounts.size === 0) this.close();
    };
  }

  close(): void {
    this.#mailboxes.clear();
    this.#accounts.clear();
    clearTimeout(this.#retry);
    this.#stopListening?.();
    this.#stopListening = undefined;
  }

  readonly #signal: ChangeSignal = (touched) => {
    if (touched === undefined) {
      this.#checkAll = true;
    } else {
      this.#take(touched.mailboxes);
      if (this.#accounts.size === 0) return;
      this.#suspects.add(touched);
    }
    void this.#check();
  };

  #take(mailboxes: Touched['mailboxes']): void {
    for (const [mailboxId, modSeq] of mailboxes) {
      const watched = this.#mailboxes.get(mailboxId);
      if (watched === undefined || (watched.state ?? 0) >= modSeq) continue;
      watched.state = modSeq;
      this.#call(watched);
    }
  }

  async #check(): Promise<void> {
    if (this.#checking) return;
    this.#checking = true;
    try {
      while (this.#checkAll || !this.#suspects.isEmpty) {
        const all = this.#checkAll;
        const suspects = this.#suspects.take();
        this.#checkAll = false;
        this.#suspects = new Touches();
        if (all) await this.#checkMailboxes([...this.#mailboxes.keys()]);
        await this.#checkAccounts(all ? [...this.#accounts.keys()] : await this.#owners(suspects));
      }
    } catch (error) {
      this.#logger.warn({ error }, 'cannot read whether what is watched has changed');
      // the signal comes once: without another try a watcher would hear of nothing until the next commit
      clearTimeout(this.#retry);
      this.#retry = setTimeout(() => this.#signal(undefined), RETRY_MS).unref();
    } finally {
      this.#checking = false;
    }
  }

  async #checkMailboxes(ids: readonly MailboxId[]): Promise<void> {
    if (ids.length === 0) return;
    const modSeqs = await this.#engine.read((db) => readModSeqs(db, ids));
    // a mailbox that is gone has changed for the last time
    this.#take(ids.map((id) => [id, modSeqs.get(id) ?? Number.POSITIVE_INFINITY]));
  }

  /** Accounts that are watched, and of which something was touched. */
  async #owners({ mailboxes, accounts }: Touched): Promise<AccountId[]> {
    const ids = mailboxes.map(([id]) => id);
    const owners = ids.length === 0 ? [] : await this.#engine.read((db) => readOwners(db, ids));
    return [...new Set([...accounts, ...owners])].filter((id) => this.#accounts.has(id));
  }

  async #checkAccounts(ids: readonly AccountId[]): Promise<void> {
    if (ids.length === 0) return;
    const versions = await this.#engine.read((db) => readAccountVersions(db, ids));
    for (const id of ids) {
      const watched = this.#accounts.get(id);
      const version = versions.get(id) ?? 'gone';
      if (watched === undefined || watched.state === version) continue;
      watched.state = version;
      this.#call(watched);
    }
  }

  #call({ callbacks }: Pick<Watched<unknown>, 'callbacks'>): void {
    for (const callback of callbacks) {
      try {
        callback();
      } catch (error) {
        this.#logger.error({ error }, 'a watcher failed');
      }
    }
  }
}
