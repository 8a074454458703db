/** IDLE (RFC 2177): changes are told as they happen, until the client says DONE. */
import { ReplyError, SessionEnd } from '../errors.ts';
import { tellUntilLine } from '../notify/listen.ts';
import type { Completion, Session } from '../session.ts';

export async function idle(session: Session): Promise<Completion> {
  await session.response.goAhead('Idling');
  const line = await tellUntilLine(session, true);
  if (line === undefined) throw new SessionEnd('The client ended in IDLE');
  if (line.toString('latin1').toUpperCase() === 'DONE') return { text: 'IDLE completed' };
  throw new ReplyError('BAD', undefined, 'Expected DONE');
}
