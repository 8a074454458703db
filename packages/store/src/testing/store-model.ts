/**
 * The store as a few maps in memory, to hold the real one against. It does not number modification
 * sequences itself: it remembers what each mailbox looked like at the ones the store named.
 */
import type { FlagChange, ModSeq, Uid } from '../mail-store.ts';

export interface ModelMessage {
  readonly raw: string;
  readonly flags: ReadonlySet<string>;
  /** Equal for copies of one content. */
  readonly content: number;
}

export interface ModelMailbox {
  uidNext: Uid;
  readonly messages: Map<Uid, ModelMessage>;
  /** Flags by UID, at each modification sequence that was seen. */
  readonly seenAt: Map<ModSeq, ReadonlyMap<Uid, ReadonlySet<string>>>;
}

export class StoreModel {
  readonly mailboxes = new Map<string, ModelMailbox>();
  #contents = 0;

  mailbox(name: string): ModelMailbox {
    const mailbox = this.mailboxes.get(name);
    if (mailbox === undefined) throw new Error(`the model has no ${name}`);
    return mailbox;
  }

  create(name: string): void {
    const levels = name.split('/');
    for (let depth = 1; depth <= levels.length; depth += 1) {
      const part = levels.slice(0, depth).join('/');
      if (!this.mailboxes.has(part)) {
        this.mailboxes.set(part, { uidNext: 1, messages: new Map(), seenAt: new Map() });
      }
    }
  }

  append(name: string, raw: string, flags: readonly string[]): Uid {
    this.#contents += 1;
    return this.#place(name, { raw, flags: new Set(flags), content: this.#contents });
  }

  changeFlags(name: string, uids: readonly Uid[], change: FlagChange, given: string[]): void {
    const { messages } = this.mailbox(name);
    for (const uid of uids) {
      const message = messages.get(uid);
      if (message === undefined) continue;
      const kept = change === 'replace' ? [] : [...message.flags];
      const flags =
        change === 'remove' ? kept.filter((flag) => !given.includes(flag)) : [...kept, ...given];
      messages.set(uid, { ...message, flags: new Set(flags) });
    }
  }

  expunge(name: string, uids: readonly Uid[]): void {
    for (const uid of uids) this.mailbox(name).messages.delete(uid);
  }

  copy(from: string, uids: readonly Uid[], to: string): { from: Uid[]; to: Uid[] } {
    const source = this.mailbox(from);
    const copied: { from: Uid[]; to: Uid[] } = { from: [], to: [] };
    // all are read before any is placed: a mailbox can be copied into itself
    const ascending = [...new Set(uids)].sort((a, b) => a - b);
    const found = ascending.flatMap((uid) => {
      const message = source.messages.get(uid);
      return message === undefined ? [] : [{ uid, message }];
    });
    for (const { uid, message } of found) {
      copied.from.push(uid);
      copied.to.push(this.#place(to, message));
    }
    return copied;
  }

  move(from: string, uids: readonly Uid[], to: string): { from: Uid[]; to: Uid[] } {
    const moved = this.copy(from, uids, to);
    this.expunge(from, moved.from);
    return moved;
  }

  rename(from: string, to: string): void {
    if (from === 'INBOX') {
      this.create(to);
      this.move(
        from,
        [...this.mailbox(from).messages.keys()].sort((a, b) => a - b),
        to,
      );
      return;
    }
    for (const [name, mailbox] of [...this.mailboxes]) {
      if (name !== from && !name.startsWith(`${from}/`)) continue;
      this.mailboxes.delete(name);
      this.mailboxes.set(to + name.slice(from.length), mailbox);
    }
    this.create(to);
  }

  #place(name: string, message: ModelMessage): Uid {
    const mailbox = this.mailbox(name);
    const uid = mailbox.uidNext;
    mailbox.uidNext += 1;
    mailbox.messages.set(uid, message);
    return uid;
  }
}
