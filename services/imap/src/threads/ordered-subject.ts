/** THREAD=ORDEREDSUBJECT (RFC 5256 §3): one thread for each base subject. */
import { sortInTurns } from '../sort/in-turns.ts';
import type { Turns } from '../turns.ts';
import { bySentDate, type Thread, type ThreadedMessage } from './thread.ts';

/** All that follow the first message of a thread are its children. `turns` in steps. */
export async function threadBySubject(
  messages: readonly ThreadedMessage[],
  turns: Turns,
): Promise<Thread[]> {
  // in this order threads begin in that of their first messages
  const bySubject = new Map<string, { message: ThreadedMessage; children: Thread[] }>();
  for (const message of await sortInTurns(messages, bySentDate, turns)) {
    const thread = bySubject.get(message.subject);
    if (thread === undefined) bySubject.set(message.subject, { message, children: [] });
    else thread.children.push({ message, children: [] });
    const turn = turns.spend(1);
    if (turn !== undefined) await turn;
  }
  return [...bySubject.values()];
}
