/**
 * `docker compose up` as the README has it: healthy services, mail through them, a rotation that a client
 * sees. Wants a Docker engine; `npm test -- --containers`.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { ImapFlow } from 'imapflow';
import { createTransport } from 'nodemailer';
import {
  DockerComposeEnvironment,
  type StartedDockerComposeEnvironment,
  Wait,
} from 'testcontainers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { handshake } from '../testing/handshakes.ts';
import { freePorts, ROOT } from '../testing/system.ts';

const run = promisify(execFile);

const USER = 'alice@example.test';
const PASSWORD = 'correct horse battery';
const PORTS = ['SMTP', 'SUBMISSION', 'SUBMISSIONS', 'POP3', 'POP3S', 'IMAP', 'IMAPS'] as const;

const project = `concert-test-${process.pid}`;
let environment: StartedDockerComposeEnvironment;
const ports: Record<string, number> = {};
let settings: Record<string, string>;

/** The operator's command in its container. */
async function concert(args: readonly string[], input = ''): Promise<string> {
  const child = run('docker', ['compose', '-p', project, 'run', '--rm', '-T', 'concert', ...args], {
    cwd: ROOT,
    env: { ...process.env, ...settings },
  });
  child.child.stdin?.end(input);
  return (await child).stdout;
}

const fingerprint = async (
  name: string,
  protocol: 'imap' | 'pop3' | 'smtp',
  startTls: boolean,
): Promise<string> => {
  const seen = await handshake({ name, protocol, port: ports[name] ?? 0, startTls });
  seen.socket.destroy();
  return seen.fingerprint;
};

const allFingerprints = (): Promise<string[]> =>
  Promise.all([
    fingerprint('SMTP', 'smtp', true),
    fingerprint('SUBMISSION', 'smtp', true),
    fingerprint('SUBMISSIONS', 'smtp', false),
    fingerprint('POP3', 'pop3', true),
    fingerprint('POP3S', 'pop3', false),
    fingerprint('IMAP', 'imap', true),
    fingerprint('IMAPS', 'imap', false),
  ]);

beforeAll(async () => {
  const free = await freePorts(PORTS.length);
  settings = {};
  for (const [index, name] of PORTS.entries()) {
    ports[name] = free[index] ?? 0;
    settings[`CONCERT_PORT_${name}`] = String(free[index]);
  }
  await run('docker', ['compose', '--profile', 'command', '-p', project, 'build', 'concert'], {
    cwd: ROOT,
  });
  environment = await new DockerComposeEnvironment(ROOT, 'docker-compose.yml')
    .withProjectName(project)
    .withEnvironment(settings)
    .withBuild()
    .withDefaultWaitStrategy(Wait.forHealthCheck())
    .withStartupTimeout(180_000)
    .up(['cert-registry', 'smtp', 'pop', 'imap']);
});
afterAll(() => environment?.down({ removeVolumes: true }));

test('mail goes in and out, and a rotation moves all seven ports at once', async () => {
  await concert(['account', 'add', USER, '--password-stdin'], `${PASSWORD}\n`);
  const before = new Set(await allFingerprints());
  expect(before.size).toBe(1);

  const tls = { rejectUnauthorized: false, servername: 'localhost' };
  const auth = { user: USER, pass: PASSWORD };
  const reader = new ImapFlow({
    host: 'localhost',
    port: ports['IMAPS'] ?? 0,
    secure: true,
    auth,
    tls,
    logger: false,
  });
  await reader.connect();
  await reader.mailboxOpen('INBOX');

  const { id } = JSON.parse(await concert(['cert', 'self-signed', 'localhost', '--json'])) as {
    id: string;
  };
  await concert(['cert', 'rotate', id, '--json']);
  const after = new Set(await allFingerprints());
  expect(after.size).toBe(1);
  expect(after).not.toEqual(before);

  const transport = createTransport({
    host: 'localhost',
    port: ports['SUBMISSIONS'] ?? 0,
    secure: true,
    auth,
    tls,
  });
  await transport.sendMail({ from: USER, to: USER, subject: 'through containers', text: 'hello' });
  // the reader's connection has lived through the switch
  await reader.noop();
  const message = await reader.fetchOne('*', { envelope: true });
  expect(message ? message.envelope?.subject : undefined).toBe('through containers');
  await reader.logout();
});

test('no service but the registry sees its folder', async () => {
  const files = async (service: string) => {
    const ls = ['exec', '-T', service, 'ls', '/data/registry'];
    const { stdout } = await run('docker', ['compose', '-p', project, ...ls], {
      cwd: ROOT,
      env: { ...process.env, ...settings },
    });
    return stdout.split('\n').filter((name) => name !== '');
  };
  expect(await files('cert-registry')).toContain('vault.key');
  for (const service of ['smtp', 'pop', 'imap']) expect(await files(service)).toEqual([]);
});

test('no process runs as root, and each stops in time on SIGTERM', async () => {
  for (const service of ['cert-registry', 'smtp', 'pop', 'imap']) {
    const { stdout } = await run(
      'docker',
      ['compose', '-p', project, 'exec', '-T', service, 'id', '-u'],
      {
        cwd: ROOT,
        env: { ...process.env, ...settings },
      },
    );
    expect([service, stdout.trim()]).not.toEqual([service, '0']);
  }
  await run('docker', ['compose', '-p', project, 'stop', 'imap'], {
    cwd: ROOT,
    env: { ...process.env, ...settings },
  });
  const { stdout } = await run('docker', [
    'inspect',
    '-f',
    '{{.State.ExitCode}}',
    `${project}-imap-1`,
  ]);
  expect(stdout.trim()).toBe('0');
});
