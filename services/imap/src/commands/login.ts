/** LOGIN (RFC 3501 §6.2.3) and AUTHENTICATE (§6.2.2, RFC 4959): who is there. */
import { AuthError, type LoginOutcome } from '@mail/auth';
import type { Account } from '@mail/store';
import { ReplyError, refuse, SessionEnd } from '../errors.ts';
import type { AuthenticateArguments, LoginArguments } from '../parser/command.ts';
import type { Completion, Session } from '../session.ts';

/** RFC 3501 §6.2.3, RFC 5530 §3: no credentials in the clear. */
function requirePrivacy(session: Session): void {
  if (session.connection.loginAllowed) return;
  throw refuse('PRIVACYREQUIRED', 'Log in over TLS: use STARTTLS first');
}

function answer(session: Session, outcome: LoginOutcome<Account>): Completion {
  if (session.logins.closed) throw new SessionEnd('Too many failed logins');
  switch (outcome.kind) {
    case 'accepted':
      session.logIn(outcome.account);
      return { code: `CAPABILITY ${session.capabilities}`, text: 'Logged in' };
    case 'refused':
      throw refuse('AUTHENTICATIONFAILED', 'Wrong name or password');
    case 'not-authorized':
      throw refuse('AUTHORIZATIONFAILED', 'Nobody acts for somebody else here');
    case 'throttled': {
      const wait = `try again in ${outcome.retryAfterSeconds} seconds`;
      throw refuse('UNAVAILABLE', `Too many failed logins, ${wait}`);
    }
    case 'busy':
      throw refuse('UNAVAILABLE', 'Too many logins at once, try again later');
    case 'unavailable':
      throw refuse('UNAVAILABLE', 'Tokens cannot be checked now, try again later');
  }
}

export async function login(
  session: Session,
  { user, password }: LoginArguments,
): Promise<Completion> {
  requirePrivacy(session);
  return answer(session, await session.logins.logIn('login', user, password));
}

async function ask(session: Session, challenge: string): Promise<string> {
  await session.response.goAhead(challenge);
  const line = await session.connection.readLine();
  if (line === undefined) throw new SessionEnd('The client ended in AUTHENTICATE');
  return line.toString('latin1');
}

export async function authenticate(
  session: Session,
  { mechanism, initialResponse }: AuthenticateArguments,
): Promise<Completion> {
  requirePrivacy(session);
  try {
    const outcome = await session.logins.authenticate({
      mechanism,
      initialResponse,
      binding: session.connection.channelBinding,
      ask: (challenge) => ask(session, challenge),
    });
    return answer(session, outcome);
  } catch (error) {
    throw error instanceof AuthError ? refusalOf(error, session) : error;
  }
}

/** What a broken exchange is answered with; a bug is thrown on. */
function refusalOf(error: AuthError, session: Session): Error {
  switch (error.code) {
    case 'unsupported-mechanism':
      return refuse('CANNOT', 'Mechanism not supported', error);
    case 'channel-binding':
      if (session.logins.closed) return new SessionEnd('Too many failed logins', { cause: error });
      return refuse('AUTHENTICATIONFAILED', 'This is another TLS session than yours', error);
    // RFC 3501 §6.2.2: BAD for a cancelled exchange
    case 'cancelled':
      return new ReplyError('BAD', undefined, 'AUTHENTICATE cancelled', { cause: error });
    case 'malformed-response':
      return new ReplyError('BAD', undefined, 'Bad SASL response', { cause: error });
    default:
      return error;
  }
}
