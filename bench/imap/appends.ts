/** The row for APPEND: messages per second, each acknowledged before its connection sends the next. */
import { report, summary } from '../testing/figures.ts';
import { appendItem } from './inbox.ts';
import type { MailServer } from './mail-server.ts';
import { RawClient, TRANSPORTS, type Transport } from './raw-client.ts';
import { type RowsOptions, timesAsFast } from './rows.ts';

/** What `--rows` knows it by. */
export const APPEND_ROW = 'APPEND';
const CONNECTIONS = [1, 8] as const;
const MESSAGES = 800;

interface Appended {
  readonly perSecond: number;
  readonly latencies: readonly number[];
}

async function append(
  server: MailServer,
  transport: Transport,
  connections: number,
  commands: readonly Buffer[],
): Promise<Appended> {
  const clients = await Promise.all(
    Array.from({ length: connections }, () => RawClient.open(server, transport)),
  );
  await clients[0]?.ask('CREATE Appended');
  const latencies: number[] = [];
  const queue = commands.values();
  const began = performance.now();
  await Promise.all(
    clients.map(async (client) => {
      for (const command of queue) latencies.push((await client.ask(command)).ms);
    }),
  );
  const seconds = (performance.now() - began) / 1_000;
  await clients[0]?.ask('DELETE Appended');
  await Promise.all(clients.map((client) => client.close()));
  return { perSecond: latencies.length / seconds, latencies };
}

export async function measureAppends(
  servers: readonly MailServer[],
  options: RowsOptions,
): Promise<void> {
  const commands = Array.from({ length: Math.min(MESSAGES, options.messages) }, (_, number) =>
    Buffer.concat([Buffer.from('APPEND Appended '), appendItem(number)]),
  );
  for (const connections of CONNECTIONS) {
    for (const transport of TRANSPORTS) {
      const runs = new Map<string, Appended[]>(servers.map(({ name }) => [name, []]));
      for (let run = 0; run < options.runs; run += 1) {
        for (const server of servers) {
          runs.get(server.name)?.push(await append(server, transport, connections, commands));
        }
      }
      const of = (figure: (appended: Appended) => readonly number[]) =>
        Object.fromEntries([...runs].map(([name, all]) => [name, summary(all.flatMap(figure))]));
      const perSecond = of((appended) => [appended.perSecond]);
      report('imap', `${APPEND_ROW}, ${connections} connection(s) not pipelined, ${transport}`, {
        messagesOfARun: commands.length,
        perSecond,
        timesAsFast: timesAsFast(perSecond, (peer, ours) => ours / peer),
        latencyMs: of(({ latencies }) => latencies),
      });
    }
  }
}
