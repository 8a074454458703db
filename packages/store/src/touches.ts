/** Gathers what writes have changed until they are committed. */
import type { Touched } from './engine.ts';
import type { AccountId, MailboxId, ModSeq } from './mail-store.ts';

export class Touches {
  readonly #mailboxes = new Map<MailboxId, ModSeq>();
  readonly #accounts = new Set<AccountId>();

  /** As WriteContext has them. */
  readonly touch = (mailboxId: MailboxId, modSeq: ModSeq): void => {
    this.#mailboxes.set(mailboxId, Math.max(modSeq, this.#mailboxes.get(mailboxId) ?? 0));
  };
  readonly touchAccount = (accountId: AccountId): void => {
    this.#accounts.add(accountId);
  };

  get isEmpty(): boolean {
    return this.#mailboxes.size === 0 && this.#accounts.size === 0;
  }

  add({ mailboxes, accounts }: Touched): void {
    for (const [mailboxId, modSeq] of mailboxes) this.touch(mailboxId, modSeq);
    for (const accountId of accounts) this.touchAccount(accountId);
  }

  /** Forgets what was told, unless it has been changed since. */
  remove({ mailboxes, accounts }: Touched): void {
    for (const [mailboxId, modSeq] of mailboxes) {
      if (this.#mailboxes.get(mailboxId) === modSeq) this.#mailboxes.delete(mailboxId);
    }
    for (const accountId of accounts) this.#accounts.delete(accountId);
  }

  /** All of it, or as much as `most` entries have. */
  take(most = Number.POSITIVE_INFINITY): Touched {
    const mailboxes = [...this.#mailboxes].slice(0, most);
    return { mailboxes, accounts: [...this.#accounts].slice(0, most - mailboxes.length) };
  }
}
