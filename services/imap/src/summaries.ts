/**
 * The summaries of many messages, of which few are held at once; other sessions have their turn.
 */
import type { MessageSummary } from '@mail/store';
import type { Numbered } from './mailbox-view.ts';
import type { Session } from './session.ts';
import { Turns } from './turns.ts';

/** Read at one go, which takes about a millisecond. */
export const PAGE_MESSAGES = 1024;

export interface Described extends Numbered {
  readonly message: MessageSummary;
}

/** Those of `page`, in order, that are still there. */
export async function describe(
  { store, selected }: Session,
  page: readonly Numbered[],
): Promise<Described[]> {
  const uids = page.map(({ uid }) => uid);
  const summaries = await store.messages.summaries(selected.mailbox.id, uids);
  const described: Described[] = [];
  let at = 0;
  for (const { sequence, uid } of page) {
    const message = summaries[at];
    if (message?.uid !== uid) continue;
    described.push({ sequence, uid, message });
    at += 1;
  }
  return described;
}

export function* cut<T>(list: readonly T[], most: number): Generator<T[]> {
  for (let start = 0; start < list.length; start += most) yield list.slice(start, start + most);
}

/** In their order; those that have been expunged meanwhile are left out. */
export async function* eachSummary(
  session: Session,
  messages: readonly Numbered[],
): AsyncGenerator<Described> {
  const turns = new Turns(PAGE_MESSAGES);
  for (const page of cut(messages, PAGE_MESSAGES)) {
    yield* await describe(session, page);
    await turns.spend(PAGE_MESSAGES);
  }
}
