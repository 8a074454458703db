/**
 * `npm start`: the registry and the three services as separate processes on loopback, under one
 * supervisor that starts them in order, replaces one that dies, and ends them together.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { accessSync, closeSync, constants } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { preparePassword } from '@mail/auth';
import {
  makeFolder,
  parseSettings,
  readSettings,
  ServiceError,
  type SupervisorMessage,
} from '@mail/service';
import { openStore, StoreError, storeName, storeSettings, storeUrl } from '@mail/store';
import { adminAddress } from './admin-address.ts';
import { limitLog, openLog } from './log-file.ts';
import { type ProcessName, serviceEnvironment } from './service-environment.ts';
import { claimDataFolder } from './single-start.ts';

const ROOT = resolve(import.meta.dirname, '..');
/** Services go first, so that the registry sees them leave. */
const SERVICES = ['smtp', 'pop', 'imap'] as const;
const START_TIMEOUT_MS = 60_000;
/** After this long a process that was asked to stop is killed. */
const STOP_TIMEOUT_MS = 20_000;
const RESPAWN_MS = { least: 200, most: 10_000 };
const SETTLED_MS = 30_000;
const EXIT_USAGE = 2;
const EXIT_UNAVAILABLE = 69;
/** How often the logs are looked at: at most so much is written beyond their limit. */
const LOG_CHECK_MS = 10_000;

const DEMO_ADDRESS = 'demo@localhost';

const settings = readSettings();
const data = resolve(ROOT, settings['CONCERT_DATA'] ?? 'data');
const shown = relative(process.cwd(), data).startsWith('..')
  ? data
  : relative(process.cwd(), data) || '.';

let stopping = false;
const stop = Promise.withResolvers<void>();
const running = new Map<string, ChildProcess>();

/** Makes the data folder and its log folder. Says so where it begins with nothing. */
function prepareFolders(): void {
  const logs = join(data, 'logs');
  try {
    const isNew = makeFolder(data);
    makeFolder(logs);
    accessSync(logs, constants.W_OK);
    if (isNew)
      console.log(`concert: new data folder ${shown}: it begins with no mail and no accounts`);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new ServiceError(
      'folder-not-writable',
      `cannot write to the data folder ${data} (${code}); make it writable or set CONCERT_DATA to another folder`,
      { cause: error },
    );
  }
}

const logOf = (name: string): string => join(data, 'logs', `${name}.log`);

/** Looks after the size of the logs, which the processes themselves only write. */
function limitLogs(): void {
  for (const name of running.keys()) {
    try {
      limitLog(logOf(name));
    } catch (error) {
      console.error(`concert: the log of ${name} cannot be put away: ${String(error)}`);
    }
  }
}

/** A process of the suite, from its start to its end. */
interface Started {
  /** Resolves when it says that it is in service; rejects with its own line when it ends before. */
  readonly ready: Promise<void>;
  /** Resolves with how it ended. */
  readonly ended: Promise<string>;
}

function startProcess(name: ProcessName): Started {
  const log = openLog(logOf(name));
  const admin = adminAddress(name, settings);
  const child = fork(join(ROOT, 'services', name, 'src/main.ts'), {
    cwd: ROOT,
    // its own process group: Ctrl-C reaches the supervisor alone, which stops all in order
    detached: true,
    stdio: ['ignore', log, log, 'ipc'],
    env: {
      ...serviceEnvironment(name, process.env),
      CONCERT_DATA: data,
      ...(admin === undefined ? {} : { CONCERT_ADMIN_LISTEN: admin }),
    },
  });
  closeSync(log);
  running.set(name, child);
  const ready = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<string>();
  // nobody need wait for a process that is stopped before it was ready
  ready.promise.catch(() => {});
  let failure = '';
  child.on('message', (message: SupervisorMessage) => {
    if (message.type === 'failed') failure = message.message;
    else ready.resolve();
  });
  child.once('exit', (code, signal) => {
    if (running.get(name) === child) running.delete(name);
    const how = signal ?? `code ${code}`;
    ready.reject(
      new ServiceError(
        'start-failed',
        `${name}: ${failure || `ended with ${how}; see ${shown}/logs/${name}.log`}`,
      ),
    );
    ended.resolve(how);
  });
  return { ready: ready.promise, ended: ended.promise };
}

/** The first start of a process: it must come up. From then on it is kept up. */
async function bringUp(name: ProcessName): Promise<void> {
  const started = startProcess(name);
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const seconds = START_TIMEOUT_MS / 1000;
    const where = `${shown}/logs/${name}.log`;
    late.reject(
      new ServiceError('start-failed', `${name} did not come up within ${seconds} s; see ${where}`),
    );
  }, START_TIMEOUT_MS);
  try {
    await Promise.race([started.ready, late.promise]);
  } finally {
    clearTimeout(timer);
  }
  void keepUp(name, started);
}

/**
 * Starts a process again whenever it ends. One that waits, as a service without a certificate waits for
 * the registry, is left to wait.
 */
async function keepUp(name: ProcessName, first: Started): Promise<void> {
  let started = first;
  let respawnMs = RESPAWN_MS.least;
  for (;;) {
    const bornAt = performance.now();
    const how = await started.ended;
    if (stopping) return;
    if (performance.now() - bornAt > SETTLED_MS) respawnMs = RESPAWN_MS.least;
    const why = await started.ready.then(
      () => `${name} ended (${how})`,
      (error: Error) => error.message,
    );
    console.error(`concert: ${why}; starting it again in ${respawnMs} ms`);
    await pause(respawnMs);
    if (stopping) return;
    respawnMs = Math.min(respawnMs * 2, RESPAWN_MS.most);
    started = startProcess(name);
    started.ready.then(
      () => stopping || console.error(`concert: ${name} is back`),
      () => {},
    );
  }
}

async function stopProcess(name: string): Promise<void> {
  const child = running.get(name);
  if (child === undefined) return;
  await new Promise<void>((resolveGone) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    child.once('exit', () => {
      clearTimeout(timer);
      resolveGone();
    });
    child.kill('SIGTERM');
  });
}

async function stopAll(): Promise<void> {
  stopping = true;
  await Promise.all(SERVICES.map(stopProcess));
  await stopProcess('cert-registry');
}

const WELCOME = (address: string): string =>
  [
    'From: Concert <concert@localhost>',
    `To: <${address}>`,
    'Subject: Welcome to Concert',
    `Date: ${new Date().toUTCString().replace('GMT', '+0000')}`,
    `Message-ID: <${randomBytes(12).toString('hex')}@localhost>`,
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
    '',
    'This mailbox was made at the first start of Concert. Rotate the certificate while you',
    'read it: no connection will notice.',
    '',
  ].join('\r\n');

/** Makes the demo mailbox where there is no account at all. Returns its password, once. */
async function makeDemoAccount(): Promise<string | undefined> {
  const url = storeUrl({ ...parseSettings(storeSettings, settings), CONCERT_DATA: data });
  const store = await openStore({ url });
  try {
    if ((await store.accounts.list()).length > 0) return undefined;
    const password = randomBytes(12).toString('base64url');
    const { passwordHash, scramKeys } = await preparePassword(password, {
      addressKey: DEMO_ADDRESS,
      saltSecret: await store.logins.saltSecret(),
    });
    const account = await store.accounts.add(DEMO_ADDRESS, passwordHash, scramKeys);
    await store.messages.deliver([account.id], { raw: Buffer.from(WELCOME(DEMO_ADDRESS)) });
    return password;
  } catch (error) {
    // a page that is damaged shows only when it is read
    if (!(error instanceof StoreError) || error.code !== 'database-corrupt') throw error;
    throw new ServiceError(
      'database-corrupt',
      `the mail store ${storeName(url)}: ${error.message}; restore it from a backup`,
      { cause: error },
    );
  } finally {
    await store.close();
  }
}

async function printWelcome(password: string | undefined): Promise<void> {
  // only now: it reads the settings of every process, and the start need not wait for that
  const { welcome } = await import('./welcome.ts');
  const start = { settings, data, shown, demoAddress: DEMO_ADDRESS, password };
  for (const line of welcome(start)) console.log(line);
}

function watchSignals(): void {
  let askedAt = 0;
  const onSignal = (): void => {
    // npm and the terminal may both pass one Ctrl-C on: only a later one is meant as "at once"
    if (stopping && performance.now() - askedAt > 1_000) {
      for (const child of running.values()) child.kill('SIGKILL');
      return;
    }
    if (stopping) return;
    askedAt = performance.now();
    stopping = true;
    console.log('Stopping ...');
    stop.resolve();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
}

/** Everything is a setting: an argument that nobody reads would be a wish that nobody fulfils. */
function refuseArguments(): void {
  const [first] = process.argv.slice(2);
  if (first === undefined) return;
  console.error(
    `concert: npm start takes no arguments, and was given ${first}; settings are environment variables, such as CONCERT_DATA for the data folder`,
  );
  process.exit(EXIT_USAGE);
}

refuseArguments();
let release = (): void => {};
try {
  watchSignals();
  prepareFolders();
  setInterval(limitLogs, LOG_CHECK_MS).unref();
  release = await claimDataFolder(data);
  await Promise.race([bringUp('cert-registry'), stop.promise]);
  const password = stopping ? undefined : await makeDemoAccount();
  if (!stopping) await Promise.race([Promise.all(SERVICES.map(bringUp)), stop.promise]);
  if (!stopping) await printWelcome(password);
  await stop.promise;
  await stopAll();
  console.log('Stopped.');
} catch (error) {
  // ServiceError and StoreError are made for operators; anything else is a bug and says where
  const expected = error instanceof Error && 'code' in error;
  console.error(
    `concert: ${expected ? error.message : error instanceof Error ? error.stack : String(error)}`,
  );
  await stopAll();
  process.exitCode = EXIT_UNAVAILABLE;
} finally {
  release();
}
