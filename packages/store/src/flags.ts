/** Flags as they are stored: system flags in bits, keywords between spaces (RFC 9051 §2.3.2). */
import { StoreError } from './errors.ts';
import type { FlagChange, FlagKind } from './mail-store.ts';

export interface StoredFlags {
  readonly flags: number;
  readonly keywords: string;
}

export const SEEN = 1;
export const DELETED = 8;

const SYSTEM_FLAGS: readonly (readonly [string, number])[] = [
  ['\\Seen', SEEN],
  ['\\Answered', 2],
  ['\\Flagged', 4],
  ['\\Deleted', DELETED],
  ['\\Draft', 16],
];

const ALL_BITS = SYSTEM_FLAGS.reduce((bits, [, bit]) => bits | bit, 0);

/** Which flags may be touched. */
export interface FlagMask {
  readonly bits: number;
  readonly keywords: boolean;
}

export const ALL_FLAGS: FlagMask = { bits: ALL_BITS, keywords: true };

export function flagMask(kinds: readonly FlagKind[] | undefined): FlagMask {
  if (kinds === undefined) return ALL_FLAGS;
  const others = kinds.includes('other');
  return {
    bits:
      (kinds.includes('seen') ? SEEN : 0) |
      (kinds.includes('deleted') ? DELETED : 0) |
      (others ? ALL_BITS & ~(SEEN | DELETED) : 0),
    keywords: others,
  };
}

export function maskFlags({ flags, keywords }: StoredFlags, mask: FlagMask): StoredFlags {
  return { flags: flags & mask.bits, keywords: mask.keywords ? keywords : '' };
}

const BIT_BY_NAME = new Map(SYSTEM_FLAGS.map(([name, bit]) => [name.toLowerCase(), bit]));

/** An atom (RFC 9051 §9, flag-keyword). */
const KEYWORD = /^[!#$&'+,\-./0-9:;<=>?@A-Z[^_`a-z|}~]{1,100}$/;
const MAX_KEYWORDS = 100;

export function splitKeywords(keywords: string): string[] {
  return keywords === '' ? [] : keywords.split(' ');
}

/** Case of keywords is ignored; the first spelling is kept. */
function joinKeywords(keywords: readonly string[]): string {
  const byKey = new Map<string, string>();
  for (const keyword of keywords) {
    const key = keyword.toLowerCase();
    if (!byKey.has(key)) byKey.set(key, keyword);
  }
  if (byKey.size > MAX_KEYWORDS) {
    throw new StoreError('bad-flag', `a message has at most ${MAX_KEYWORDS} keywords`);
  }
  return [...byKey]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, keyword]) => keyword)
    .join(' ');
}

/** Throws StoreError (bad-flag). */
export function encodeFlags(names: readonly string[]): StoredFlags {
  let flags = 0;
  const keywords: string[] = [];
  for (const name of names) {
    const bit = BIT_BY_NAME.get(name.toLowerCase());
    if (bit !== undefined) flags |= bit;
    else if (KEYWORD.test(name)) keywords.push(name);
    else
      throw new StoreError('bad-flag', 'no such system flag, or not a keyword of 1 to 100 octets');
  }
  return { flags, keywords: joinKeywords(keywords) };
}

/** One list for each combination of system flags: most messages have nothing else. */
const SYSTEM_LISTS: readonly (readonly string[])[] = Array.from({ length: 32 }, (_, flags) =>
  SYSTEM_FLAGS.filter(([, bit]) => (flags & bit) !== 0).map(([name]) => name),
);

export function decodeFlags({ flags, keywords }: StoredFlags): readonly string[] {
  const system = SYSTEM_LISTS[flags] ?? [];
  return keywords === '' ? system : [...system, ...splitKeywords(keywords)];
}

/** `given` are masked already. Throws StoreError (bad-flag) where the sum would be too many keywords. */
export function applyFlags(
  before: StoredFlags,
  change: FlagChange,
  given: StoredFlags,
  mask: FlagMask = ALL_FLAGS,
): StoredFlags {
  switch (change) {
    case 'replace':
      return {
        flags: (before.flags & ~mask.bits) | given.flags,
        keywords: mask.keywords ? given.keywords : before.keywords,
      };
    case 'add':
      return {
        flags: before.flags | given.flags,
        keywords:
          given.keywords === ''
            ? before.keywords
            : joinKeywords([...splitKeywords(before.keywords), ...splitKeywords(given.keywords)]),
      };
    case 'remove': {
      const gone = new Set(splitKeywords(given.keywords.toLowerCase()));
      return {
        flags: before.flags & ~given.flags,
        keywords: splitKeywords(before.keywords)
          .filter((keyword) => !gone.has(keyword.toLowerCase()))
          .join(' '),
      };
    }
  }
}
