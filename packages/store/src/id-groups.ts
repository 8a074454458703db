/** Many ids, or other keys of rows, in few statements. */

/** Ids named in one statement. */
const GROUP_SIZE = 512;

/**
 * Cuts ids into groups for `in (...)`. Each is filled up to a power of two with its last id, so that
 * there are few distinct statements to keep prepared.
 */
export function* inGroups<Id extends number | string>(ids: readonly Id[]): Generator<Id[]> {
  for (let start = 0; start < ids.length; start += GROUP_SIZE) {
    const group = ids.slice(start, start + GROUP_SIZE);
    const last = group.at(-1);
    if (last === undefined) return;
    const length = 2 ** Math.ceil(Math.log2(group.length));
    yield group.concat(new Array<Id>(length - group.length).fill(last));
  }
}
