/**
 * The suite as `docker compose up` runs it, for tests: a project of its own on free ports, the images built
 * from the checkout, and the operator's own way in. Nothing of the product is replaced.
 */
import { type ChildProcess, execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { handshake } from '../testing/handshakes.ts';
import type { LoadOrder, LoadResult } from '../testing/load-process.ts';
import { freePorts, type MailPort, mailPorts, ROOT, type System } from '../testing/system.ts';

const run = promisify(execFile);

/** Names in .env, in the order of mailPorts. */
const PORT_SETTINGS = [
  'SMTP',
  'SUBMISSION',
  'SUBMISSIONS',
  'POP3',
  'POP3S',
  'IMAP',
  'IMAPS',
] as const;

export const USER = 'alice@example.test';
export const PASSWORD = 'correct horse battery';

export interface ComposeOptions {
  /** As in .env. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Compose files besides docker-compose.yml, from the root. */
  readonly files?: readonly string[];
}

/** A project that is up, in the shape in which whole systems are tested. */
export interface ComposeSystem
  extends Pick<System, 'ports' | 'data' | 'registryPort' | 'concertJson'> {
  readonly project: string;
  /** How long `docker compose up --wait` took, images built. */
  readonly upMs: number;
  /** docker ARGS; its output. */
  docker(...args: string[]): Promise<string>;
  /** docker compose ARGS in this project; its output. */
  compose(...args: string[]): Promise<string>;
  /** The operator's command in its container. */
  concert(args: readonly string[], input?: string): Promise<string>;
  /** Names of a service's running containers. */
  containers(service: string): Promise<string[]>;
  /** Runs JavaScript in a container and gives what it printed. */
  evaluate(container: string, script: string): Promise<string>;
  close(): Promise<void>;
}

/** Ended with the project where a test has failed before it has stopped its own. */
const loads: ChildProcess[] = [];

const IMAGES = 'localhost/concert-test';
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

async function docker(
  args: readonly string[],
  env: Record<string, string> = {},
  input = '',
): Promise<string> {
  const child = run('docker', args, {
    cwd: ROOT,
    env: { ...process.env, ...env },
    maxBuffer: MAX_OUTPUT_BYTES,
  });
  // one that fails at once reads nothing, and says why itself
  child.child.stdin?.on('error', () => {}).end(input);
  return (await child).stdout;
}

/** Builds what changed, brings the project up and waits until all is healthy; makes USER an account. */
export async function startCompose({
  settings = {},
  files = [],
}: ComposeOptions = {}): Promise<ComposeSystem> {
  const numbers = await freePorts(PORT_SETTINGS.length + 1);
  const registryPort = numbers.at(-1) ?? 0;
  const project = `concert-test-${process.pid}`;
  const data = mkdtempSync(join(tmpdir(), 'concert-compose-'));
  const env: Record<string, string> = {
    CONCERT_BIND: '127.0.0.1',
    // apart from those that somebody works with on this machine
    CONCERT_IMAGES: IMAGES,
    TEST_REGISTRY_PORT: String(registryPort),
    ...settings,
  };
  for (const [index, name] of PORT_SETTINGS.entries()) {
    env[`CONCERT_PORT_${name}`] = String(numbers[index]);
  }
  const all = ['docker-compose.yml', 'tests/containers/registry-access.yml', ...files];
  // whatever .env this checkout is used with
  const prefix = [
    'compose',
    '--env-file',
    '/dev/null',
    '-p',
    project,
    ...all.flatMap((file) => ['-f', file]),
  ];
  const compose = (...args: string[]) => docker([...prefix, ...args], env);
  const concert = (args: readonly string[], input?: string) =>
    docker([...prefix, 'run', '--rm', '-T', 'concert', ...args], env, input);
  const close = async () => {
    for (const load of loads.splice(0)) load.kill();
    rmSync(data, { recursive: true, force: true });
    await compose('--profile', '*', 'down', '--volumes', '--remove-orphans', '--timeout', '5');
  };

  try {
    await compose('build');
    const started = performance.now();
    await compose('up', '--wait', '--wait-timeout', '120');
    const upMs = performance.now() - started;
    for (const [volume, identity] of [
      ['operator', 'operator/admin'],
      ['pop', 'service/pop'],
    ] as const) {
      await copyIdentity(`${project}_${volume}`, join(data, 'identities', identity));
    }
    const system: ComposeSystem = {
      project,
      data,
      registryPort,
      ports: mailPorts(numbers),
      upMs,
      docker: (...args) => docker(args),
      compose,
      concert,
      async concertJson<T>(args: readonly string[], input?: string): Promise<T> {
        return JSON.parse(await concert([...args, '--json'], input)) as T;
      },
      async containers(service) {
        const names = await compose('ps', '--format', '{{.Name}}', service);
        return names
          .split('\n')
          .filter((name) => name !== '')
          .sort();
      },
      evaluate: (container, script) =>
        docker(['exec', container, 'node', '--input-type=module', '-e', script]),
      close,
    };
    await system.concert(['account', 'add', USER, '--password-stdin'], `${PASSWORD}\n`);
    return system;
  } catch (error) {
    await close();
    throw error;
  }
}

/** An identity as files on this host, for clients that tests play by hand. */
async function copyIdentity(volume: string, folder: string): Promise<void> {
  const script = `
    import { readFileSync } from 'node:fs';
    const files = ['ca.pem', 'cert.pem', 'key.pem'];
    console.log(JSON.stringify(files.map((name) => [name, readFileSync('/identity/' + name, 'utf8')])));`;
  const mount = `${volume}:/identity:ro`;
  const node = ['node', '--input-type=module', '-e', script];
  const printed = await docker(['run', '--rm', '-v', mount, `${IMAGES}/imap`, ...node]);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const [name, text] of JSON.parse(printed) as [string, string][]) {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
  }
}

/** The fingerprints that the ports show. */
export async function servedOn(ports: readonly MailPort[]): Promise<Set<string>> {
  const seen = await Promise.all(ports.map((port) => handshake(port)));
  for (const { socket } of seen) socket.destroy();
  return new Set(seen.map(({ fingerprint }) => fingerprint));
}

/** Handshakes from a process of its own; gives what happened until it is called. */
export async function underLoad(
  ports: MailPort[],
  perSecondAndPort: number,
): Promise<() => Promise<LoadResult>> {
  const load = fork(new URL('../testing/load-process.ts', import.meta.url).pathname);
  loads.push(load);
  load.send({ ports, perSecondAndPort } satisfies LoadOrder);
  await once(load, 'message');
  return async () => {
    load.send('stop');
    const [result] = (await once(load, 'message')) as [LoadResult];
    return result;
  };
}
