/** CAPA (RFC 2449 §5). What needs TLS first is not offered before it. */
import type { Session } from '../session.ts';
import { type Command, encodeLines, requireNoArgument } from './command.ts';

function* capabilities({ connection, logins, state }: Session): Generator<string> {
  yield 'TOP';
  yield 'UIDL';
  yield 'RESP-CODES';
  yield 'AUTH-RESP-CODE';
  yield 'PIPELINING';
  yield 'EXPIRE NEVER';
  // RFC 2595 §4: in this state alone
  if (connection.startTlsOffered && state.name === 'authorization') yield 'STLS';
  if (connection.loginAllowed) {
    yield 'USER';
    yield `SASL ${logins.mechanisms(connection.channelBinding).join(' ')}`;
  }
  yield 'IMPLEMENTATION Concert';
}

export const capa: Command = {
  states: ['authorization', 'transaction'],
  handle(session, argument) {
    requireNoArgument(argument);
    return { text: 'Capabilities follow', lines: encodeLines(capabilities(session)) };
  },
};
