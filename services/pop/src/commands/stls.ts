/** STLS (RFC 2595 §4): TLS from here on. What was said before counts no more. */
import { ReplyError } from '../errors.ts';
import { type Command, requireNoArgument } from './command.ts';

export const stls: Command = {
  states: ['authorization'],
  handle(session, argument) {
    requireNoArgument(argument);
    if (!session.connection.startTlsOffered) {
      throw new ReplyError(undefined, 'STLS is not available here');
    }
    session.state = { name: 'authorization', user: undefined };
    return { text: 'Begin TLS', next: 'start-tls' };
  },
};
