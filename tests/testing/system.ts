/**
 * A whole Concert on loopback for tests and benchmarks: real processes, real ports, a data folder of
 * its own. Nothing of the product is replaced.
 */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { SupervisorMessage } from '@mail/service';

export const ROOT = resolve(import.meta.dirname, '../..');

export type ProcessName = 'cert-registry' | 'smtp' | 'pop' | 'imap';
export type Protocol = 'smtp' | 'pop3' | 'imap';

/** One mail port as a client sees it. */
export interface MailPort {
  readonly name: string;
  readonly protocol: Protocol;
  readonly port: number;
  readonly startTls: boolean;
}

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface System {
  readonly data: string;
  readonly registryPort: number;
  /** The seven ports of `npm start`, by its names. */
  readonly ports: Readonly<Record<PortName, MailPort>>;
  /** Starts a process (`entry` for another program under its name); resolves when in service. */
  start(
    name: ProcessName,
    settings?: Record<string, string>,
    instance?: string,
    entry?: string,
  ): Promise<ChildProcess>;
  /** The process started last under that name, or instance of it. */
  process(name: ProcessName, instance?: string): ChildProcess;
  /** SIGTERM, and waits. Returns its exit code. */
  stop(name: ProcessName, instance?: string): Promise<number | null>;
  /** SIGKILL, and waits. */
  kill(name: ProcessName, instance?: string): Promise<void>;
  /** Runs the operator's command. */
  concert(args: readonly string[], input?: string): Promise<CommandResult>;
  /** Runs it with --json and gives what it printed; throws when it fails. */
  concertJson<T>(args: readonly string[], input?: string): Promise<T>;
  /** The JSON log of a process so far. */
  log(name: ProcessName, instance?: string): string;
  /** Ends what still runs and removes the data. */
  close(): Promise<void>;
}

export type PortName = 'smtp' | 'submission' | 'submissions' | 'pop3' | 'pop3s' | 'imap' | 'imaps';

/** Below where systems take the ports of outgoing connections from, which could take one meanwhile. */
const PORT_RANGE = { from: 12_000, to: 32_000 };

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const free = new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
  return free;
}

/** Ports that are free now, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = randomInt(PORT_RANGE.from, PORT_RANGE.to);
    if (!ports.has(port) && (await isFree(port))) ports.add(port);
  }
  return [...ports];
}

/** By the names of `npm start`, from seven numbers in the order of PortName. */
export function mailPorts(numbers: readonly number[]): Record<PortName, MailPort> {
  const port = (index: number): number => numbers[index] ?? 0;
  return {
    smtp: { name: 'smtp', protocol: 'smtp', port: port(0), startTls: true },
    submission: { name: 'submission', protocol: 'smtp', port: port(1), startTls: true },
    submissions: { name: 'submissions', protocol: 'smtp', port: port(2), startTls: false },
    pop3: { name: 'pop3', protocol: 'pop3', port: port(3), startTls: true },
    pop3s: { name: 'pop3s', protocol: 'pop3', port: port(4), startTls: false },
    imap: { name: 'imap', protocol: 'imap', port: port(5), startTls: true },
    imaps: { name: 'imaps', protocol: 'imap', port: port(6), startTls: false },
  };
}

/** Lays out a system; starts nothing. `settings` go to every process. */
export async function layOutSystem(settings: Record<string, string> = {}): Promise<System> {
  const data = mkdtempSync(join(tmpdir(), 'concert-system-'));
  const numbers = await freePorts(8);
  const ports = mailPorts(numbers);
  const registryPort = numbers[7] ?? 0;
  const running = new Map<string, ChildProcess>();
  const environment: Record<string, string> = {
    ...Object.fromEntries(
      Object.entries(process.env).filter(
        (entry): entry is [string, string] =>
          entry[1] !== undefined && !entry[0].startsWith('CONCERT_'),
      ),
    ),
    CONCERT_DATA: data,
    CONCERT_REGISTRY: `127.0.0.1:${registryPort}`,
    CONCERT_REGISTRY_LISTEN: `127.0.0.1:${registryPort}`,
    CONCERT_SMTP_LISTENERS: `starttls://127.0.0.1:${ports.smtp.port}?role=mx starttls://127.0.0.1:${ports.submission.port}?role=submission tls://127.0.0.1:${ports.submissions.port}?role=submission`,
    CONCERT_POP_LISTENERS: `starttls://127.0.0.1:${ports.pop3.port} tls://127.0.0.1:${ports.pop3s.port}`,
    CONCERT_IMAP_LISTENERS: `starttls://127.0.0.1:${ports.imap.port} tls://127.0.0.1:${ports.imaps.port}`,
    CONCERT_INSTANCE: 'one',
    ...settings,
  };
  mkdirSync(join(data, 'logs'));
  const key = (name: string, instance?: string): string =>
    instance ? `${name}.${instance}` : name;
  const logFile = (name: string, instance?: string): string =>
    join(data, 'logs', `${key(name, instance)}.log`);

  const get = (name: string, instance?: string): ChildProcess => {
    const child = running.get(key(name, instance));
    if (child === undefined) throw new Error(`${key(name, instance)} was never started`);
    return child;
  };
  const end = async (child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> => {
    if (child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit');
      child.kill(signal);
      await exited;
    }
    return child.exitCode;
  };

  const system: System = {
    data,
    registryPort,
    ports,
    start(name, extra = {}, instance, entry = join(ROOT, 'services', name, 'src/main.ts')) {
      const log = openSync(logFile(name, instance), 'a');
      const child = fork(entry, {
        cwd: ROOT,
        stdio: ['ignore', log, log, 'ipc'],
        env: { ...environment, ...(instance ? { CONCERT_INSTANCE: instance } : {}), ...extra },
      });
      closeSync(log);
      running.set(key(name, instance), child);
      return new Promise((ready, reject) => {
        child.on('message', (message: SupervisorMessage) => {
          if (message.type === 'ready') ready(child);
          else reject(new Error(message.message));
        });
        child.once('exit', (code, signal) => reject(new Error(`${name} ended: ${signal ?? code}`)));
      });
    },
    process: get,
    stop: (name, instance) => end(get(name, instance), 'SIGTERM'),
    async kill(name, instance) {
      await end(get(name, instance), 'SIGKILL');
    },
    async concert(args, input = '') {
      const child = spawn(process.execPath, [join(ROOT, 'packages/cli/src/main.ts'), ...args], {
        cwd: ROOT,
        env: environment,
        stdio: ['pipe', 'pipe', 'pipe'],
      });
      let stdout = '';
      let stderr = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        stdout += text;
      });
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        stderr += text;
      });
      child.stdin.end(input);
      await once(child, 'close');
      return { code: child.exitCode ?? -1, stdout, stderr };
    },
    async concertJson<T>(args: readonly string[], input?: string): Promise<T> {
      const { code, stdout, stderr } = await system.concert([...args, '--json'], input);
      if (code !== 0) throw new Error(`concert ${args.join(' ')} gave ${code}: ${stdout}${stderr}`);
      return JSON.parse(stdout) as T;
    },
    log: (name, instance) => readFileSync(logFile(name, instance), 'utf8'),
    async close() {
      const mail = [...running].filter(([name]) => name !== 'cert-registry');
      await Promise.all(mail.map(([, child]) => end(child, 'SIGTERM')));
      await Promise.all([...running.values()].map((child) => end(child, 'SIGTERM')));
      rmSync(data, { recursive: true, force: true });
    },
  };
  return system;
}

/** Registry first, then the three services; one account that can log in. */
export async function startSystem(
  settings: Record<string, string> = {},
): Promise<System & { user: string; password: string }> {
  const system = await layOutSystem(settings);
  try {
    await system.start('cert-registry');
    await Promise.all((['smtp', 'pop', 'imap'] as const).map((name) => system.start(name)));
    const user = 'alice@example.test';
    const password = 'correct horse battery';
    await system.concertJson(['account', 'add', user, '--password-stdin'], `${password}\n`);
    return Object.assign(system, { user, password });
  } catch (error) {
    await system.close();
    throw error;
  }
}

/** Makes a self-signed certificate in the registry and returns its id. */
export async function makeCertificate(
  system: Pick<System, 'concertJson'>,
  ...names: string[]
): Promise<string> {
  const made = await system.concertJson<{ id: string }>([
    'cert',
    'self-signed',
    ...(names.length > 0 ? names : ['localhost']),
  ]);
  return made.id;
}
