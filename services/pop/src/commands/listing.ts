/** STAT, LIST and UIDL (RFC 1939 §5, §7): what is in the maildrop. */
import type { DropMessage } from '../maildrop.ts';
import type { Session } from '../session.ts';
import {
  type Command,
  encodeLines,
  numberOf,
  type Reply,
  requireNoArgument,
  wordsOf,
} from './command.ts';

function octetsOf(messages: readonly DropMessage[]): number {
  return messages.reduce((sum, { size }) => sum + size, 0);
}

/** With a number: that message's line; without: every message's. */
function listing(
  { maildrop }: Session,
  argument: string,
  summary: (messages: readonly DropMessage[]) => string,
  value: (message: DropMessage) => string | number,
): Reply {
  const [word] = wordsOf(argument, 0, 1);
  const line = (message: DropMessage) => `${message.number} ${value(message)}`;
  if (word !== undefined) return { text: line(maildrop.message(numberOf(word))) };
  const { messages } = maildrop;
  return { text: summary(messages), lines: encodeLines(messages.map(line)) };
}

export const stat: Command = {
  states: ['transaction'],
  handle({ maildrop }, argument) {
    requireNoArgument(argument);
    const { messages } = maildrop;
    return { text: `${messages.length} ${octetsOf(messages)}` };
  },
};

export const list: Command = {
  states: ['transaction'],
  handle(session, argument) {
    const summary = (messages: readonly DropMessage[]) =>
      `${messages.length} messages (${octetsOf(messages)} octets)`;
    return listing(session, argument, summary, ({ size }) => size);
  },
};

export const uidl: Command = {
  states: ['transaction'],
  handle(session, argument) {
    const summary = () => 'Unique ids follow';
    return listing(session, argument, summary, (message) => session.maildrop.uniqueId(message));
  },
};
