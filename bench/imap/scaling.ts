/** Does it cost more where the mailbox is larger? The same three commands on mailboxes of several sizes. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { report, summary } from '../testing/figures.ts';
import type { FillOrder } from './fill-process.ts';
import { type MailServer, restartCold } from './mail-server.ts';
import { RawClient } from './raw-client.ts';

const LAST = 50;

async function fill(server: MailServer, mailbox: string, messages: number): Promise<void> {
  const child = fork(new URL('./fill-process.ts', import.meta.url).pathname);
  const url = server.storeUrl ?? '';
  child.send({ url, address: server.user, mailbox, messages } satisfies FillOrder);
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`the mailbox of ${messages} could not be filled`);
}

async function measureSize(server: MailServer, messages: number, runs: number): Promise<void> {
  const mailbox = `Of${messages}`;
  const began = performance.now();
  await fill(server, mailbox, messages);
  const fillSeconds = Math.round((performance.now() - began) / 1_000);
  const commands = {
    select: `SELECT ${mailbox}`,
    noop: 'NOOP',
    fetchLast: `FETCH ${Math.max(1, messages - LAST + 1)}:* (ENVELOPE FLAGS)`,
  } as const;
  const figures: Record<string, unknown> = {};
  await restartCold([server]);
  const client = await RawClient.open(server, 'plain');
  const cold: Record<string, number> = {};
  for (const [name, command] of Object.entries(commands)) {
    cold[name] = (await client.ask(command)).ms;
  }
  for (const [name, command] of Object.entries(commands)) {
    const answers: number[] = [];
    for (let run = 0; run < runs; run += 1) {
      if (name === 'select') await client.ask('UNSELECT');
      answers.push((await client.ask(command)).ms);
    }
    figures[name] = { cold: Math.round(100 * (cold[name] ?? 0)) / 100, warm: summary(answers) };
  }
  const selected = await client.read(`SELECT ${mailbox}`);
  await client.close();
  if (!selected.split('\r\n').includes(`* ${messages} EXISTS`)) {
    throw new Error(`${server.name}: ${mailbox} has another number of messages`);
  }
  report('imap', `a mailbox of ${messages}, ${server.name}`, { fillSeconds, ms: figures });
}

export async function measureScaling(
  servers: readonly MailServer[],
  sizes: readonly number[],
  runs: number,
): Promise<void> {
  for (const server of servers) {
    for (const messages of sizes) await measureSize(server, messages, runs);
  }
}
