/**
 * What must be in the mailboxes after a crash: for each numbered message where it is and with which flags,
 * as far as that was acknowledged, and what one command that was not answered may have changed.
 */

/** A message in a mailbox. `uid` is undefined where the server had no chance to tell it. */
export interface Place {
  readonly mailbox: string;
  readonly uid: number | undefined;
  readonly flags: readonly string[];
  /** At least; 0 where it was not told. */
  readonly modSeq: number;
}

export interface FoundPlace extends Place {
  readonly uid: number;
  readonly whole: boolean;
}

export interface FoundMailbox {
  readonly uidValidity: number;
  readonly uidNext: number;
  readonly highestModSeq: number;
}

export interface Found {
  readonly places: ReadonlyMap<number, readonly FoundPlace[]>;
  readonly mailboxes: ReadonlyMap<string, FoundMailbox>;
}

interface Tracked {
  places: readonly Place[];
  /** Where the message is if the command under way was done. */
  after: readonly Place[] | undefined;
}

export class CrashModel {
  readonly #messages = new Map<number, Tracked>();
  readonly #mailboxes = new Map<string, FoundMailbox>();
  readonly #highestUids = new Map<string, number>();

  placesOf(number: number): readonly Place[] {
    return this.#messages.get(number)?.places ?? [];
  }

  /** Before a command goes out that changes where the message is. */
  begin(number: number, after: readonly Place[]): void {
    const tracked = this.#messages.get(number) ?? { places: [], after: undefined };
    tracked.after = after;
    this.#messages.set(number, tracked);
  }

  /** The command was acknowledged. */
  acknowledge(number: number, places: readonly Place[]): void {
    this.#messages.set(number, { places, after: undefined });
    for (const { mailbox, uid = 0 } of places) {
      this.#highestUids.set(mailbox, Math.max(uid, this.#highestUids.get(mailbox) ?? 0));
    }
  }

  /** Everything that is not as it must be, a sentence each; then goes on from what was found. */
  compare(found: Found): string[] {
    const faults: string[] = [];
    for (const [name, now] of found.mailboxes) faults.push(...this.#compareMailbox(name, now));
    for (const number of found.places.keys()) {
      if (!this.#messages.has(number)) faults.push(`message ${number} was never sent`);
    }
    for (const [number, tracked] of this.#messages) {
      const places = found.places.get(number) ?? [];
      for (const { whole } of places) if (!whole) faults.push(`message ${number} is not whole`);
      const fits = [tracked.places, ...(tracked.after === undefined ? [] : [tracked.after])].some(
        (expected) => matches(expected, places),
      );
      if (!fits) faults.push(`message ${number} is ${tell(places)}, and was ${describe(tracked)}`);
      this.acknowledge(number, places);
    }
    return faults;
  }

  #compareMailbox(name: string, now: FoundMailbox): string[] {
    const faults: string[] = [];
    const before = this.#mailboxes.get(name);
    if (before !== undefined) {
      if (now.uidValidity !== before.uidValidity) faults.push(`${name}: another UIDVALIDITY`);
      if (now.highestModSeq < before.highestModSeq) faults.push(`${name}: HIGHESTMODSEQ went back`);
      if (now.uidNext < before.uidNext) faults.push(`${name}: UIDNEXT went back`);
    }
    if (now.uidNext <= (this.#highestUids.get(name) ?? 0)) {
      faults.push(`${name}: UIDNEXT is ${now.uidNext}, and that has been told`);
    }
    this.#mailboxes.set(name, now);
    return faults;
  }
}

function sameFlags(a: readonly string[], b: readonly string[]): boolean {
  return a.toSorted().join(' ') === b.toSorted().join(' ');
}

/** Known UIDs first, so that one that is not known is not taken for them. */
function matches(expected: readonly Place[], found: readonly FoundPlace[]): boolean {
  if (expected.length !== found.length) return false;
  const left = new Set(found);
  const known = expected.filter(({ uid }) => uid !== undefined);
  const unknown = expected.filter(({ uid }) => uid === undefined);
  return [...known, ...unknown].every((place) => {
    for (const candidate of left) {
      if (candidate.mailbox !== place.mailbox) continue;
      if (place.uid !== undefined && candidate.uid !== place.uid) continue;
      if (!sameFlags(candidate.flags, place.flags) || candidate.modSeq < place.modSeq) continue;
      left.delete(candidate);
      return true;
    }
    return false;
  });
}

function tell(places: readonly Place[]): string {
  if (places.length === 0) return 'nowhere';
  return places
    .map(
      ({ mailbox, uid, flags, modSeq }) => `${mailbox}:${uid ?? '?'}@${modSeq}(${flags.join(' ')})`,
    )
    .join(' ');
}

function describe({ places, after }: Tracked): string {
  return after === undefined ? tell(places) : `${tell(places)} or ${tell(after)}`;
}
