/**
 * The rows that a server is compared by: one command each over the whole INBOX, cold and warm, plain and
 * over TLS. The servers take turns run by run, so that a machine that changes its speed decides nothing.
 */
import { report, summary } from '../testing/figures.ts';
import { type MailServer, restartCold } from './mail-server.ts';
import { HIT_IN_SUBJECT, HIT_IN_TEXT, MISS } from './messages.ts';
import { type Answer, RawClient, TRANSPORTS, type Transport } from './raw-client.ts';

interface Row {
  readonly name: string;
  readonly command: string;
  /** What is selected, outside of what is measured, before the command. */
  readonly mailbox?: string;
  /** Brings the mail to the state that the command changes. Not measured. */
  readonly arrange?: (client: RawClient, messages: number) => Promise<void>;
  /** Takes away what it left. Not measured. */
  readonly tidy?: (client: RawClient) => Promise<void>;
}

async function askAll(client: RawClient, ...commands: string[]): Promise<void> {
  for (const command of commands) await client.ask(command);
}

const odd = (messages: number): string =>
  Array.from({ length: Math.ceil(messages / 2) }, (_, index) => 2 * index + 1).join(',');

const INBOX = { mailbox: 'INBOX' };

export const ROWS: readonly Row[] = [
  { name: 'SELECT', command: 'SELECT INBOX' },
  { name: 'FETCH FLAGS', command: 'FETCH 1:* FLAGS', ...INBOX },
  { name: 'FETCH ENVELOPE', command: 'FETCH 1:* ENVELOPE', ...INBOX },
  { name: 'FETCH BODYSTRUCTURE', command: 'FETCH 1:* BODYSTRUCTURE', ...INBOX },
  { name: 'FETCH BODY.PEEK[]', command: 'FETCH 1:* BODY.PEEK[]', ...INBOX },
  { name: 'SEARCH TEXT hit', command: `SEARCH TEXT ${HIT_IN_TEXT}`, ...INBOX },
  { name: 'SEARCH TEXT miss', command: `SEARCH TEXT ${MISS}`, ...INBOX },
  { name: 'SEARCH SUBJECT', command: `SEARCH SUBJECT ${HIT_IN_SUBJECT}`, ...INBOX },
  {
    name: 'COPY',
    command: 'COPY 1:* Copied',
    ...INBOX,
    arrange: (client) => askAll(client, 'CREATE Copied'),
    tidy: (client) => askAll(client, 'DELETE Copied'),
  },
  {
    name: 'STORE +FLAGS',
    command: 'STORE 1:* +FLAGS (\\Flagged)',
    ...INBOX,
    arrange: (client) =>
      askAll(client, 'SELECT INBOX', 'STORE 1:* -FLAGS.SILENT (\\Flagged)', 'UNSELECT'),
  },
  {
    name: 'EXPUNGE half',
    command: 'EXPUNGE',
    mailbox: 'Halved',
    arrange: (client, messages) =>
      askAll(
        client,
        'CREATE Halved',
        'SELECT INBOX',
        'COPY 1:* Halved',
        'SELECT Halved',
        `STORE ${odd(messages)} +FLAGS.SILENT (\\Deleted)`,
        'UNSELECT',
      ),
    tidy: (client) => askAll(client, 'DELETE Halved'),
  },
];

export interface RowsOptions {
  readonly messages: number;
  readonly runs: number;
}

type Clients = ReadonlyMap<MailServer, RawClient>;

async function openClients(servers: readonly MailServer[], transport: Transport): Promise<Clients> {
  const clients = new Map<MailServer, RawClient>();
  for (const server of servers) clients.set(server, await RawClient.open(server, transport));
  return clients;
}

async function closeClients(clients: Clients): Promise<void> {
  for (const client of clients.values()) await client.close();
}

/** The measured command, with what is selected before it and cleared away behind it. */
async function perform(row: Row, client: RawClient): Promise<Answer> {
  if (row.mailbox !== undefined) await client.ask(`SELECT ${row.mailbox}`);
  const answer = await client.ask(row.command);
  await client.ask('UNSELECT');
  await row.tidy?.(client);
  return answer;
}

/** Prints a line for each row, transport and temperature. */
export async function measureRows(
  servers: readonly MailServer[],
  rows: readonly Row[],
  options: RowsOptions,
): Promise<void> {
  for (const row of rows) {
    for (const transport of TRANSPORTS) {
      let clients = await openClients(servers, transport);
      for (const temperature of ['cold', 'warm'] as const) {
        const answers = new Map<string, Answer[]>(servers.map(({ name }) => [name, []]));
        // a cold run takes a restart of everything
        const runs = temperature === 'cold' ? Math.ceil(options.runs / 2) : options.runs;
        for (let round = 0; round < runs; round += 1) {
          for (const client of clients.values()) await row.arrange?.(client, options.messages);
          if (temperature === 'cold') {
            await closeClients(clients);
            await restartCold(servers);
            clients = await openClients(servers, transport);
          }
          for (const [server, client] of clients) {
            answers.get(server.name)?.push(await perform(row, client));
          }
        }
        tell(`${temperature} ${row.name}, ${transport}`, options, answers);
      }
      await closeClients(clients);
    }
  }
}

function tell(
  name: string,
  { messages }: RowsOptions,
  answers: ReadonlyMap<string, readonly Answer[]>,
): void {
  const of = <T>(figure: (answers: readonly Answer[]) => T): Record<string, T> =>
    Object.fromEntries([...answers].map(([server, all]) => [server, figure(all)]));
  const ms = of((all) => summary(all.map(({ ms }) => ms)));
  report('imap', name, {
    messages,
    ms,
    timesAsFast: timesAsFast(ms, (peer, ours) => peer / ours),
    octets: of((all) => all[0]?.octets),
    clientCpuMs: of((all) => summary(all.map(({ clientCpuMs }) => clientCpuMs))['median']),
  });
}

/** Ours beside the peer, by medians. */
export function timesAsFast(
  summaries: Readonly<Record<string, Record<string, number>>>,
  ratio: (peer: number, ours: number) => number,
): Record<string, number> {
  const { dovecot: peer, ...ours } = summaries;
  if (peer === undefined) return {};
  return Object.fromEntries(
    Object.entries(ours).map(([name, figures]) => [
      name,
      Math.round(100 * ratio(peer['median'] ?? Number.NaN, figures['median'] ?? Number.NaN)) / 100,
    ]),
  );
}
