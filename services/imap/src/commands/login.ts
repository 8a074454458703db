/** LOGIN (RFC 3501 §6.2.3) and AUTHENTICATE (§6.2.2, RFC 4959): who is there. */
import { AuthError, decodeResponse, type LoginMechanism, parsePlain } from '@mail/auth';
import { ReplyError, refuse, SessionEnd } from '../errors.ts';
import type { AuthenticateArguments, LoginArguments } from '../parser/command.ts';
import type { Completion, Session } from '../session.ts';

/** RFC 3501 §6.2.3, RFC 5530 §3: no credentials in the clear. */
function requirePrivacy(session: Session): void {
  if (session.connection.loginAllowed) return;
  throw refuse('PRIVACYREQUIRED', 'Log in over TLS: use STARTTLS first');
}

async function logIn(
  session: Session,
  mechanism: LoginMechanism,
  address: string,
  password: string,
): Promise<Completion> {
  const outcome = await session.logins.logIn(mechanism, address, password);
  if (session.logins.closed) throw new SessionEnd('Too many failed logins');
  switch (outcome.kind) {
    case 'accepted':
      session.logIn(outcome.account);
      return { code: `CAPABILITY ${session.capabilities}`, text: 'Logged in' };
    case 'refused':
      throw refuse('AUTHENTICATIONFAILED', 'Wrong name or password');
    case 'throttled': {
      const wait = `try again in ${outcome.retryAfterSeconds} seconds`;
      throw refuse('UNAVAILABLE', `Too many failed logins, ${wait}`);
    }
    case 'busy':
      throw refuse('UNAVAILABLE', 'Too many logins at once, try again later');
  }
}

export function login(session: Session, { user, password }: LoginArguments): Promise<Completion> {
  requirePrivacy(session);
  return logIn(session, 'login', user, password);
}

async function readResponse(session: Session): Promise<string> {
  await session.response.goAhead('');
  const line = await session.connection.readLine();
  if (line === undefined) throw new SessionEnd('The client ended in AUTHENTICATE');
  return line.toString('latin1');
}

export async function authenticate(
  session: Session,
  { mechanism, initialResponse }: AuthenticateArguments,
): Promise<Completion> {
  requirePrivacy(session);
  if (mechanism !== 'PLAIN') throw refuse('CANNOT', 'Mechanism not supported');
  const response = initialResponse ?? (await readResponse(session));
  let credentials: ReturnType<typeof parsePlain>;
  try {
    credentials = parsePlain(decodeResponse(response));
  } catch (error) {
    if (!(error instanceof AuthError)) throw error;
    // RFC 3501 §6.2.2: BAD for a cancelled exchange
    const text = error.code === 'cancelled' ? 'AUTHENTICATE cancelled' : 'Bad SASL response';
    throw new ReplyError('BAD', undefined, text, { cause: error });
  }
  return logIn(session, 'plain', credentials.address, credentials.password);
}
