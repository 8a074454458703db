/** USER and PASS (RFC 1939 §7), AUTH (RFC 5034): who is there. */
import { AuthError, decodeResponse, parsePlain } from '@mail/auth';
import { ReplyError } from '../errors.ts';
import type { Maildrop } from '../maildrop.ts';
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
    return loggedIn(await session.logIn('user', state.user, argument));
  },
};

export const auth: Command = {
  states: ['authorization'],
  async handle(session, argument) {
    const [mechanism, initialResponse] = wordsOf(argument, 0, 2);
    if (mechanism === undefined) {
      const mechanisms = session.connection.loginAllowed ? ['PLAIN'] : [];
      return { text: 'Mechanisms follow', lines: encodeLines(mechanisms) };
    }
    session.requirePrivacy();
    if (mechanism.toUpperCase() !== 'PLAIN') {
      throw new ReplyError(undefined, 'Mechanism not supported');
    }
    let response = initialResponse;
    if (response === undefined) {
      await session.connection.write('+ \r\n');
      response = (await session.connection.readLine())?.toString('latin1') ?? '*';
    }
    try {
      const { address, password } = parsePlain(decodeResponse(response));
      return loggedIn(await session.logIn('plain', address, password));
    } catch (cause) {
      if (!(cause instanceof AuthError) || cause.code === 'bad-hash') throw cause;
      const text = cause.code === 'cancelled' ? 'Cancelled' : 'Bad SASL response';
      throw new ReplyError(undefined, text, { cause });
    }
  },
};
