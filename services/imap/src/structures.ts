/**
 * The structures of many messages, of which few are held at once; other sessions have their turn, and the
 * client hears of it when it takes long.
 */
import type { MessageStructure } from '@mail/message';
import type { Numbered } from './mailbox-view.ts';
import { Progress } from './progress.ts';
import type { Session } from './session.ts';
import { type Described, describe } from './summaries.ts';
import { Turns } from './turns.ts';

const BATCH_MESSAGES = 64;
/** Messages that are looked at before others have their turn. */
const TURN_MESSAGES = 256;

export interface Structured extends Described {
  readonly structure: MessageStructure;
}

/** `messages` ascending. In their order; those that have been expunged meanwhile are left out. */
export async function* eachStructure(
  session: Session,
  messages: readonly Numbered[],
): AsyncGenerator<Structured> {
  const { store, selected } = session;
  const turns = new Turns(TURN_MESSAGES);
  const progress = new Progress(session, messages.length);
  for (let start = 0; start < messages.length; start += BATCH_MESSAGES) {
    const batch = messages.slice(start, start + BATCH_MESSAGES);
    const uids = batch.map(({ uid }) => uid);
    const structures = await store.messages.structures(selected.mailbox.id, uids);
    for (const described of await describe(session, batch)) {
      const structure = structures.get(described.uid);
      if (structure !== undefined) yield { ...described, structure };
    }
    await turns.spend(batch.length);
    await progress.tell(start + batch.length);
  }
}
