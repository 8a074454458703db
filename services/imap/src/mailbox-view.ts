/**
 * A mailbox as one session has been told of it: its own sequence numbers, and what has happened since
 * but may not be said yet. Changes come in by `apply` whenever the store has them; they go out by
 * `release` between commands, and only then do sequence numbers move (RFC 3501 §7.4.1, RFC 9051
 * §7.5.1: no EXPUNGE while FETCH, STORE or SEARCH run). Pure.
 */
import type { MailboxChanges, MessageSummary, ModSeq, Uid } from '@mail/store';
import { SYSTEM_FLAGS } from './parser/flags.ts';
import {
  lowerBound,
  type MessageSet,
  type NumberRange,
  rangesOf,
  resolveSet,
} from './parser/sequence-set.ts';

/** A message and the number by which this session knows it now. */
export interface Numbered {
  readonly sequence: number;
  readonly message: MessageSummary;
}

/** What the client is told, in order. */
export type Update =
  | { readonly kind: 'expunge'; readonly sequence: number; readonly uid: Uid }
  | { readonly kind: 'exists'; readonly count: number }
  /** The flags in use have grown. */
  | { readonly kind: 'flags'; readonly flags: readonly string[] }
  | { readonly kind: 'fetch'; readonly sequence: number; readonly message: MessageSummary };

/** Which changes of others a client wants to hear of; of what it expunges itself it hears in any case. */
export interface Heard {
  readonly arrivals: boolean;
  readonly flags: boolean;
}

/** What a set names, and whether it also named messages that are gone without the client's knowing. */
export interface Selection {
  readonly found: readonly Numbered[];
  readonly missing: boolean;
}

function sameFlags(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((flag) => other.includes(flag));
}

export class MailboxView {
  /** As the client counts them, in UID order; entries hold the newest state known here. */
  #messages: MessageSummary[];
  #uids: Uid[];
  /** Gone from the store, still counted by the client. */
  readonly #gone = new Set<Uid>();
  /** In the store, not yet counted by the client; in UID order. */
  #arrived: MessageSummary[] = [];
  /** Flags differ from what the client was told last. */
  readonly #untold = new Set<Uid>();
  readonly #flagsInUse = new Set<string>(SYSTEM_FLAGS);
  #flagsTold: number;
  #highestModSeq: ModSeq;
  #saved: readonly Uid[] = [];

  constructor(messages: readonly MessageSummary[], highestModSeq: ModSeq) {
    this.#messages = [...messages];
    this.#uids = messages.map(({ uid }) => uid);
    this.#highestModSeq = highestModSeq;
    for (const { flags } of messages) this.#noteFlags(flags);
    this.#flagsTold = this.#flagsInUse.size;
  }

  /** Messages as the client counts them. */
  get count(): number {
    return this.#messages.length;
  }

  /** Where to go on from in the store's changes. */
  get highestModSeq(): ModSeq {
    return this.#highestModSeq;
  }

  /** 0 where there is no message. */
  get lastUid(): Uid {
    return this.#uids.at(-1) ?? 0;
  }

  /** The system flags, and keywords that were seen here. */
  get flagsInUse(): readonly string[] {
    return [...this.#flagsInUse];
  }

  /** The first message without \Seen (RFC 3501 §7.1: UNSEEN); undefined where there is none. */
  get firstUnseen(): number | undefined {
    const index = this.#messages.findIndex(({ flags }) => !flags.includes('\\Seen'));
    return index === -1 ? undefined : index + 1;
  }

  /** Every message that the client counts and that is still there. */
  *[Symbol.iterator](): Generator<Numbered> {
    for (const [index, message] of this.#messages.entries()) {
      if (!this.#gone.has(message.uid)) yield { sequence: index + 1, message };
    }
  }

  /** What "$" stands for from now on, in UID order (RFC 5182). */
  saveResult(uids: readonly Uid[]): void {
    this.#saved = uids;
  }

  /** Takes in what the store says has happened; nothing is told yet. */
  apply(changes: MailboxChanges): void {
    const lastKnown = this.#arrived.at(-1)?.uid ?? this.#uids.at(-1) ?? 0;
    for (const message of changes.changed) {
      if (message.uid > lastKnown) this.#arrived.push(message);
      else this.#replace(message, true);
    }
    const expunged = new Set(changes.expunged);
    if (expunged.size > 0) {
      this.#arrived = this.#arrived.filter(({ uid }) => !expunged.has(uid));
      for (const uid of expunged) if (this.#indexOf(uid) !== undefined) this.#gone.add(uid);
    }
    this.#highestModSeq = Math.max(this.#highestModSeq, changes.highestModSeq);
  }

  /**
   * Takes in messages that this session has just changed. The client is told by the answer itself, or
   * expects `expected(before)` as the outcome; what differs from that is told later as any change is.
   */
  note(
    messages: readonly MessageSummary[],
    expected: (before: readonly string[], now: MessageSummary) => readonly string[],
  ): void {
    for (const message of messages) {
      const index = this.#indexOf(message.uid);
      const before = index === undefined ? undefined : this.#messages[index];
      if (before === undefined) continue;
      this.#replace(message, !sameFlags(expected(before.flags, message), message.flags));
    }
  }

  /** Forgets that the flags of these are to be told: an answer has just said them. */
  told(uid: Uid): void {
    this.#untold.delete(uid);
  }

  #replace(message: MessageSummary, tell: boolean): void {
    const index = this.#indexOf(message.uid);
    if (index === undefined) {
      const waiting = this.#arrived.findIndex(({ uid }) => uid === message.uid);
      if (waiting !== -1) this.#arrived[waiting] = message;
      return;
    }
    const before = this.#messages[index];
    this.#messages[index] = message;
    this.#noteFlags(message.flags);
    if (tell && before !== undefined && !sameFlags(before.flags, message.flags)) {
      this.#untold.add(message.uid);
    }
  }

  #noteFlags(flags: readonly string[]): void {
    for (const flag of flags) this.#flagsInUse.add(flag);
  }

  /**
   * What may be told now; with `expunges` false the numbers stay as they are. What the client does not want
   * to hear of is kept until it does.
   */
  release(expunges: boolean, heard: Heard = { arrivals: true, flags: true }): Update[] {
    const updates: Update[] = [];
    if (expunges && this.#gone.size > 0) {
      // from the end, so that each number is right when it is said
      for (const uid of [...this.#gone].sort((a, b) => b - a)) {
        updates.push({ kind: 'expunge', sequence: lowerBound(this.#uids, uid) + 1, uid });
      }
      for (const uid of this.#gone) this.#untold.delete(uid);
      this.#messages = this.#messages.filter(({ uid }) => !this.#gone.has(uid));
      this.#uids = this.#messages.map(({ uid }) => uid);
      this.#gone.clear();
    }
    if (heard.arrivals && this.#arrived.length > 0) {
      for (const message of this.#arrived) {
        this.#messages.push(message);
        this.#uids.push(message.uid);
        this.#noteFlags(message.flags);
      }
      this.#arrived = [];
      updates.push({ kind: 'exists', count: this.#messages.length });
    }
    if (!heard.flags) return updates;
    if (this.#flagsInUse.size > this.#flagsTold) {
      this.#flagsTold = this.#flagsInUse.size;
      updates.push({ kind: 'flags', flags: this.flagsInUse });
    }
    for (const uid of [...this.#untold].sort((a, b) => a - b)) {
      const index = this.#indexOf(uid);
      const message = index === undefined ? undefined : this.#messages[index];
      if (index === undefined || message === undefined || this.#gone.has(uid)) continue;
      updates.push({ kind: 'fetch', sequence: index + 1, message });
      this.#untold.delete(uid);
    }
    return updates;
  }

  #indexOf(uid: Uid): number | undefined {
    const index = lowerBound(this.#uids, uid);
    return this.#uids[index] === uid ? index : undefined;
  }

  /** The number by which the client knows `uid`. */
  sequenceOf(uid: Uid): number | undefined {
    const index = this.#indexOf(uid);
    return index === undefined ? undefined : index + 1;
  }

  /** `set` as ranges of sequence numbers; undefined where it names numbers that are not in use. */
  sequenceRanges(set: MessageSet): NumberRange[] | undefined {
    if (set === 'saved') return rangesOf(this.#savedIndexes().map((index) => index + 1));
    const ranges = resolveSet(set, this.count);
    if (this.count > 0) return (ranges.at(-1)?.last ?? 0) > this.count ? undefined : ranges;
    // an empty mailbox: clients that ask for 1:* mean "whatever there is"
    return set.every(({ from, to }) => from === '*' || to === '*') ? [] : undefined;
  }

  uidRanges(set: MessageSet): NumberRange[] {
    if (set === 'saved') return rangesOf(this.#saved);
    return resolveSet(set, this.lastUid);
  }

  /** As sequenceRanges, but the messages themselves. */
  bySequence(set: MessageSet): Selection | undefined {
    const ranges = this.sequenceRanges(set);
    return ranges && this.#collect(ranges.map(({ first, last }) => [first - 1, last]));
  }

  /** UIDs that are not there are passed over without a word (RFC 3501 §6.4.8). */
  byUid(set: MessageSet): Selection {
    const indexes = this.uidRanges(set).map(({ first, last }): [number, number] => [
      lowerBound(this.#uids, first),
      lowerBound(this.#uids, last + 1),
    ]);
    return this.#collect(indexes);
  }

  /** Messages that are gone have left the saved result (RFC 5182 §2.1). */
  #savedIndexes(): number[] {
    return this.#saved
      .filter((uid) => !this.#gone.has(uid))
      .map((uid) => this.#indexOf(uid))
      .filter((index) => index !== undefined);
  }

  #collect(ranges: readonly [start: number, end: number][]): Selection {
    const found: Numbered[] = [];
    let missing = false;
    for (const [start, end] of ranges) {
      for (let index = start; index < end; index += 1) {
        const message = this.#messages[index];
        if (message === undefined) continue;
        if (this.#gone.has(message.uid)) missing = true;
        else found.push({ sequence: index + 1, message });
      }
    }
    return { found, missing };
  }
}
