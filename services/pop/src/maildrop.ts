/**
 * A user's INBOX as one POP3 session sees it: fixed at login, locked until released, with marks for what
 * QUIT will delete (RFC 1939 §5, §6).
 */
import {
  type AccountId,
  CHUNK_BYTES,
  type ListedMessage,
  type MaildropLock,
  type MailStore,
  StoreError,
} from '@mail/store';
import { ReplyError } from './errors.ts';

const LINE_END_BYTES = 2;

export interface DropMessage {
  /** From 1, fixed for the session. */
  readonly number: number;
  readonly uid: number;
  /** Octets that RETR sends, dots not doubled (RFC 1939 §11): a last line has its end. */
  readonly size: number;
  /** Octets in the store. */
  readonly storedSize: number;
}

function toDropMessage({ uid, size, endsInCrlf }: ListedMessage, at: number): DropMessage {
  return { number: at + 1, uid, size: endsInCrlf ? size : size + LINE_END_BYTES, storedSize: size };
}

export class Maildrop {
  readonly #store: MailStore;
  readonly #lock: MaildropLock;
  readonly #mailboxId: number;
  readonly #uidValidity: number;
  readonly #messages: readonly DropMessage[];
  readonly #deleted = new Set<DropMessage>();

  /** Locks and reads the INBOX. Throws ReplyError: IN-USE while another session has it. */
  static async open(store: MailStore, accountId: AccountId): Promise<Maildrop> {
    const lock = await store.lockMaildrop(accountId).catch((cause) => {
      if (!(cause instanceof StoreError) || cause.code !== 'maildrop-locked') throw cause;
      throw new ReplyError('IN-USE', 'Another session has this maildrop', { cause });
    });
    try {
      const inbox = await store.mailboxes.find(accountId, 'INBOX');
      if (!inbox) throw new ReplyError('SYS/PERM', 'There is no INBOX');
      const { messages } = await store.messages.list(inbox.id);
      return new Maildrop(store, lock, inbox, messages.map(toDropMessage));
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  private constructor(
    store: MailStore,
    lock: MaildropLock,
    inbox: { readonly id: number; readonly uidValidity: number },
    messages: readonly DropMessage[],
  ) {
    this.#store = store;
    this.#lock = lock;
    this.#mailboxId = inbox.id;
    this.#uidValidity = inbox.uidValidity;
    this.#messages = messages;
  }

  /** Without those marked as deleted. */
  get messages(): DropMessage[] {
    return this.#messages.filter((message) => !this.#deleted.has(message));
  }

  /** Throws ReplyError for a number that is none, or whose message is marked as deleted. */
  message(number: number): DropMessage {
    const message = this.#messages[number - 1];
    if (!message) throw new ReplyError(undefined, 'No such message');
    if (this.#deleted.has(message)) throw new ReplyError(undefined, 'That message is deleted');
    return message;
  }

  /**
   * Stable over sessions and unique in the drop (RFC 1939 §7). Not the store's content id: a message that
   * was copied into INBOX would have it twice.
   */
  uniqueId({ uid }: DropMessage): string {
    return `${this.#uidValidity}.${uid}`;
  }

  /** The message's octets, a piece at a time. Throws StoreError (no-such-message). */
  async *read({ uid, storedSize }: DropMessage): AsyncGenerator<Buffer> {
    for (let start = 0; start < storedSize; start += CHUNK_BYTES) {
      yield await this.#store.messages.read(this.#mailboxId, uid, start, start + CHUNK_BYTES);
    }
  }

  delete(message: DropMessage): void {
    this.#deleted.add(message);
  }

  /** Takes all marks back. */
  reset(): void {
    this.#deleted.clear();
  }

  /** Deletes what is marked and still there, all of it or nothing, durably; returns how many that were. */
  async update(): Promise<number> {
    if (this.#deleted.size === 0) return 0;
    const uids = [...this.#deleted].map(({ uid }) => uid);
    const expunged = await this.#store.messages.expunge(this.#mailboxId, uids);
    return expunged.length;
  }

  /** Aborted when another session may have the maildrop, since the store could not keep its lock. */
  get lost(): AbortSignal {
    return this.#lock.lost;
  }

  /** Lets the next session in. Idempotent. */
  release(): Promise<void> {
    return this.#lock.release();
  }
}
