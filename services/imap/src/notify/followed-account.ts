/** An account that is watched, and with it each mailbox of others that its user can list and read. */
import type { AccountOverview, MailboxId, MailStore, ModSeq } from '@mail/store';
import { readOverview, type User } from '../access/mailboxes.ts';

/** A session is one. */
interface Follower extends User {
  readonly store: Pick<MailStore, 'mailboxes' | 'sharing' | 'overview' | 'watch' | 'watchAccount'>;
}

export class FollowedAccount {
  readonly #follower: Follower;
  readonly #changed: () => void;
  readonly #unwatch: () => void;
  readonly #unwatchShared = new Map<MailboxId, () => void>();

  /** Calls `changed` soon after anything has, and now and then without that. */
  constructor(follower: Follower, changed: () => void) {
    this.#follower = follower;
    this.#changed = changed;
    this.#unwatch = follower.store.watchAccount(follower.account.id, changed);
  }

  /** As it is now: what changes from now on is called back. Throws StoreError. */
  async read(since?: ModSeq): Promise<AccountOverview> {
    for (;;) {
      const overview = await readOverview(this.#follower, since);
      // what was not watched yet may have changed since it was read
      if (!this.#watchShared(overview)) return overview;
    }
  }

  /** Watches what is there of others, and nothing else. Returns whether some of it was not watched yet. */
  #watchShared({ mailboxes }: AccountOverview): boolean {
    const { account, store } = this.#follower;
    const shared = new Set<MailboxId>();
    for (const { id, accountId } of mailboxes) if (accountId !== account.id) shared.add(id);
    for (const [id, unwatch] of this.#unwatchShared) {
      if (shared.has(id)) continue;
      unwatch();
      this.#unwatchShared.delete(id);
    }
    const known = this.#unwatchShared.size;
    for (const id of shared) {
      if (this.#unwatchShared.has(id)) continue;
      this.#unwatchShared.set(id, store.watch(id, this.#changed));
    }
    return this.#unwatchShared.size > known;
  }

  stop(): void {
    this.#unwatch();
    for (const unwatch of this.#unwatchShared.values()) unwatch();
    this.#unwatchShared.clear();
  }
}
