/** What rights to a mailbox mean (RFC 4314 §2.1, §4): letters of RIGHTS, as the store has them. Pure. */
import type { FlagKind } from '@mail/store';

export type Right = 'l' | 'r' | 's' | 'w' | 'i' | 'p' | 'k' | 'x' | 't' | 'e' | 'a';

/** Whether rights are enough for something. */
export type Needs = (rights: string) => boolean;

/** Change the mailbox; without any of them it is READ-ONLY (§5.2). */
const WRITING = 'swite';

export function has(right: Right): Needs {
  return (rights) => rights.includes(right);
}

function hasAny(letters: string): Needs {
  return (rights) => [...letters].some((letter) => rights.includes(letter));
}

export const canWrite: Needs = hasAny(WRITING);
/** MYRIGHTS (§4). */
export const canAskForRights: Needs = hasAny('lrikxa');
/** Annotations, whichever (RFC 5464 §3.3). */
export const canAnnotate: Needs = (rights) => has('l')(rights) && hasAny('rswip')(rights);

/** What is left of them in EXAMINE. */
export function withoutWriting(rights: string): string {
  return [...rights].filter((right) => !WRITING.includes(right)).join('');
}

/** What RFC 2086 knew, each in the place of several (§2.1.1). */
const OBSOLETE: readonly (readonly [string, string])[] = [
  ['c', 'kx'],
  ['d', 'te'],
];

/** As clients are told: with those of RFC 2086, for those that know no others. */
export function tellRights(rights: string): string {
  const obsolete = OBSOLETE.filter(([, members]) => hasAny(members)(rights));
  return rights + obsolete.map(([right]) => right).join('');
}

/** As clients tell them. Letters may come twice. */
export function expandRights(told: string): string {
  return OBSOLETE.reduce((rights, [right, members]) => rights.replaceAll(right, members), told);
}

const FLAG_RIGHTS: readonly (readonly [FlagKind, Right])[] = [
  ['seen', 's'],
  ['deleted', 't'],
  ['other', 'w'],
];

/** Flags that may be changed; undefined for all. */
export function changeableFlags(rights: string): readonly FlagKind[] | undefined {
  const kinds = FLAG_RIGHTS.filter(([, right]) => rights.includes(right)).map(([kind]) => kind);
  return kinds.length === FLAG_RIGHTS.length ? undefined : kinds;
}

function kindOf(flag: string): FlagKind {
  switch (flag) {
    case '\\Seen':
      return 'seen';
    case '\\Deleted':
      return 'deleted';
    default:
      return 'other';
  }
}

/** Those of `flags`, in their usual spelling, that are of `kinds`. */
export function amongKinds(
  flags: readonly string[],
  kinds: readonly FlagKind[] | undefined,
): readonly string[] {
  return kinds === undefined ? flags : flags.filter((flag) => kinds.includes(kindOf(flag)));
}
