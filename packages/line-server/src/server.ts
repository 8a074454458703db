/**
 * The sessions of a line protocol over all of a service's listeners: starts one for each connection,
 * drains those made under old material, ends all at shutdown. What a session does is the service's.
 */
import type { ListenerConfig } from '@mail/service';
import { Connection, type ConnectionOptions } from './connection.ts';
import { LineServerError } from './errors.ts';
import { type ListenerOptions, type OpenListener, openListener } from './listener.ts';
import type { ProbeTarget } from './tls-acceptor.ts';

export interface LineServerOptions
  extends Omit<ListenerOptions, 'onConnection' | 'allowHalfOpen' | 'protocol'> {
  readonly protocol: 'imap' | 'pop3';
  readonly listeners: readonly ListenerConfig[];
  readonly connection: ConnectionOptions;
  /**
   * Runs one session to its end; the connection is ended after it. A LineServerError that it lets out
   * is an ordinary end; anything else is a bug and is logged.
   */
  readonly session: (connection: Connection) => Promise<void>;
}

export interface LineServer {
  readonly listeners: readonly OpenListener[];
  /** Open sessions. */
  readonly sessions: number;
  probeTargets(): ProbeTarget[];
  /**
   * Ends the connections whose TLS was made under a generation below this one: `graceMs` later each is
   * told between two commands, and from then on each that still comes of an older handshake. Resolves
   * when the telling is done.
   */
  drain(belowGeneration: number, graceMs: number): Promise<void>;
  /** Stops accepting, tells every session, waits up to `graceMs`, cuts off the rest. Idempotent. */
  close(graceMs: number): Promise<void>;
}

/** For sessions to notice that their connection was cut off. */
const CUT_OFF_MS = 1_000;

/** Opens all listeners or none. Throws ServiceError. */
export async function serveSessions(options: LineServerOptions): Promise<LineServer> {
  const { listeners, connection: connectionOptions, session, ...shared } = options;
  const sessions = new Map<Connection, Promise<void>>();
  const closing = new AbortController();
  let drainedBelow = 0;

  const run = async (connection: Connection): Promise<void> => {
    try {
      await session(connection);
    } catch (error) {
      if (error instanceof LineServerError) {
        options.logger.debug({ error }, 'a session ended early');
      } else {
        options.logger.error({ error }, 'a session failed');
      }
    }
    await connection.end();
    sessions.delete(connection);
  };

  const open: OpenListener[] = [];
  try {
    for (const config of listeners) {
      const listener = await openListener(config, {
        ...shared,
        allowHalfOpen: true,
        onConnection: (accepted) => {
          const connection = new Connection(accepted, options.tls, connectionOptions);
          if (closing.signal.aborted) connection.announceEnd(shuttingDown());
          connection.drainBelow(drainedBelow);
          sessions.set(
            connection,
            accepted.log.run(() => run(connection)),
          );
        },
      });
      open.push(listener);
    }
  } catch (error) {
    for (const listener of open) listener.close();
    throw error;
  }

  for (const { name } of open) options.logger.info({ listener: name }, 'listening');

  return {
    listeners: open,
    get sessions() {
      return sessions.size;
    },
    probeTargets: () => open.flatMap((listener) => listener.probeTargets()),
    drain: async (belowGeneration, graceMs) => {
      await pause(graceMs, closing.signal);
      drainedBelow = Math.max(drainedBelow, belowGeneration);
      for (const connection of sessions.keys()) connection.drainBelow(drainedBelow);
    },
    close: async (graceMs) => {
      closing.abort();
      for (const listener of open) listener.close();
      for (const connection of sessions.keys()) connection.announceEnd(shuttingDown());
      const ended = Promise.all(sessions.values()).then(() => {});
      await within(graceMs, ended);
      for (const connection of sessions.keys()) connection.destroy();
      await within(CUT_OFF_MS, ended);
    },
  };
}

function shuttingDown(): LineServerError {
  return new LineServerError('shutting-down', 'the service stops');
}

/** Waits for `task`, but no longer than `ms`. */
async function within(ms: number, task: Promise<void>): Promise<void> {
  const done = new AbortController();
  await Promise.race([task, pause(ms, done.signal)]);
  done.abort();
}

function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    }
    signal?.addEventListener('abort', done);
  });
}
