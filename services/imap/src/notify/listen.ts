/** Telling a client of changes while a line of it is waited for: in IDLE, and between commands (RFC 5465 §3.1). */
import { setTimeout as pause } from 'node:timers/promises';
import { isStoreUnavailable } from '../errors.ts';
import type { Session } from '../session.ts';

/** Before changes that the store could not say are asked for again. */
const RETRY_MS = 1_000;

/**
 * The client's next line, undefined at its end; until it comes, changes are told as they happen. What it has
 * sent already comes first. Rejects as Connection.readLine and Session.tellChanges.
 */
export async function tellUntilLine(
  session: Session,
  expunges: boolean,
): Promise<Buffer | undefined> {
  const { connection, response } = session;
  const letGo = new AbortController();
  const line = connection.readLine({ signal: letGo.signal });
  let awake = Promise.withResolvers<void>();
  let lineCame = false;
  const end = (): void => {
    lineCame = true;
    awake.resolve();
  };
  line.then(end, end);
  session.onStale(() => awake.resolve());
  try {
    // a line that is here already is no reason to tell anything; else what is owed is told first
    await undefined;
    for (let owes = true; ; owes = session.stale) {
      awake = Promise.withResolvers();
      if (lineCame) return await line;
      if (!owes) {
        await awake.promise;
        continue;
      }
      try {
        await session.tellChanges(expunges);
        await response.flush();
      } catch (error) {
        if (!isStoreUnavailable(error)) throw error;
        // still listening, and still to be told
        await Promise.race([awake.promise, pause(RETRY_MS, undefined, { signal: letGo.signal })]);
      }
    }
  } finally {
    session.onStale(undefined);
    letGo.abort();
  }
}
