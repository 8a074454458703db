/**
 * A session's watch over all of its account, and what others share with it: it knows what the client was told last, and tells what is new.
 * The store is asked only once something has changed.
 */
import type { Mailbox, MailboxStatus } from '@mail/store';
import { tellNames } from '../commands/list.ts';
import { tellStatusItems } from '../commands/status.ts';
import type { StatusItem } from '../parser/mailbox.ts';
import type { Session } from '../session.ts';
import { AccountView } from './account-view.ts';
import { FollowedAccount } from './followed-account.ts';
import type { EventFilter } from './interest.ts';

/** Beyond so many mailboxes, being told of all of them costs too much. */
export const MAX_WATCHED_MAILBOXES = 10_000;
/** Entries of one METADATA response. */
const MAX_ENTRIES_TOLD = 100;

export class AccountWatch {
  readonly #session: Session;
  readonly #followed: FollowedAccount;
  readonly view: AccountView;
  filter: EventFilter;
  /** Whether the account may be otherwise than the client was told. */
  stale = true;
  /** Called when `stale` turns true; who waits for a line listens here. */
  onStale: (() => void) | undefined;

  private constructor(
    session: Session,
    view: AccountView,
    filter: EventFilter,
    followed: FollowedAccount,
  ) {
    this.#session = session;
    this.view = view;
    this.filter = filter;
    this.#followed = followed;
  }

  /** Undefined where the account has too many mailboxes. Throws StoreError. */
  static async start(session: Session, filter: EventFilter): Promise<AccountWatch | undefined> {
    let watch: AccountWatch | undefined;
    // watched before it is read: a change in between is looked for again rather than lost
    const followed = new FollowedAccount(session, () => watch?.wake());
    try {
      const overview = await followed.read();
      if (overview.mailboxes.length <= MAX_WATCHED_MAILBOXES) {
        watch = new AccountWatch(session, new AccountView(overview), filter, followed);
      }
    } finally {
      if (watch === undefined) followed.stop();
    }
    return watch;
  }

  wake(): void {
    if (this.stale) return;
    this.stale = true;
    this.onStale?.();
  }

  stop(): void {
    this.#followed.stop();
  }

  /** Tells what has changed. False where it is too much: the watch is to be stopped then. Throws StoreError. */
  async tell(): Promise<boolean> {
    if (!this.stale) return true;
    this.stale = false;
    const session = this.#session;
    try {
      const now = await this.#followed.read(this.view.modSeq);
      if (now.mailboxes.length > MAX_WATCHED_MAILBOXES) return false;
      const { state, condStore, response } = session;
      const selected = state.name === 'selected' ? state.selected.mailbox.id : undefined;
      const updates = this.view.apply(now, { filter: this.filter, selected, condStore });
      const names = updates.filter((update) => update.kind === 'name');
      if (names.length > 0) tellNames(session, now, names);
      await response.room;
      for (const update of updates) {
        if (update.kind === 'status') {
          const { mailbox, items } = update;
          await tellStatusItems(session, mailbox, mailbox.status, items);
        } else if (update.kind === 'metadata') {
          this.#tellEntries(update.name, update.entries);
        }
        await response.room;
      }
    } catch (error) {
      // what could not be read is told another time
      this.stale = true;
      throw error;
    }
    return true;
  }

  /** METADATA without values (RFC 5464 §4.4.2). */
  #tellEntries(name: string, entries: readonly string[]): void {
    const { response, strings } = this.#session;
    for (let start = 0; start < entries.length; start += MAX_ENTRIES_TOLD) {
      const some = entries.slice(start, start + MAX_ENTRIES_TOLD);
      const written = some.map((entry) => strings.astring(entry)).join(' ');
      response.untagged(`METADATA ${strings.mailbox(name)} ${written}`);
    }
  }

  /** STATUS of each mailbox of whose messages the client wants to hear (RFC 5465 §3.1). */
  async tellStatuses(): Promise<void> {
    const session = this.#session;
    const { state, response } = session;
    const { mailboxes, subscriptions } = await this.#followed.read();
    const subscribed = new Set(subscriptions);
    for (const mailbox of mailboxes) {
      if (state.name === 'selected' && state.selected.mailbox.id === mailbox.id) continue;
      const items = this.#statusItems(mailbox, subscribed.has(mailbox.name));
      if (items.length > 0) await tellStatusItems(session, mailbox, mailbox.status, items);
      await response.room;
    }
  }

  #statusItems({ name }: Mailbox & { status: MailboxStatus }, subscribed: boolean): StatusItem[] {
    if (!this.filter.asks('MessageNew', name, subscribed)) return [];
    const flags = this.filter.asks('FlagChange', name, subscribed);
    return [
      'MESSAGES',
      'UIDNEXT',
      ...(flags ? (['UNSEEN'] as const) : []),
      ...(flags || this.#session.condStore ? (['HIGHESTMODSEQ'] as const) : []),
      'UIDVALIDITY',
    ];
  }
}
