/**
 * An account as one session has been told of it, and what must be said of how it is now (RFC 5465 §5). What
 * happened several times since is said once, as it is at last, so a client that reads slowly costs nothing.
 * What the session's own commands have done is expected, and not said (§5). Pure.
 */
import {
  type AccountOverview,
  compareNames,
  isInferior,
  type MailboxId,
  type MailboxOverview,
  type ModSeq,
  superiorsOf,
} from '@mail/store';
import type { StatusItem } from '../parser/mailbox.ts';
import type { EventFilter } from './interest.ts';

/** What the client is told, in order. */
export type AccountUpdate =
  /** LIST of a name, be there a mailbox or not (§5.4, §5.5). */
  | { readonly kind: 'name'; readonly name: string; readonly oldName: string | undefined }
  | {
      readonly kind: 'status';
      readonly mailbox: MailboxOverview;
      readonly items: readonly StatusItem[];
    }
  /** Names of annotations that were set or removed; of the account where `name` is empty. */
  | { readonly kind: 'metadata'; readonly name: string; readonly entries: readonly string[] };

export interface Telling {
  readonly filter: EventFilter;
  /** Of which messages are told otherwise. */
  readonly selected: MailboxId | undefined;
  /** Whether the client knows modification sequences (RFC 7162 §3.1). */
  readonly condStore: boolean;
}

/** What the client knows of a mailbox. */
interface Known {
  readonly name: string;
  readonly uidValidity: number;
  modSeq: ModSeq;
  messages: number;
  /** Undefined where that was not kept. */
  uidNext: number | undefined;
  unseen: number | undefined;
}

interface Rename {
  readonly id: MailboxId;
  readonly from: string;
  readonly to: string;
  /** A superior that it went along with: who hears of that knows this too (§5.4). */
  readonly above: Rename | undefined;
  /**
   * Whether it can't be told beside what else has happened, and is told as two names that have changed: the
   * new one is, or is below, what another mailbox was called, or below the old one is a mailbox still.
   */
  readonly crosses: boolean;
}

function knownOf({ name, uidValidity, status }: MailboxOverview): Known {
  return {
    name,
    uidValidity,
    modSeq: status.highestModSeq,
    messages: status.messages,
    uidNext: status.uidNext,
    unseen: status.unseen,
  };
}

/** A mailbox that was just made. */
function emptyOne({ name, uidValidity }: MailboxOverview): Known {
  return { name, uidValidity, modSeq: 1, messages: 0, uidNext: 1, unseen: 0 };
}

function plainly(name: string): AccountUpdate {
  return { kind: 'name', name, oldName: undefined };
}

/**
 * So that who follows each in turn comes out right: what is gone, renamings with inferiors before their
 * superiors, and the rest, of which each name is told once.
 */
function inTellingOrder(
  affected: ReadonlySet<string>,
  /** Names that are there, or that a renaming has left. */
  notGone: ReadonlySet<string>,
  renames: readonly Rename[],
): AccountUpdate[] {
  const to = new Set(renames.map((rename) => rename.to));
  const names = [...affected].filter((name) => !to.has(name)).sort(compareNames);
  return [
    ...names.filter((name) => !notGone.has(name)).map(plainly),
    ...renames
      .toSorted((a, b) => superiorsOf(b.from).length - superiorsOf(a.from).length)
      .map((rename): AccountUpdate => ({ kind: 'name', name: rename.to, oldName: rename.from })),
    ...names.filter((name) => notGone.has(name)).map(plainly),
  ];
}

export class AccountView {
  #mailboxes: ReadonlyMap<MailboxId, Known>;
  #subscriptions: ReadonlySet<string>;
  #modSeq: ModSeq;
  /** What commands of this session have made of names, and of subscriptions, since. */
  readonly #expectedNames = new Map<string, boolean>();
  readonly #expectedRenames = new Map<string, string>();
  readonly #expectedSubscriptions = new Map<string, boolean>();
  readonly #ownAnnotations = new Set<ModSeq>();

  constructor({ mailboxes, subscriptions, modSeq }: AccountOverview) {
    this.#mailboxes = new Map(mailboxes.map((mailbox) => [mailbox.id, knownOf(mailbox)]));
    this.#subscriptions = new Set(subscriptions);
    this.#modSeq = modSeq;
  }

  /** Where to go on from in the account's annotations. */
  get modSeq(): ModSeq {
    return this.#modSeq;
  }

  /** This session has made or deleted `name`, as the store spells it. */
  expectName(name: string, exists: boolean): void {
    this.#expectedNames.set(name, exists);
    if (exists) for (const superior of superiorsOf(name)) this.#expectedNames.set(superior, true);
  }

  expectRename(from: string, to: string): void {
    this.#expectedRenames.set(from, to);
    this.expectName(to, true);
  }

  expectSubscription(name: string, subscribed: boolean): void {
    this.#expectedSubscriptions.set(name, subscribed);
  }

  /** `modSeq` is the account's, of this session's write. */
  expectAnnotations(modSeq: ModSeq): void {
    this.#ownAnnotations.add(modSeq);
  }

  /** This session has put messages into a mailbox, in one write. */
  expectMessages(id: MailboxId, uids: readonly number[]): void {
    const known = this.#mailboxes.get(id);
    const last = uids.at(-1);
    if (known === undefined || last === undefined) return;
    known.modSeq += 1;
    known.messages += uids.length;
    known.uidNext = last + 1;
    // how many of them are unread is not known here
    known.unseen = undefined;
  }

  /** What the client was told of a mailbox while it was selected. */
  leave(id: MailboxId, told: { readonly modSeq: ModSeq; readonly messages: number }): void {
    const known = this.#mailboxes.get(id);
    if (known !== undefined) Object.assign(known, told, { uidNext: undefined, unseen: undefined });
  }

  /** Takes in how the account is now; returns what is to be said. */
  apply(now: AccountOverview, telling: Telling): AccountUpdate[] {
    const renames = this.#renames(now);
    const updates = [
      ...this.#names(now, telling, renames),
      ...this.#statuses(now, telling, renames),
      ...this.#metadata(now, telling),
    ];
    const before = this.#mailboxes;
    this.#mailboxes = new Map(
      now.mailboxes.map((mailbox) => {
        // the selected one is told otherwise, and leave() says what of it
        const known = mailbox.id === telling.selected ? before.get(mailbox.id) : undefined;
        return [mailbox.id, known ? { ...known, name: mailbox.name } : knownOf(mailbox)];
      }),
    );
    this.#subscriptions = new Set(now.subscriptions);
    this.#modSeq = now.modSeq;
    this.#expectedNames.clear();
    this.#expectedRenames.clear();
    this.#expectedSubscriptions.clear();
    this.#ownAnnotations.clear();
    return updates;
  }

  #names(now: AccountOverview, { filter }: Telling, renames: readonly Rename[]): AccountUpdate[] {
    const affected = new Set<string>();
    const subscribed = new Set(now.subscriptions);
    const isSubscribed = (name: string): boolean =>
      subscribed.has(name) || this.#subscriptions.has(name);
    const asks = (name: string): boolean => filter.asks('MailboxName', name, isSubscribed(name));
    const affect = (name: string | undefined): void => {
      if (name !== undefined && asks(name)) affected.add(name);
    };

    const names = new Set(now.mailboxes.map(({ name }) => name));
    for (const name of this.#comings(now)) {
      if (this.#expectedNames.get(name) === names.has(name)) continue;
      affect(name);
      // §5.4: and its direct parent
      affect(superiorsOf(name).at(-1));
    }
    const told: Rename[] = [];
    const known = new Set<Rename>();
    for (const rename of renames) {
      const { from, to, above, crosses } = rename;
      if (above !== undefined && known.has(above)) continue;
      if (this.#expectsRename(from, to)) known.add(rename);
      else if (crosses) for (const name of [from, to]) affect(name);
      else if (asks(from) || asks(to)) {
        known.add(rename);
        told.push(rename);
      }
    }
    for (const name of new Set([...subscribed, ...this.#subscriptions])) {
      const is = subscribed.has(name);
      if (is === this.#subscriptions.has(name)) continue;
      if (this.#expectedSubscriptions.get(name) === is) continue;
      if (filter.asks('SubscriptionChange', name, true)) affected.add(name);
    }
    const left = renames.filter(({ crosses }) => !crosses).map(({ from }) => from);
    return inTellingOrder(affected, new Set([...names, ...left]), told);
  }

  /** By itself, or with a superior, which may be a name alone. */
  #expectsRename(from: string, to: string): boolean {
    return [from, ...superiorsOf(from)].some((name) => {
      const renamed = this.#expectedRenames.get(name);
      return renamed !== undefined && to === renamed + from.slice(name.length);
    });
  }

  /** Names whose mailbox is another one than before, or was none, or is none. */
  #comings({ mailboxes }: AccountOverview): Set<string> {
    const ids = new Set(mailboxes.map(({ id }) => id));
    const changed = new Set<string>();
    for (const { id, name } of mailboxes) if (!this.#mailboxes.has(id)) changed.add(name);
    for (const [id, { name }] of this.#mailboxes) if (!ids.has(id)) changed.add(name);
    return changed;
  }

  #renames({ mailboxes }: AccountOverview): Rename[] {
    const knownNames = new Set([...this.#mailboxes.values()].map(({ name }) => name));
    const left = new Set<string>();
    /** Superiors of names that were there and are: they did not go along. */
    const aboveStaying = new Set<string>();
    for (const { id, name } of mailboxes) {
      const from = this.#mailboxes.get(id)?.name;
      if (from !== undefined && from !== name) left.add(from);
      if (knownNames.has(name))
        for (const superior of superiorsOf(name)) aboveStaying.add(superior);
    }
    const renames: Rename[] = [];
    // superiors come first
    for (const { id, name: to } of mailboxes) {
      const from = this.#mailboxes.get(id)?.name;
      if (from === undefined || from === to) continue;
      const crosses =
        knownNames.has(to) ||
        aboveStaying.has(from) ||
        [to, ...superiorsOf(to)].some((name) => left.has(name));
      const wentAlongWith = (one: Rename): boolean =>
        !one.crosses &&
        one.above === undefined &&
        isInferior(from, one.from) &&
        to === one.to + from.slice(one.from.length);
      const above = crosses ? undefined : renames.find(wentAlongWith);
      renames.push({ id, from, to, above, crosses });
    }
    return renames;
  }

  #statuses(now: AccountOverview, telling: Telling, renames: readonly Rename[]): AccountUpdate[] {
    const { filter, selected } = telling;
    const subscribed = new Set(now.subscriptions);
    const knownNames = new Set([...this.#mailboxes.values()].map(({ name }) => name));
    const crossing = new Set(renames.filter(({ crosses }) => crosses).map(({ id }) => id));
    const updates: AccountUpdate[] = [];
    for (const mailbox of now.mailboxes) {
      const { id, name } = mailbox;
      if (id === selected || !filter.asks('MessageNew', name, subscribed.has(name))) continue;
      const flags = filter.asks('FlagChange', name, subscribed.has(name));
      const known = this.#mailboxes.get(id);
      // §5.1: the name is another mailbox's than it was
      const renewed = (flags && known === undefined && knownNames.has(name)) || crossing.has(id);
      const items = itemsOf(mailbox, known ?? emptyOne(mailbox), { ...telling, flags, renewed });
      if (items.length > 0) updates.push({ kind: 'status', mailbox, items });
    }
    return updates;
  }

  #metadata(now: AccountOverview, { filter }: Telling): AccountUpdate[] {
    const subscribed = new Set(now.subscriptions);
    const names = new Map(now.mailboxes.map(({ id, name }) => [id, name]));
    const changed = new Map<string, Set<string>>();
    for (const { mailboxId, name: entry, modSeq } of now.annotations) {
      if (modSeq <= this.#modSeq || this.#ownAnnotations.has(modSeq)) continue;
      const name = mailboxId === undefined ? '' : names.get(mailboxId);
      // the mailbox is gone
      if (name === undefined) continue;
      const asked =
        mailboxId === undefined
          ? filter.serverMetadata
          : filter.asks('MailboxMetadataChange', name, subscribed.has(name));
      if (!asked) continue;
      const entries = changed.get(name) ?? new Set();
      changed.set(name, entries.add(entry));
    }
    return [...changed].map(([name, entries]) => ({
      kind: 'metadata',
      name,
      entries: [...entries],
    }));
  }
}

/** What is said of a mailbox's messages, if they are others than the client knows (§5.1 to §5.3). */
function itemsOf(
  { status }: MailboxOverview,
  known: Known,
  { condStore, flags, renewed }: { condStore: boolean; flags: boolean; renewed: boolean },
): StatusItem[] {
  const changed = status.highestModSeq !== known.modSeq || status.messages !== known.messages;
  if (!changed && !renewed) return [];
  const moved = status.messages !== known.messages || status.uidNext !== known.uidNext;
  const unseen = flags && (renewed || status.unseen !== known.unseen);
  const items: StatusItem[] = [
    ...(moved || renewed ? (['MESSAGES', 'UIDNEXT'] as const) : []),
    ...(unseen ? (['UNSEEN'] as const) : []),
    ...(condStore && (moved || renewed || flags) ? (['HIGHESTMODSEQ'] as const) : []),
  ];
  return items.length === 0 ? [] : [...items, 'UIDVALIDITY'];
}
