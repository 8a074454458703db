/**
 * The PostgreSQL profile of docker-compose.yml: two replicas of imap on one database, and a database that is
 * restarted and killed under load loses nothing that was acknowledged.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ImapFlow } from 'imapflow';
import { createTransport } from 'nodemailer';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { popTransaction } from '../testing/sessions.ts';
import { ROOT } from '../testing/system.ts';
import { type ComposeSystem, PASSWORD, startCompose, USER } from './compose-system.ts';

/** What is here, where it has PostgreSQL in its name; otherwise the default, which Docker fetches. */
function postgresImage(): string {
  const { POSTGRES_IMAGE } = process.env;
  const format = ['images', '--format', '{{.Repository}}:{{.Tag}}'];
  const here = execFileSync('docker', format, { encoding: 'utf8' }).split('\n');
  return POSTGRES_IMAGE ?? here.find((name) => /^postgres\b/.test(name)) ?? 'postgres:18';
}

const settings = {
  COMPOSE_PROFILES: 'postgres',
  CONCERT_STORE: 'postgres://concert@postgres/concert',
  POSTGRES_IMAGE: postgresImage(),
};
const auth = { user: USER, pass: PASSWORD };
const tls = { rejectUnauthorized: false, servername: 'localhost' };

const STORE_PASSWORD = 'only for this test';

let system: ComposeSystem;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'concert-postgres-'));
  const file = join(folder, 'store-password');
  writeFileSync(file, `${STORE_PASSWORD}\n`);
  // users in containers are others than ours, and the folder is closed
  chmodSync(file, 0o444);
  system = await startCompose({
    files: ['tests/containers/postgres.yml'],
    settings: {
      ...settings,
      CONCERT_STORE_PASSWORD_FILE: file,
      CONCERT_IMAP_REPLICAS: '2',
    },
  });
});
afterAll(async () => {
  await system?.close();
  rmSync(folder, { recursive: true, force: true });
});

const send = (subject: string) =>
  createTransport({
    host: 'localhost',
    port: system.ports.submissions.port,
    secure: true,
    auth,
    tls,
    connectionTimeout: 10_000,
    socketTimeout: 20_000,
  }).sendMail({ from: USER, to: USER, subject, text: 'hello' });

async function openInbox(): Promise<ImapFlow> {
  const { port } = system.ports.imaps;
  const reader = new ImapFlow({ host: 'localhost', port, secure: true, auth, tls, logger: false });
  reader.on('error', () => {});
  await reader.connect();
  await reader.mailboxOpen('INBOX');
  return reader;
}

async function subjects(): Promise<Set<string>> {
  const reader = await openInbox();
  const found = new Set<string>();
  for await (const message of reader.fetch('1:*', { envelope: true })) {
    found.add(message.envelope?.subject ?? '');
  }
  await reader.logout();
  return found;
}

test('without a password compose says which variable to set', () => {
  const env: NodeJS.ProcessEnv = { ...process.env, ...settings };
  delete env['CONCERT_STORE_PASSWORD_FILE'];
  const compose = ['compose', '--env-file', '/dev/null', '-p', `${system.project}-unset`];
  let said = '';
  try {
    execFileSync('docker', [...compose, 'up', '--detach', 'postgres'], {
      cwd: ROOT,
      env,
      encoding: 'utf8',
      stdio: 'pipe',
    });
  } catch (error) {
    said = String((error as { stderr?: string }).stderr);
  } finally {
    execFileSync('docker', [...compose, 'down', '--volumes'], { cwd: ROOT, env, stdio: 'ignore' });
  }
  expect(said).toMatch(/CONCERT_STORE_PASSWORD_FILE.*not set/);
});

test('`docker inspect` shows no password', async () => {
  const ids = (await system.compose('ps', '--all', '--quiet')).split('\n').filter(Boolean);
  expect(ids.length).toBeGreaterThan(6);
  expect(await system.docker('inspect', ...ids)).not.toContain(STORE_PASSWORD);
});

test('the services use the database, and no file', async () => {
  const [postgres = ''] = await system.containers('postgres');
  const psql = ['psql', '-h', '127.0.0.1', '-U', 'concert', '-d', 'concert', '-tAc'];
  const count =
    'select count(*) from pg_stat_activity where usename = current_user and state is not null';
  const connections = await system.docker(
    ...['exec', '-e', `PGPASSWORD=${STORE_PASSWORD}`, postgres, ...psql, count],
  );
  expect(Number(connections)).toBeGreaterThan(3);
  const [imap = ''] = await system.containers('imap');
  const files = await system.evaluate(
    imap,
    `import { readdirSync } from 'node:fs'; console.log(readdirSync('/data/mail').length);`,
  );
  expect(files).toBe('0\n');
});

test('mail flows, and a session at one replica hears at once of what arrives', async () => {
  const waiting = await Promise.all([openInbox(), openInbox()]);
  const told = waiting.map(
    (reader) =>
      new Promise<number>((resolve) => reader.once('exists', ({ count }) => resolve(count))),
  );
  const idling = waiting.map((reader) => reader.idle());
  await send('through PostgreSQL');
  expect(await Promise.all(told)).toEqual([1, 1]);
  await Promise.all(waiting.map((reader) => reader.logout()));
  await Promise.all(idling);
  expect(await subjects()).toEqual(new Set(['through PostgreSQL']));
  const pop = await popTransaction(system, 'pop3s', { user: USER, password: PASSWORD });
  await pop.work();
  await pop.finish();
});

test('PostgreSQL is restarted and killed under load: nothing acknowledged is lost', async () => {
  const [postgres = ''] = await system.containers('postgres');
  const acknowledged: string[] = [];
  let ended = false;
  let number = 0;
  const sender = async () => {
    while (!ended) {
      number += 1;
      const subject = `message ${number}`;
      try {
        await send(subject);
        acknowledged.push(subject);
      } catch {
        // 4xx or a session cut short: the sender keeps it, and we promised nothing
      }
    }
  };
  const senders = Array.from({ length: 4 }, sender);
  const acknowledgedAfter = async (more: number) => {
    const wanted = acknowledged.length + more;
    const deadline = AbortSignal.timeout(60_000);
    while (acknowledged.length < wanted) {
      deadline.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  try {
    await acknowledgedAfter(20);
    await system.docker('restart', postgres);
    await acknowledgedAfter(20);
    await system.docker('kill', postgres);
    await system.docker('start', postgres);
    await acknowledgedAfter(20);
  } finally {
    ended = true;
    await Promise.all(senders);
  }
  const found = await subjects();
  expect(acknowledged.filter((subject) => !found.has(subject))).toEqual([]);
  await system.compose('up', '--wait', '--wait-timeout', '60');
});
