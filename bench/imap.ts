/**
 * Is our IMAP service as fast as Dovecot on the same machine, does a large mailbox cost more than a small
 * one, what does an idle connection cost, and how long do many busy sessions wait? Both servers are real
 * processes with the same mail on the same disk; the peer is left out where it is not installed.
 *
 *   npm run bench -- imap [--cases main,scale,idle,sessions] [--rows SELECT,ENVELOPE] [--messages 10000]
 *                         [--runs 5] [--store sqlite,postgres] [--sizes 1000,100000,1000000] [--no-peer]
 *
 * Cold: the server stopped, what Dovecot can make again from the mail (dovecot.index*) removed, the system's
 * page, entry and inode caches dropped (which takes root), the server started; then the mailbox is selected
 * and the command sent once. Warm: the same command again in the same process. The client parses nothing;
 * its own processor time stands beside.
 */
import { parseArgs } from 'node:util';
import { APPEND_ROW, measureAppends } from './imap/appends.ts';
import { openConcert } from './imap/concert-server.ts';
import { openDovecot } from './imap/dovecot-server.ts';
import { measureIdle } from './imap/idle-sessions.ts';
import { fillInbox } from './imap/inbox.ts';
import { dropPageCache, type MailServer } from './imap/mail-server.ts';
import { startPostgres } from './imap/postgres-database.ts';
import { measureRows, ROWS } from './imap/rows.ts';
import { measureScaling } from './imap/scaling.ts';
import { measureSessions } from './imap/sessions.ts';
import { report } from './testing/figures.ts';

const CASES = ['main', 'scale', 'idle', 'sessions'];
const STORES = ['sqlite', 'postgres'];

const { values } = parseArgs({
  options: {
    cases: { type: 'string', default: CASES.join(',') },
    rows: { type: 'string', default: '' },
    messages: { type: 'string', default: '10000' },
    runs: { type: 'string', default: '5' },
    store: { type: 'string', default: STORES.join(',') },
    sizes: { type: 'string', default: '1000,100000,1000000' },
    'no-peer': { type: 'boolean', default: false },
  },
});

/** Throws for what is none of `known`. */
function choice(name: 'cases' | 'store', known: readonly string[]): string[] {
  const chosen = values[name].split(',');
  for (const one of chosen) {
    if (!known.includes(one)) throw new Error(`--${name} knows ${known.join(', ')}, not ${one}`);
  }
  return chosen;
}

function count(name: string, text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) throw new Error(`--${name} wants whole numbers`);
  return number;
}

const cases = choice('cases', CASES);
const stores = choice('store', STORES);
const messages = count('messages', values.messages);
const runs = count('runs', values.runs);
const sizes = values.sizes.split(',').map((text) => count('sizes', text));
/** By a part of their names. */
const wanted = values.rows.split(',').map((text) => text.toLowerCase());
const isWanted = (row: string): boolean => wanted.some((part) => row.toLowerCase().includes(part));

/** All that need the INBOX: the mailboxes of `scale` are others. */
const withInbox = cases.filter((name) => name !== 'scale');
const servers: MailServer[] = [];

async function measure(): Promise<void> {
  if (stores.includes('sqlite')) servers.push(await openConcert());
  if (stores.includes('postgres')) {
    const database = await startPostgres();
    if (database !== undefined) servers.push(await openConcert(database));
  }
  const ours = [...servers];
  if (!values['no-peer'] && withInbox.length > 0) {
    const peer = await openDovecot();
    if (peer !== undefined) servers.push(peer);
  }
  report('imap', 'what is compared', {
    ...Object.fromEntries(servers.map(({ name, about }) => [name, about])),
    cold: dropPageCache()
      ? 'processes restarted, dovecot.index* removed, page, entry and inode caches dropped'
      : 'processes restarted, dovecot.index* removed; page cache not dropped, which takes root',
  });

  if (withInbox.length > 0) {
    for (const server of servers) await fillInbox(server, messages);
  }
  if (cases.includes('main')) {
    const rows = ROWS.filter(({ name }) => isWanted(name));
    await measureRows(servers, rows, { messages, runs });
    if (isWanted(APPEND_ROW)) await measureAppends(servers, { messages, runs });
  }
  if (cases.includes('sessions')) await measureSessions(servers, messages);
  if (cases.includes('idle')) await measureIdle(servers, messages);
  if (cases.includes('scale')) await measureScaling(ours, sizes, runs);
}

/** A run takes minutes, and who ends it wants no servers left behind. */
const interrupted = new Promise<never>((_, reject) => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => reject(new Error(`ended by ${signal}`)));
  }
});
try {
  await Promise.race([measure(), interrupted]);
} finally {
  for (const server of servers) await server.close();
}
