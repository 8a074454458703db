/**
 * Which messages have a text that a SEARCH looks for (RFC 3501 §6.4.4: BODY, TEXT, HEADER and their like), as
 * the store finds them; a stretch of the mailbox at a time, between which the others have their turn.
 */
import type { SoughtText, Uid, UidRange } from '@mail/store';
import type { Numbered } from '../mailbox-view.ts';
import type { Session } from '../session.ts';

/** Messages between two that are asked of, which are looked at too rather than asked around. */
const MAX_GAP = 32;

/**
 * `messages` ascending; some others that have the text may be among what is found. Throws LineServerError
 * (closed) once nobody waits for it.
 */
export async function findText(
  { store, selected, connection }: Session,
  sought: SoughtText,
  messages: readonly Numbered[],
): Promise<Set<Uid>> {
  const found = new Set<Uid>();
  for (const { first, last } of stretchesOf(messages)) {
    for (let from = first; from <= last; ) {
      connection.requireClient();
      const range = { first: from, last };
      const { uids, upTo } = await store.messages.findText(selected.mailbox.id, sought, range);
      for (const uid of uids) found.add(uid);
      from = upTo + 1;
    }
  }
  return found;
}

/** UIDs from one message to another, with few in between that are not asked of. */
export function stretchesOf(messages: readonly Numbered[]): UidRange[] {
  const stretches: { first: Uid; last: Uid; lastSequence: number }[] = [];
  for (const { uid, sequence } of messages) {
    const stretch = stretches.at(-1);
    if (stretch !== undefined && sequence - stretch.lastSequence <= MAX_GAP) {
      stretch.last = uid;
      stretch.lastSequence = sequence;
    } else {
      stretches.push({ first: uid, last: uid, lastSequence: sequence });
    }
  }
  return stretches.map(({ first, last }) => ({ first, last }));
}
