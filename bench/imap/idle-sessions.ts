/** What does a connection cost that does nothing? Sessions over TLS, INBOX selected, in IDLE. */
import { report } from '../testing/figures.ts';
import { INSPECTED } from '../testing/resident-set.ts';
import type { MailServer, Memory } from './mail-server.ts';
import type { RawClient } from './raw-client.ts';
import { openSelected } from './sessions.ts';

const CONNECTIONS = 1_000;
/** Opened and closed again before: what the first ones make a process load is not the others' cost. */
const WARM_UP = 50;

async function measure(server: MailServer): Promise<Record<string, unknown>> {
  // only in this case: an inspector costs a little
  await server.stop();
  await server.start(INSPECTED);
  const close = (clients: readonly RawClient[]) =>
    Promise.all(clients.map((client) => client.close()));
  await close(await openSelected(server, 'tls', WARM_UP));
  const before = await server.memory();
  const clients = await openSelected(server, 'tls', CONNECTIONS);
  for (const client of clients) await client.idle();
  const after = await server.memory();
  await close(clients);
  await server.stop();
  await server.start();
  const each = (of: keyof Memory): number =>
    Math.round((10 * (after[of] - before[of])) / CONNECTIONS) / 10;
  return {
    rssKiBPerConnection: each('rssKiB'),
    pssKiBPerConnection: each('pssKiB'),
    before,
    after,
  };
}

export async function measureIdle(servers: readonly MailServer[], messages: number): Promise<void> {
  const figures: Record<string, unknown> = {};
  for (const server of servers) {
    try {
      figures[server.name] = await measure(server);
    } catch (error) {
      if (server.storeUrl !== undefined) throw error;
      figures[server.name] = `cannot: ${error}`;
    }
  }
  report('imap', `${CONNECTIONS} idle TLS connections`, { messages, ...figures });
}
