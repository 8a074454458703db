/** Many sessions at work at once, each fetching the envelopes of one screen after another. */
import { report, summary } from '../testing/figures.ts';
import type { MailServer } from './mail-server.ts';
import { RawClient, TRANSPORTS, type Transport } from './raw-client.ts';

const SESSIONS = 200;
const WINDOW = 50;
const SECONDS = 10;
/** Logins at a time: passwords are slow to check on purpose. */
const LOGINS = 4;

/** Logged in, INBOX selected. */
export async function openSelected(
  server: MailServer,
  transport: Transport,
  count: number,
): Promise<RawClient[]> {
  const clients: RawClient[] = [];
  const turns = Array.from({ length: count }).values();
  await Promise.all(
    Array.from({ length: LOGINS }, async () => {
      for (const _ of turns) {
        const client = await RawClient.open(server, transport);
        await client.ask('SELECT INBOX');
        clients.push(client);
      }
    }),
  );
  return clients;
}

async function work(
  server: MailServer,
  transport: Transport,
  messages: number,
): Promise<Record<string, unknown>> {
  const clients = await openSelected(server, transport, SESSIONS);
  const latencies: number[] = [];
  const began = performance.now();
  const until = began + SECONDS * 1_000;
  await Promise.all(
    clients.map(async (client) => {
      while (performance.now() < until) {
        const first = 1 + Math.floor(Math.random() * Math.max(1, messages - WINDOW));
        const answer = await client.ask(`FETCH ${first}:${first + WINDOW - 1} ENVELOPE`);
        latencies.push(answer.ms);
      }
    }),
  );
  const seconds = (performance.now() - began) / 1_000;
  await Promise.all(clients.map((client) => client.close()));
  return {
    latencyMs: summary(latencies),
    perSecond: Math.round(latencies.length / seconds),
  };
}

export async function measureSessions(
  servers: readonly MailServer[],
  messages: number,
): Promise<void> {
  for (const transport of TRANSPORTS) {
    const figures: Record<string, unknown> = {};
    for (const server of servers) {
      try {
        figures[server.name] = await work(server, transport, messages);
      } catch (error) {
        if (server.storeUrl !== undefined) throw error;
        figures[server.name] = `cannot: ${error}`;
      }
    }
    report('imap', `${SESSIONS} sessions, FETCH of ${WINDOW} envelopes, ${transport}`, {
      messages,
      seconds: SECONDS,
      ...figures,
    });
  }
}
