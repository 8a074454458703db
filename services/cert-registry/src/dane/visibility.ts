/**
 * What is known of the TLSA records at one owner name: since when each has been seen without a break, and
 * whether every cache has it by now. Pure; times in milliseconds since the epoch.
 *
 * A cache may hold the set as it was before a record came for one TTL (RFC 7671 §8.1), which is that set's
 * and not the record's, or where there was none for as long as the zone lets an absence be kept; the second
 * is for secondaries that come late and caches behind caches.
 * A resolver counts the TTL down, so the largest that was seen stands for the zone's own. A lookup that
 * failed says nothing about records: what was known stays known, for a while.
 */
import { type Association, type KeyHolder, presentation, vouches } from './association.ts';
import { hostOf } from './config.ts';

/** Without an answer for so long, nothing is known any more: a record may have gone and come again. */
const UNKNOWN_AFTER_MS = 3_600_000;
/** Caches keep nothing for longer, whatever a zone says (RFC 8767 §4). */
const LONGEST_TTL_S = 7 * 86_400;
/** Nor an absence (RFC 2308 §5). */
const LONGEST_ABSENCE_S = 3 * 3_600;
/** Records of one owner that are kept. */
const MAX_SIGHTINGS = 64;

export interface Sighting {
  readonly association: Association;
  readonly since: number;
  /** Largest seen, at least 1. */
  readonly ttlSeconds: number;
  /** Until when caches may have what was there before it. */
  readonly formerUntil: number;
}

export interface OwnerView {
  readonly owner: string;
  /** What the last answer had. */
  readonly sightings: readonly Sighting[];
  /** Until when caches may have records as they were in any answer so far; 0 before the first. */
  readonly recordsUntil: number;
  /** As `recordsUntil`, of their absence. */
  readonly absenceUntil: number;
  /** DNSSEC vouched for that answer. */
  readonly authenticated: boolean;
  /** When it came; undefined before the first. */
  readonly answeredAt: number | undefined;
  /** Why lookups have failed since; empty where the last one did not. */
  readonly problem: string;
  readonly failures: number;
}

export interface TlsaAnswer {
  readonly associations: readonly Association[];
  /** Of the records, or where there are none of their absence. */
  readonly ttlSeconds: number;
  readonly authenticated: boolean;
}

export function unseen(owner: string): OwnerView {
  return {
    owner,
    sightings: [],
    recordsUntil: 0,
    absenceUntil: 0,
    authenticated: false,
    answeredAt: undefined,
    problem: '',
    failures: 0,
  };
}

export function afterAnswer(view: OwnerView, answer: TlsaAnswer, now: number): OwnerView {
  const before = new Map(
    isKnown(view, now)
      ? view.sightings.map((sighting) => [presentation(sighting.association), sighting])
      : [],
  );
  const found = new Map(answer.associations.map((one) => [presentation(one), one]));
  // a clock that was set back makes nothing last for ever
  const atMost = goneAt(now, LONGEST_TTL_S, true);
  const recordsUntil = Math.min(view.recordsUntil, atMost);
  const absenceUntil = Math.min(view.absenceUntil, atMost);
  const formerUntil = Math.max(recordsUntil, absenceUntil);
  const sightings = [...found].slice(0, MAX_SIGHTINGS).map(([key, association]) => {
    const known = before.get(key);
    return {
      association,
      // nor older than it is
      since: Math.min(known?.since ?? now, now),
      ttlSeconds: Math.max(answer.ttlSeconds, known?.ttlSeconds ?? 1),
      formerUntil: Math.min(known?.formerUntil ?? formerUntil, atMost),
    };
  });
  const { authenticated } = answer;
  const outdated = goneAt(now, answer.ttlSeconds, found.size > 0);
  return {
    owner: view.owner,
    sightings,
    recordsUntil: found.size > 0 ? Math.max(recordsUntil, outdated) : recordsUntil,
    absenceUntil: found.size > 0 ? absenceUntil : Math.max(absenceUntil, outdated),
    authenticated,
    answeredAt: now,
    problem: '',
    failures: 0,
  };
}

/** From when no cache has an answer any more that another takes the place of at `changedAt`. */
function goneAt(changedAt: number, ttlSeconds: number, hadRecords: boolean): number {
  const longest = hadRecords ? LONGEST_TTL_S : LONGEST_ABSENCE_S;
  return changedAt + 2000 * Math.min(ttlSeconds, longest);
}

export function afterFailure(view: OwnerView, problem: string): OwnerView {
  return { ...view, problem, failures: view.failures + 1 };
}

/** Whether the last answer is recent enough to go by. */
export function isKnown({ answeredAt }: OwnerView, now: number): boolean {
  return answeredAt !== undefined && now - answeredAt <= UNKNOWN_AFTER_MS;
}

/** From when every cache has it. */
export function settlesAt({ since, ttlSeconds, formerUntil }: Sighting): number {
  return Math.max(goneAt(since, ttlSeconds, true), formerUntil);
}

/** Nobody goes by records here: the last answer had none, and no cache has any from before. */
export function isBare({ sightings, recordsUntil, answeredAt }: OwnerView): boolean {
  return answeredAt !== undefined && sightings.length === 0 && recordsUntil <= answeredAt;
}

/** What one owner's records say of one key. */
export type Standing =
  /** In every cache: an answer had it when what was there before it had gone from all of them. */
  | { readonly kind: 'settled'; readonly sighting: Sighting }
  | { readonly kind: 'visible'; readonly sighting: Sighting }
  | { readonly kind: 'absent' }
  | { readonly kind: 'unknown'; readonly problem: string };

export function standingOf(view: OwnerView, holder: KeyHolder, now: number): Standing {
  const { answeredAt, sightings, owner, problem } = view;
  if (answeredAt === undefined || !isKnown(view, now)) {
    return { kind: 'unknown', problem: problem || 'it has not been looked up yet' };
  }
  const host = hostOf(owner);
  const [first] = sightings
    .filter(({ association }) => vouches(association, holder, host))
    .sort((one, other) => settlesAt(one) - settlesAt(other));
  if (first === undefined) return { kind: 'absent' };
  return { kind: settlesAt(first) <= answeredAt ? 'settled' : 'visible', sighting: first };
}

/** How long until the next lookup: by the TTL, or longer and longer while lookups fail. `random` is 0 to 1. */
export function nextLookupMs({ sightings, failures }: OwnerView, random: number): number {
  const { least, most, jitter } = LOOKUP;
  const wanted =
    failures > 0
      ? least * 2 ** Math.min(failures - 1, 10)
      : 1000 * Math.max(0, ...sightings.map(({ ttlSeconds }) => ttlSeconds));
  return Math.min(Math.max(wanted, least), most) * (1 + jitter * random);
}

const LOOKUP = { least: 30_000, most: 300_000, jitter: 0.1 } as const;
