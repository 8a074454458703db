/** USER and PASS (RFC 1939 §7), AUTH (RFC 5034): who is there. */
import { AuthError } from '@mail/auth';
import { ReplyError } from '../errors.ts';
import type { Maildrop } from '../maildrop.ts';
import type { Session } from '../session.ts';
import { type Command, encodeLines, type Reply, wordsOf } from './command.ts';

function loggedIn(maildrop: Maildrop): Reply {
  return { text: `Logged in, ${maildrop.messages.length} messages` };
}

export const user: Command = {
  states: ['authorization'],
  handle(session, argument) {
    session.requirePrivacy();
    const [name] = wordsOf(argument, 1, 1);
    // whether there is such a user shows only at PASS
    session.state = { name: 'authorization', user: name };
    return { text: 'Now the password' };
  },
};

/** The argument is the password, blanks included. */
export const pass: Command = {
  states: ['authorization'],
  async handle(session, argument) {
    session.requirePrivacy();
    const { state } = session;
    if (state.name !== 'authorization' || state.user === undefined) {
      throw new ReplyError(undefined, 'USER comes first');
    }
    session.state = { name: 'authorization', user: undefined };
    const outcome = await session.logins.logIn('user', state.user, argument);
    return loggedIn(await session.enter(outcome));
  },
};

async function ask({ connection }: Session, challenge: string): Promise<string> {
  await connection.write(`+ ${challenge}\r\n`);
  // who has ended has given up
  return (await connection.readLine())?.toString('latin1') ?? '*';
}

export const auth: Command = {
  states: ['authorization'],
  async handle(session, argument) {
    const { connection, logins } = session;
    const [mechanism, initialResponse] = wordsOf(argument, 0, 2);
    if (mechanism === undefined) {
      const offered = connection.loginAllowed ? logins.mechanisms(connection.channelBinding) : [];
      return { text: 'Mechanisms follow', lines: encodeLines(offered) };
    }
    session.requirePrivacy();
    try {
      const outcome = await logins.authenticate({
        mechanism,
        initialResponse,
        binding: connection.channelBinding,
        ask: (challenge) => ask(session, challenge),
      });
      return loggedIn(await session.enter(outcome));
    } catch (error) {
      throw error instanceof AuthError ? refusalOf(error) : error;
    }
  },
};

/** What a broken exchange is answered with; a bug is thrown on. */
function refusalOf(error: AuthError): Error {
  const options = { cause: error };
  switch (error.code) {
    case 'unsupported-mechanism':
      return new ReplyError(undefined, 'Mechanism not supported', options);
    case 'channel-binding':
      return new ReplyError('AUTH', 'This is another TLS session than yours', options);
    case 'cancelled':
      return new ReplyError(undefined, 'Cancelled', options);
    case 'malformed-response':
      return new ReplyError(undefined, 'Bad SASL response', options);
    default:
      return error;
  }
}
