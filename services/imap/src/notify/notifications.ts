/** What a session's client is told without asking: its interest (RFC 5465), and the watch that serves it. */
import type { MailboxId, Uid } from '@mail/store';
import type { Heard } from '../mailbox-view.ts';
import type { NumberRange } from '../parser/sequence-set.ts';
import type { Session } from '../session.ts';
import { AccountWatch } from './account-watch.ts';
import { EventFilter, type Interest, METADATA_EVENTS, NO_INTEREST } from './interest.ts';

/** Tells more of messages that are new in the selected mailbox, by their numbers. */
export type TellNew = (numbers: readonly number[]) => Promise<void>;

const EVERYTHING: Heard = { arrivals: true, flags: true };
const NOTHING: Heard = { arrivals: false, flags: false };

export class Notifications {
  readonly #session: Session;
  /** Undefined until the first NOTIFY. */
  #interest: Interest | undefined;
  #tellNew: TellNew | undefined;
  #watch: AccountWatch | undefined;
  /** In the selected mailbox, by this session's own commands: of those nothing more is told. */
  readonly #ownArrivals = new Set<Uid>();
  /** Whether a command of this session takes messages out of the selected mailbox. */
  expunging = false;

  constructor(session: Session) {
    this.#session = session;
  }

  /** Undefined where nothing but the selected mailbox is of interest. */
  get watch(): AccountWatch | undefined {
    return this.#watch;
  }

  /** Whether the client listens while no command runs. */
  get listens(): boolean {
    return this.#interest !== undefined && this.#interest !== NO_INTEREST;
  }

  /** Whether EXPUNGE may come while no command runs (§6.1). */
  get expungesNow(): boolean {
    return this.#interest?.selected?.delayed === false;
  }

  /** What is told of the selected mailbox; all of it until the first NOTIFY (§3.1). */
  get heard(): Heard {
    if (this.#interest === undefined) return EVERYTHING;
    const { selected } = this.#interest;
    return selected === undefined ? NOTHING : { arrivals: true, flags: selected.flagChange };
  }

  /**
   * From now on. False, and all stays as it was, where the account has too many mailboxes to be watched.
   * Throws StoreError.
   */
  async listen(interest: Interest, tellNew: TellNew | undefined): Promise<boolean> {
    if (!(await this.#watchFor(interest))) return false;
    this.#interest = interest;
    this.#tellNew = tellNew;
    return true;
  }

  /** What the client has just enabled may be of interest. False where it cannot be told, as of `listen`. */
  noteEnabled(): Promise<boolean> {
    return this.#watchFor(this.#interest);
  }

  async #watchFor(interest: Interest | undefined): Promise<boolean> {
    const asksMetadata = this.#session.enabled.has('METADATA') && interest !== NO_INTEREST;
    const groups = [...(interest?.groups ?? []), ...(asksMetadata ? [METADATA_EVENTS] : [])];
    const filter = new EventFilter(groups);
    if (filter.isEmpty) {
      this.#stopWatching();
    } else if (this.#watch === undefined) {
      this.#watch = await AccountWatch.start(this.#session, filter);
      return this.#watch !== undefined;
    } else {
      this.#watch.filter = filter;
    }
    return true;
  }

  /** Tells what has changed outside of the selected mailbox. Throws StoreError. */
  async tell(): Promise<void> {
    if (this.#watch === undefined || (await this.#watch.tell())) return;
    // §5.8
    this.#stopWatching();
    this.#interest = NO_INTEREST;
    this.#session.response.notice(
      'NOTIFICATIONOVERFLOW',
      'Too many mailboxes, nothing more is told',
    );
  }

  /** New in the selected mailbox, and told as EXISTS. */
  async tellNew({ first, last }: NumberRange): Promise<void> {
    if (this.#tellNew === undefined) return;
    const { view } = this.#session.selected;
    const own = new Set([...this.#ownArrivals].map((uid) => view.sequenceOf(uid)));
    this.#ownArrivals.clear();
    const numbers: number[] = [];
    for (let number = first; number <= last; number += 1) {
      if (!own.has(number)) numbers.push(number);
    }
    await this.#tellNew(numbers);
  }

  /** A command of this session has put messages into a mailbox, in one write. */
  noteArrivals(id: MailboxId, uids: readonly Uid[]): void {
    const { state } = this.#session;
    if (state.name === 'selected' && state.selected.mailbox.id === id) {
      if (this.#tellNew !== undefined) for (const uid of uids) this.#ownArrivals.add(uid);
    } else {
      this.#watch?.view.expectMessages(id, uids);
    }
  }

  /** The selected mailbox is about to be selected no more. */
  leave(): void {
    this.expunging = false;
    this.#ownArrivals.clear();
    if (this.#watch === undefined) return;
    const { mailbox, view } = this.#session.selected;
    const messages = view.count;
    const toldAll = view.release(true).length === 0;
    this.#watch.view.leave(mailbox.id, { modSeq: toldAll ? view.highestModSeq : 0, messages });
    this.#watch.wake();
  }

  stop(): void {
    this.#stopWatching();
  }

  #stopWatching(): void {
    this.#watch?.stop();
    this.#watch = undefined;
  }
}
