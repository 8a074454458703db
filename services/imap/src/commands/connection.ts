/** Commands about the connection itself: CAPABILITY, NOOP, LOGOUT, STARTTLS, ID, NAMESPACE. */
import { OTHER_USERS } from '../access/shared-names.ts';
import { ReplyError } from '../errors.ts';
import { DELIMITER } from '../parser/mailbox.ts';
import type { Completion, Session } from '../session.ts';
import { encodeString } from '../strings.ts';

/** RFC 3501 §6.1.1. */
export function capability({ response, capabilities }: Session): Completion {
  response.untagged(`CAPABILITY ${capabilities}`);
  return { text: 'CAPABILITY completed' };
}

/** NOOP and CHECK (RFC 3501 §6.1.2, §6.4.1): what has happened is told at the end of any command. */
export function noop({ state }: Session): Completion {
  if (state.name === 'selected') state.selected.stale = true;
  return { text: 'Done' };
}

/** RFC 3501 §6.1.3. */
export function logout(session: Session): Completion {
  session.deselect();
  session.response.untagged('BYE Goodbye');
  return { text: 'LOGOUT completed', next: 'end' };
}

/** RFC 3501 §6.2.1. What came behind it in the clear ends the connection (@mail/line-server). */
export function startTls({ connection }: Session): Completion {
  if (!connection.startTlsOffered) throw new ReplyError('BAD', undefined, 'No TLS to be had here');
  return { text: 'Begin TLS now', next: 'start-tls' };
}

/** RFC 2971. Our version is nobody's business. */
export function id(
  { response, context }: Session,
  fields: ReadonlyMap<string, string>,
): Completion {
  context.logger.debug({ client: Object.fromEntries(fields) }, 'a client says what it is');
  response.untagged('ID ("name" "Concert")');
  return { text: 'ID completed' };
}

/** RFC 2342: one personal namespace, and that of other users. */
export function namespace({ response }: Session): Completion {
  const delimiter = encodeString(DELIMITER);
  const others = `((${encodeString(OTHER_USERS)} ${delimiter}))`;
  response.untagged(`NAMESPACE (("" ${delimiter})) ${others} NIL`);
  return { text: 'NAMESPACE completed' };
}
