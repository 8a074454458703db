/** Many UIDs as the conditions of few statements. */
import { sql } from 'kysely';
import { inGroups } from './id-groups.ts';
import type { Uid, UidRange } from './mail-store.ts';

/** Of ascending UIDs: one range where they follow each other. */
export function* inUidGroups(uids: readonly Uid[]): Generator<UidRange | Uid[]> {
  const [first] = uids;
  const last = uids.at(-1);
  if (first === undefined || last === undefined) return;
  if (last - first + 1 === uids.length) yield { first, last };
  else yield* inGroups(uids);
}

/** `messages.uid` among `group`. */
export function amongUids(group: UidRange | Uid[]) {
  return Array.isArray(group)
    ? sql<boolean>`messages.uid in (${sql.join(group)})`
    : sql<boolean>`messages.uid between ${group.first} and ${group.last}`;
}
