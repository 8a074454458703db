/** A PostgreSQL that keeps what it has acknowledged, unlike the one of the tests. */
import type { Database } from './concert-server.ts';

/** Undefined, with a line that says why, where there is none for this machine. */
export async function startPostgres(): Promise<Database | undefined> {
  try {
    const { PostgresServer, postgresIsMissing } = await import('@mail/store/testing/postgres');
    if (postgresIsMissing()) return undefined;
    const server = await PostgresServer.start({ durable: true });
    const { url } = await server.createDatabase();
    let running = true;
    const start = async (): Promise<void> => {
      if (!running) await server.start();
      running = true;
    };
    const stop = async (): Promise<void> => {
      if (running) await server.stop();
      running = false;
    };
    return {
      url,
      start,
      stop,
      async dispose() {
        await start();
        await server.dispose();
      },
    };
  } catch (error) {
    console.warn(`skipped: PostgreSQL does not start here (${error})`);
    return undefined;
  }
}
