/** What THREAD makes of messages (RFC 5256 §3, §4), however it does. Pure. */

/** What threads are made from. */
export interface ThreadedMessage {
  /** As the answer names it. */
  readonly number: number;
  readonly sequence: number;
  /** Milliseconds since the epoch. */
  readonly sentAt: number;
  /** Its base subject, by collationKey. */
  readonly subject: string;
  /** Whether its subject says that it answers or forwards another. */
  readonly isReply: boolean;
}

/** A message and what follows it. One that nobody has holds together at least two which follow it. */
export interface Thread {
  readonly message: ThreadedMessage | undefined;
  readonly children: readonly Thread[];
}

/** RFC 5256 §2.2. */
export function bySentDate(one: ThreadedMessage, other: ThreadedMessage): number {
  return one.sentAt - other.sentAt || one.sequence - other.sequence;
}

/** thread-list, in pieces: (1 2 (3)(4 5)). Holds no stack, since threads may be as deep as they like. */
export function* renderThread(thread: Thread): Generator<string> {
  const ahead: (Thread | string)[] = [')', thread, '('];
  for (let next = ahead.pop(); next !== undefined; next = ahead.pop()) {
    if (typeof next === 'string') {
      yield next;
      continue;
    }
    const { message, children } = next;
    if (message !== undefined)
      yield children.length > 0 ? `${message.number} ` : `${message.number}`;
    const [only] = children;
    if (only !== undefined && children.length === 1) ahead.push(only);
    else for (const child of children.toReversed()) ahead.push(')', child, '(');
  }
}
