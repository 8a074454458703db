/** IDLE (RFC 2177): changes are told as they happen, until the client says DONE. */
import { setTimeout as pause } from 'node:timers/promises';
import { isStoreUnavailable, ReplyError, SessionEnd } from '../errors.ts';
import type { Completion, Session } from '../session.ts';

/** Before changes that the store could not say are asked for again. */
const RETRY_MS = 1_000;

export async function idle(session: Session): Promise<Completion> {
  const { connection, response, state } = session;
  const selected = state.name === 'selected' ? state.selected : undefined;
  await response.goAhead('Idling');
  const letGo = new AbortController();
  const line = connection.readLine({ signal: letGo.signal });
  // it is awaited below; when telling fails first, its own end is no news
  line.catch(() => {});
  try {
    for (;;) {
      const stale = Promise.withResolvers<'stale'>();
      if (selected !== undefined) {
        selected.onStale = () => stale.resolve('stale');
        if (selected.stale) stale.resolve('stale');
      }
      const event = await Promise.race([line, stale.promise]);
      if (event === undefined) throw new SessionEnd('The client ended in IDLE');
      if (event !== 'stale') {
        if (event.toString('latin1').toUpperCase() === 'DONE') return { text: 'IDLE completed' };
        throw new ReplyError('BAD', undefined, 'Expected DONE');
      }
      try {
        await session.tellChanges(true);
        await response.flush();
      } catch (error) {
        if (!isStoreUnavailable(error)) throw error;
        // still idling, and still to be told
        await Promise.race([line, pause(RETRY_MS, undefined, { signal: letGo.signal })]);
      }
    }
  } finally {
    if (selected !== undefined) selected.onStale = undefined;
    letGo.abort();
  }
}
