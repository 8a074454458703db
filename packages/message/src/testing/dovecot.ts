/**
 * A private Dovecot over standard input, its one mailbox a Maildir of given messages: what another server
 * tells of them.
 */
import { execFile, spawn } from 'node:child_process';
import { chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { askServer } from './ask-server.ts';

/** Dovecot serves no mail to root. */
const NOBODY = 65_534;

/** Whether it is there, and of the versions that it is known how they answer. */
export async function hasDovecot(): Promise<boolean> {
  try {
    const { stdout } = await promisify(execFile)('dovecot', ['--version']);
    return stdout.startsWith('2.3.');
  } catch {
    return false;
  }
}

/** Answers to IMAP commands, which are untagged lines and literals as they came. Rejects where Dovecot fails. */
export async function askDovecot(
  messages: readonly Buffer[],
  commands: readonly string[],
): Promise<Buffer> {
  const home = await mkdtemp(join(tmpdir(), 'dovecot-'));
  try {
    await fillMaildir(home, messages);
    return await converse(home, ['SELECT INBOX', ...commands, 'LOGOUT']);
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}

async function fillMaildir(home: string, messages: readonly Buffer[]): Promise<void> {
  const folders = ['', 'run', 'mail', 'mail/cur', 'mail/new', 'mail/tmp'];
  const files = messages.map((raw, at) => ({
    path: join(home, 'mail/cur', `${String(at + 1).padStart(6, '0')}.x:2,`),
    raw,
  }));
  for (const folder of folders) await mkdir(join(home, folder), { recursive: true });
  for (const { path, raw } of files) await writeFile(path, raw);
  const settings = [
    `base_dir = ${home}/run`,
    `mail_location = maildir:${home}/mail`,
    `log_path = ${home}/log`,
    'protocols = imap',
    'ssl = no',
    'maildir_stat_dirs = no',
    'namespace inbox {',
    '  inbox = yes',
    '  separator = /',
    '}',
    'default_internal_user = nobody',
    'default_login_user = nobody',
    'default_internal_group = nogroup',
  ];
  await writeFile(join(home, 'dovecot.conf'), `${settings.join('\n')}\n`);
  if (process.getuid?.() !== 0) return;
  const paths = [...folders.map((folder) => join(home, folder)), ...files.map(({ path }) => path)];
  for (const path of paths) await chown(path, NOBODY, NOBODY);
}

async function converse(home: string, commands: readonly string[]): Promise<Buffer> {
  const server = spawn('doveadm', ['-c', join(home, 'dovecot.conf'), 'exec', 'imap'], {
    env: { PATH: process.env['PATH'], HOME: home, USER: 'nobody', TZ: 'UTC' },
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: 60_000,
    ...(process.getuid?.() === 0 && { uid: NOBODY, gid: NOBODY }),
  });
  const complaints: Buffer[] = [];
  server.stderr.on('data', (piece: Buffer) => complaints.push(piece));
  const ended = new Promise((resolve, reject) => {
    server.on('error', reject);
    server.on('close', resolve);
  });
  // it takes the end of its input for a hang-up, and LOGOUT ends it
  const told = await askServer({ input: server.stdin, output: server.stdout }, commands);
  await ended;
  if (!told.includes(`\r\n${commands.length - 1} OK`)) {
    throw new Error(`Dovecot: ${Buffer.concat([told.subarray(-500), ...complaints])}`);
  }
  return told;
}
