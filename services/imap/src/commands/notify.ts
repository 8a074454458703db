/** NOTIFY (RFC 5465): what the client is told from now on, also while no command runs. */
import { ReplyError, refuse } from '../errors.ts';
import { NO_INTEREST } from '../notify/interest.ts';
import { EVENTS, type NotifyArguments, type SelectedEvents } from '../parser/notify.ts';
import type { Completion, Session } from '../session.ts';
import { fetch } from './fetch.ts';

/** Tells of messages that are new to the client what it wants to know of such (§5.2). */
async function fetchNew(
  session: Session,
  { newItems: items }: SelectedEvents,
  numbers: readonly number[],
): Promise<void> {
  if (numbers.length === 0) return;
  const set = numbers.map((number) => ({ from: number, to: number }));
  const plain = { changedSince: undefined, vanished: false, partial: undefined };
  try {
    await fetch(session, { set, items, ...plain }, 'sequence');
  } catch (error) {
    // one that is gone already, or that cannot be decoded: no command is there to be refused
    if (!(error instanceof ReplyError)) throw error;
  }
}

export async function notify(session: Session, parsed: NotifyArguments): Promise<Completion> {
  const { notifications } = session;
  const text = 'NOTIFY completed';
  if (parsed === 'none') {
    await notifications.listen(NO_INTEREST, undefined);
    return { text };
  }
  const { status, selected, groups, unsupported } = parsed;
  if (unsupported) throw refuse(`BADEVENT (${EVENTS.join(' ')})`, 'Only these can be told');
  // what has happened until now is told as NOOP tells it (§3.1)
  if (session.state.name === 'selected') session.selected.stale = true;
  await session.tellEverything();
  const asksMore = selected !== undefined && selected.newItems.length > 0;
  const tellNew = asksMore
    ? (numbers: readonly number[]) => fetchNew(session, selected, numbers)
    : undefined;
  if (!(await notifications.listen({ selected, groups }, tellNew))) {
    throw refuse('NOTIFICATIONOVERFLOW', 'There are too many mailboxes to tell of them');
  }
  if (status) await notifications.watch?.tellStatuses();
  return { text };
}
