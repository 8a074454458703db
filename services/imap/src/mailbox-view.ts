/**
 * A mailbox as one session has been told of it: its own sequence numbers, and what has happened since but
 * may not be said yet. It knows which messages there are and nothing else of them; what they are is read from
 * the store when it is asked for. Changes come in by `apply` whenever the store has them; they go out by
 * `release` between commands, and only then do sequence numbers move (RFC 3501 §7.4.1, RFC 9051 §7.5.1: no
 * EXPUNGE while FETCH, STORE or SEARCH run). Pure.
 */
import type {
  ChangedFlags,
  MailboxChanges,
  MessageSummary,
  ModSeq,
  OpenedMailbox,
  Uid,
  UidSet,
} from '@mail/store';
import { SYSTEM_FLAGS } from './parser/flags.ts';
import { type MessageSet, type NumberRange, rangesOf, resolveSet } from './parser/sequence-set.ts';

/** A message by both its names: the number by which this session knows it now, and its UID. */
export interface Numbered {
  readonly sequence: number;
  readonly uid: Uid;
}

/** What is said of a message whose flags have changed. */
export type FlagState = Pick<MessageSummary, 'uid' | 'flags' | 'modSeq'>;

/** What the client is told, in order. */
export type Update =
  | { readonly kind: 'expunge'; readonly sequence: number; readonly uid: Uid }
  | { readonly kind: 'exists'; readonly count: number }
  /** The flags in use have grown. */
  | { readonly kind: 'flags'; readonly flags: readonly string[] }
  | { readonly kind: 'fetch'; readonly sequence: number; readonly message: FlagState };

/** Which changes of others a client wants to hear of; of what it expunges itself it hears in any case. */
export interface Heard {
  readonly arrivals: boolean;
  readonly flags: boolean;
}

/** What a set names: the places of messages in the view, ascending and apart from each other. */
export class Selection {
  readonly #uids: UidSet;
  readonly #gone: ReadonlySet<Uid>;
  readonly #places: readonly NumberRange[];

  /** `places` count from 1, as sequence numbers do. */
  constructor(uids: UidSet, gone: ReadonlySet<Uid>, places: readonly NumberRange[]) {
    this.#uids = uids;
    this.#gone = gone;
    this.#places = places;
  }

  /** How many, with those that are gone without the client's knowing. */
  get count(): number {
    return this.#places.reduce((sum, { first, last }) => sum + last - first + 1, 0);
  }

  /** Whether it names messages of which is known that they are gone. */
  get missing(): boolean {
    for (const uid of this.#gone) if (this.#holds(uid)) return true;
    return false;
  }

  /** In order, without those that are gone; `most` at a time at the most. */
  *pages(most: number): Generator<Numbered[]> {
    for (const { first, last } of this.#places) {
      for (let from = first; from <= last; from += most) {
        const page = this.#uids
          .slice(from - 1, Math.min(last, from + most - 1))
          .map((uid, index) => ({ sequence: from + index, uid }));
        yield this.#gone.size === 0 ? page : page.filter(({ uid }) => !this.#gone.has(uid));
      }
    }
  }

  all(): Numbered[] {
    return [...this.pages(Number.MAX_SAFE_INTEGER)].flat();
  }

  /** Of `uids`, ascending, those that are in it and not gone. */
  among(uids: readonly Uid[]): Numbered[] {
    const found: Numbered[] = [];
    let at = 0;
    for (const uid of uids) {
      const index = this.#gone.has(uid) ? undefined : this.#uids.indexOf(uid);
      if (index === undefined) continue;
      while (at < this.#places.length && (this.#places[at]?.last ?? 0) <= index) at += 1;
      const range = this.#places[at];
      if (range === undefined) break;
      if (index + 1 >= range.first) found.push({ sequence: index + 1, uid });
    }
    return found;
  }

  #holds(uid: Uid): boolean {
    const index = this.#uids.indexOf(uid);
    if (index === undefined) return false;
    return this.#places.some(({ first, last }) => first <= index + 1 && index + 1 <= last);
  }
}

export class MailboxView {
  /** As the client counts them. */
  readonly #uids: UidSet;
  /** Gone from the store, still counted by the client. */
  readonly #gone = new Set<Uid>();
  /** In the store, not yet counted by the client; ascending. */
  #arrived: Uid[] = [];
  /** Flags may differ from what the client was told last. */
  readonly #untold = new Map<Uid, FlagState>();
  readonly #flagsInUse: Set<string>;
  #flagsTold: number;
  #highestModSeq: ModSeq;
  /** Later changes of which the client knows already: the writes of this session. */
  readonly #ownModSeqs = new Set<ModSeq>();
  /** Later states that an answer has told. */
  readonly #toldModSeqs = new Map<Uid, ModSeq>();
  #saved: readonly Uid[] = [];

  constructor({ uids, highestModSeq, keywords }: OpenedMailbox) {
    this.#uids = uids;
    this.#highestModSeq = highestModSeq;
    this.#flagsInUse = new Set([...SYSTEM_FLAGS, ...keywords]);
    this.#flagsTold = this.#flagsInUse.size;
  }

  /** Messages as the client counts them. */
  get count(): number {
    return this.#uids.size;
  }

  /** Where to go on from in the store's changes. */
  get highestModSeq(): ModSeq {
    return this.#highestModSeq;
  }

  /** Sequences of changes behind `highestModSeq` that need not be read: the client knows them. */
  get ownModSeqs(): readonly ModSeq[] {
    return [...this.#ownModSeqs];
  }

  /** 0 where there is no message. */
  get lastUid(): Uid {
    return this.#uids.last;
  }

  /** The system flags, and keywords that were seen here. */
  get flagsInUse(): readonly string[] {
    return [...this.#flagsInUse];
  }

  /** What "$" stands for from now on, in UID order (RFC 5182). */
  saveResult(uids: readonly Uid[]): void {
    this.#saved = uids;
  }

  /** Takes in what the store says has happened; nothing is told yet. */
  apply(changes: MailboxChanges): void {
    const lastKnown = this.#arrived.at(-1) ?? this.#uids.last;
    for (const message of changes.changed) {
      if (message.uid > lastKnown) this.#arrived.push(message.uid);
      else this.#takeFlags(message);
      this.#noteFlags(message.flags);
    }
    const expunged = new Set(changes.expunged);
    if (expunged.size > 0) {
      this.#arrived = this.#arrived.filter((uid) => !expunged.has(uid));
      for (const uid of expunged) if (this.#uids.has(uid)) this.#gone.add(uid);
    }
    this.#reach(changes.highestModSeq);
  }

  /**
   * Takes in what this session has just changed. `told` says whether the answer tells the flags; a client
   * that is not told computes them from what it knows, which is wrong of messages that others have changed
   * meanwhile: they are told as any change is.
   */
  note(messages: readonly ChangedFlags[], told: boolean): void {
    for (const message of messages) {
      if (message.modSeq > message.previousModSeq) this.#ownModSeqs.add(message.modSeq);
      this.#noteFlags(message.flags);
      if (told) this.told(message);
      else if (message.previousModSeq > this.#highestModSeq || this.#untold.has(message.uid)) {
        if (this.#uids.has(message.uid)) this.#untold.set(message.uid, message);
      }
    }
    // nothing lies between: there is nothing to be read again
    let next = this.#highestModSeq + 1;
    while (this.#ownModSeqs.has(next)) next += 1;
    this.#reach(next - 1);
  }

  /** An answer has just said the flags of this one, as of `modSeq` where that was read. */
  told({ uid, modSeq }: { readonly uid: Uid; readonly modSeq?: ModSeq | undefined }): void {
    this.#untold.delete(uid);
    if (modSeq === undefined) return;
    if (modSeq > this.#highestModSeq && !this.#ownModSeqs.has(modSeq)) {
      this.#toldModSeqs.set(uid, modSeq);
    }
  }

  #takeFlags(message: FlagState): void {
    const { uid, modSeq } = message;
    const known = this.#ownModSeqs.has(modSeq) || this.#toldModSeqs.get(uid) === modSeq;
    if (!known && this.#uids.has(uid)) this.#untold.set(uid, message);
  }

  #reach(modSeq: ModSeq): void {
    if (modSeq <= this.#highestModSeq) return;
    this.#highestModSeq = modSeq;
    for (const own of this.#ownModSeqs) if (own <= modSeq) this.#ownModSeqs.delete(own);
    for (const [uid, told] of this.#toldModSeqs) if (told <= modSeq) this.#toldModSeqs.delete(uid);
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
        updates.push({ kind: 'expunge', sequence: this.#uids.countBelow(uid) + 1, uid });
      }
      for (const uid of this.#gone) {
        this.#untold.delete(uid);
        this.#uids.delete(uid);
      }
      this.#gone.clear();
    }
    if (heard.arrivals && this.#arrived.length > 0) {
      for (const uid of this.#arrived) this.#uids.add(uid);
      this.#arrived = [];
      updates.push({ kind: 'exists', count: this.count });
    }
    if (!heard.flags) return updates;
    if (this.#flagsInUse.size > this.#flagsTold) {
      this.#flagsTold = this.#flagsInUse.size;
      updates.push({ kind: 'flags', flags: this.flagsInUse });
    }
    for (const uid of [...this.#untold.keys()].sort((a, b) => a - b)) {
      const message = this.#untold.get(uid);
      const sequence = this.sequenceOf(uid);
      if (sequence === undefined || message === undefined || this.#gone.has(uid)) continue;
      updates.push({ kind: 'fetch', sequence, message });
      this.#untold.delete(uid);
    }
    return updates;
  }

  /** The number by which the client knows `uid`. */
  sequenceOf(uid: Uid): number | undefined {
    const index = this.#uids.indexOf(uid);
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

  /** Every message that the client counts. */
  everything(): Selection {
    return this.#select(this.count === 0 ? [] : [{ first: 1, last: this.count }]);
  }

  /** As sequenceRanges, but the messages themselves. */
  bySequence(set: MessageSet): Selection | undefined {
    const ranges = this.sequenceRanges(set);
    return ranges && this.#select(ranges);
  }

  /** UIDs that are not there are passed over without a word (RFC 3501 §6.4.8). */
  byUid(set: MessageSet): Selection {
    return this.byUidRanges(this.uidRanges(set));
  }

  /** Ascending and apart from each other. */
  byUidRanges(ranges: readonly NumberRange[]): Selection {
    const places = ranges.map(({ first, last }) => ({
      first: this.#uids.countBelow(first) + 1,
      last: this.#uids.countBelow(last + 1),
    }));
    return this.#select(places.filter(({ first, last }) => first <= last));
  }

  #select(places: readonly NumberRange[]): Selection {
    return new Selection(this.#uids, this.#gone, places);
  }

  /** Messages that are gone have left the saved result (RFC 5182 §2.1). */
  #savedIndexes(): number[] {
    return this.#saved
      .filter((uid) => !this.#gone.has(uid))
      .map((uid) => this.#uids.indexOf(uid))
      .filter((index) => index !== undefined);
  }
}
